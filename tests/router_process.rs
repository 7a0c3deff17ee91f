//! A router in a process of its own, so that it can be killed and halted: this test program, started once more.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use thalweg_core::Workflows;
use thalweg_router::Router;
use thalweg_runtime::{Config, FailPoint, FailPoints, Overrides, init_processor_log};

use crate::namespace::{DEADLINE, Namespace};
use crate::support::{Process, Signal, eventually_observed};
use crate::workflows;

/// Names the process that is to be a router.
const ROLE: &str = "THALWEG_TEST_ROLE";
/// `point:passes:KILL` or `point:passes:STOP`: where, at which pass of it, and how the router ends or halts itself.
const FAIL_POINT: &str = "THALWEG_TEST_FAIL_POINT";

/// The router runs the sample alone.
pub const SAMPLE_ONLY: &str = "THALWEG_TEST_SAMPLE_ONLY";

/// A router of a namespace.
pub struct RouterProcess {
    pub process: Process,
}

impl RouterProcess {
    /// Starts a router under this instance name.
    pub fn start(namespace: &Namespace, instance: &str) -> RouterProcess {
        RouterProcess::start_with(namespace, instance, &[])
    }

    /// The same with more of the environment.
    pub fn start_with(namespace: &Namespace, instance: &str, environment: &[(&str, &str)]) -> RouterProcess {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "router_process::serve", "--ignored", "--nocapture"])
            .env(ROLE, "router")
            .env("THALWEG_BROKERS", &namespace.config.brokers)
            .env("THALWEG_NAMESPACE", &namespace.config.namespace)
            .env("THALWEG_INSTANCE", instance)
            .env("THALWEG_LANES", "1")
            .env("THALWEG_ADMIN_ADDR", "127.0.0.1:0")
            .env("THALWEG_SESSION_TIMEOUT_MS", "6000")
            .env("THALWEG_TRANSACTION_TIMEOUT_MS", "4000")
            // What is for nobody is refused at once, unless a case is about that.
            .env("THALWEG_EARLY_START_TTL_MS", "0");
        for (channel, topic) in &namespace.config.channels {
            let name = channel.as_str().to_uppercase().replace('-', "_");
            command.env(format!("THALWEG_CHANNELS_{name}"), topic);
        }
        for (name, value) in environment {
            command.env(name, value);
        }
        RouterProcess { process: Process::spawn(instance, command) }
    }

    /// A router that gives itself this signal, KILL or STOP, at the given pass of a place in its loop.
    pub fn start_doomed(
        namespace: &Namespace,
        instance: &str,
        (point, pass, signal): (FailPoint, u32, Signal),
        environment: &[(&str, &str)],
    ) -> RouterProcess {
        let doom = format!("{point:?}:{pass}:{}", if signal == Signal::STOP { "STOP" } else { "KILL" });
        let environment = [environment, &[(FAIL_POINT, doom.as_str())]].concat();
        RouterProcess::start_with(namespace, instance, &environment)
    }

    /// Waits until the process is halted.
    pub fn await_halted(&self) {
        let stat = format!("/proc/{}/stat", self.process.id());
        eventually_observed(DEADLINE, "a halted router", || {
            let state = std::fs::read_to_string(&stat).unwrap();
            let halted = state.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'));
            if halted { Ok(()) } else { Err(state) }
        });
    }

    /// Waits until the router has restored a partition this many times.
    pub fn await_restored(&self, times: usize) {
        eventually_observed(DEADLINE, &format!("{times} restored partitions"), || {
            let seen = self.process.log().matches("\"partition restored\"").count();
            if seen >= times { Ok(()) } else { Err(seen.to_string()) }
        });
    }

    /// Where its admin server listens.
    pub fn admin_addr(&self) -> String {
        eventually_observed(DEADLINE, "the router's admin address", || {
            let log = self.process.log();
            let line = log.lines().find(|line| line.contains("metrics and health are served"));
            let addr = line
                .and_then(|line| line.split("127.0.0.1:").nth(1))
                .map(|rest| format!("127.0.0.1:{}", rest.chars().take_while(char::is_ascii_digit).collect::<String>()));
            addr.ok_or(log)
        })
    }
}

/// The router itself. Other tests start it.
#[test]
#[ignore = "a router for the other tests, which start it"]
fn serve() {
    serve_if_asked();
}

/// Is the router, where this process was started to be one; says whether it was.
pub fn serve_if_asked() -> bool {
    if std::env::var(ROLE).is_err() {
        return false;
    }
    // Nor does it outlive the thread that started it, a halted one included, should that have no time to end it.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    init_processor_log().unwrap();
    let config = Config::load(None, &Overrides::default()).unwrap();
    let workflows =
        if std::env::var(SAMPLE_ONLY).is_ok() { Workflows::new().with(claims::workflow()) } else { workflows::all() };
    Router::run(&config, workflows, doom(), |_| {}).unwrap_or_else(|error| panic!("{error}"));
    true
}

fn doom() -> Option<FailPoints> {
    let doom = std::env::var(FAIL_POINT).ok()?;
    let parts: Vec<String> = doom.split(':').map(str::to_owned).collect();
    let pass: u32 = parts[1].parse().unwrap();
    let signal = if parts[2] == "STOP" { Signal::STOP } else { Signal::KILL };
    let passes = AtomicU32::new(0);
    Some(Arc::new(move |at: FailPoint| {
        if format!("{at:?}") == parts[0] && passes.fetch_add(1, Ordering::Relaxed) + 1 == pass {
            rustix::process::kill_process(rustix::process::getpid(), signal).unwrap();
            // The signal reaches the other threads first: this one must not get past the place meanwhile.
            std::thread::park_timeout(Duration::from_secs(1));
        }
    }))
}
