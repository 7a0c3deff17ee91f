//! `thalweg health`, the health check of a container.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Command;

use crate::namespace::{DEADLINE, Namespace};
use crate::router_process::RouterProcess;
use crate::support::{Process, Signal, eventually_observed};

/// Exit code, standard output and standard error.
fn health(admin_addr: &str, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
    // As in a container: the address comes with the environment, and there is no Kafka.
    command.arg("health").args(arguments).env("THALWEG_ADMIN_ADDR", admin_addr).env_remove("THALWEG_BROKERS");
    let mut process = Process::spawn("thalweg health", command);
    let code = process.wait_exit(DEADLINE).code().unwrap();
    (code, process.stdout(), process.stderr())
}

#[test]
fn a_router_that_serves_is_healthy_and_one_that_is_halted_is_not() {
    let namespace = Namespace::new("health");
    let mut router = RouterProcess::start(&namespace, "a");
    // Routers in containers listen on every address.
    let addr = router.admin_addr().replace("127.0.0.1", "0.0.0.0");
    eventually_observed(DEADLINE, "a healthy router", || match health(&addr, &[]) {
        (0, stdout, stderr) if (stdout.as_str(), stderr.as_str()) == ("ready\n", "") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(health(&addr, &["--live"]), (0, "live\n".to_owned(), String::new()));
    router.process.signal(Signal::STOP);
    let (code, stdout, stderr) = health(&addr, &["--live"]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("does not answer at http://127.0.0.1:"), "{stderr}");
}

#[test]
fn a_router_that_is_not_ready_is_unhealthy_with_every_reason() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let router = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let request: Vec<String> =
            BufReader::new(&stream).lines().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
        assert!(request[0].starts_with("GET /readyz "), "{request:?}");
        let body = "lane 0: restores partition 3\nlane 1: partition 4 stopped: WORKFLOW_UNKNOWN: claim\n";
        write!(stream, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    });
    let (code, _, stderr) = health(&addr, &[]);
    router.join().unwrap();
    assert_eq!(code, 1);
    assert_eq!(
        stderr,
        "error: the router is not ready\nlane 0: restores partition 3\n\
         lane 1: partition 4 stopped: WORKFLOW_UNKNOWN: claim\n"
    );
}
