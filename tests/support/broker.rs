//! The Kafka broker that the tests run on.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read, Write};
use std::iter;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use super::broker_log::BrokerLog;
use super::condition::{eventually, within};
use super::jars;
use super::process::{Process, Signal};

const PROCESS_DEADLINE: Duration = Duration::from_secs(120);

/// Longer than for a process, for the image may have to be pulled.
const CONTAINER_DEADLINE: Duration = Duration::from_secs(600);

const END_DEADLINE: Duration = Duration::from_secs(10);

/// For the system to end a process that is killed, also on a machine that is busy.
const KILL_DEADLINE: Duration = Duration::from_secs(60);

/// Quick to start rather than quick in the long run.
const JAVA_OF_TESTS: [&str; 3] = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx512m"];
pub(super) const JAVA_OF_TOOLS: [&str; 3] = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx256m"];

/// The broker tells what becomes of the markers that end transactions, also where it is well.
const MARKERS_LOGGED: &str =
    "-Dorg.slf4j.simpleLogger.log.kafka.coordinator.transaction.TransactionMarkerChannelManager=info";

/// For one request and its answer, when asking whether a broker serves.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// The broker of this test run: the cluster that `THALWEG_TEST_BROKERS` names, or else one that is
/// started at the first call and ends with this process. When it cannot start, every later call
/// panics at once.
pub fn broker() -> &'static Broker {
    static BROKER: LazyLock<Broker> = LazyLock::new(|| Broker::running_before().unwrap_or_else(|| Broker::start(&[])));
    &BROKER
}

/// A Kafka cluster; of one node, unless it was running before. Ends when dropped.
pub struct Broker {
    bootstrap: String,
    internal_bootstrap: String,
    data_directory: Option<PathBuf>,
    runs: Runs,
    log: BrokerLog,
}

/// How a broker runs.
enum Runs {
    /// It was running before, and goes on.
    Elsewhere,
    /// As a process of ours, which owns a temporary directory; its command is run by another one where that is not empty.
    Process { process: Process, directory: PathBuf, java: Vec<String>, within: Vec<String> },
    /// In the container of that name, for as long as the process is attached to it.
    Container { process: Process, name: String },
}

/// What a broker that runs as a process differs in.
#[derive(Default)]
pub struct BrokerSettings<'a> {
    /// Options of its Java; those that start it quickly where there are none.
    pub java: Vec<String>,
    /// As in [`Broker::start`].
    pub properties: &'a [(&'a str, &'a str)],
    /// Where clients are sent instead of to the listener `CLIENTS` itself: to a proxy.
    pub advertised_port: Option<u16>,
    /// A command that runs the broker's own, its last arguments.
    pub within: Vec<String>,
    /// Where the logs are; in a directory of the broker unless set.
    pub data_directory: Option<PathBuf>,
}

impl Broker {
    /// Whether a broker can run here as a process, as [`Broker::start_process`] needs it.
    pub fn can_be_a_process() -> bool {
        jars::can_run()
    }

    /// Starts a broker of its own, where `extra_properties` come after, and so prevail over, what
    /// `server.properties` has. Clients connect to the listener `CLIENTS`, to be secured by setting
    /// `listener.security.protocol.map` to `CLIENTS:SASL_SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT`
    /// and what belongs to it; the listener `INTERNAL` stays plain for the tools. A container sees
    /// no files of this machine, so a key store needs the broker as a process.
    #[track_caller]
    pub fn start(extra_properties: &[(&str, &str)]) -> Broker {
        Broker::start_with_java(&JAVA_OF_TESTS, extra_properties)
    }

    /// The same under a Java with these options. A container keeps its own.
    #[track_caller]
    pub fn start_with_java(options: &[&str], extra_properties: &[(&str, &str)]) -> Broker {
        if jars::can_run() {
            let java = options.iter().map(|option| (*option).to_owned()).collect();
            Broker::start_process(BrokerSettings { java, properties: extra_properties, ..BrokerSettings::default() })
        } else if jars::is_on_path("docker") {
            Broker::start_container(extra_properties)
        } else {
            panic!("{}", jars::NEEDED)
        }
    }

    /// The cluster that `THALWEG_TEST_BROKERS` names, where it names one.
    #[track_caller]
    pub fn running_before() -> Option<Broker> {
        std::env::var("THALWEG_TEST_BROKERS").ok().map(Broker::running_at)
    }

    /// Where clients connect.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Where the tools connect: without encryption or authentication, whatever clients need.
    pub fn internal_bootstrap(&self) -> &str {
        &self.internal_bootstrap
    }

    /// The directory of the partitions' logs, as the tools see it; none when the cluster was
    /// running before.
    pub fn data_directory(&self) -> Option<&Path> {
        self.data_directory.as_deref()
    }

    /// The process of the broker, to be signalled; none when the cluster was running before.
    pub fn process(&mut self) -> Option<&mut Process> {
        match &mut self.runs {
            Runs::Elsewhere => None,
            Runs::Process { process, .. } | Runs::Container { process, .. } => Some(process),
        }
    }

    /// What it writes as a process; nothing where it runs otherwise.
    pub fn log(&self) -> BrokerLog {
        self.log.clone()
    }

    /// The id of the process that is the broker itself, where it is one of this machine.
    pub fn java_id(&self) -> Option<u32> {
        match &self.runs {
            Runs::Elsewhere | Runs::Container { .. } => None,
            Runs::Process { process, .. } => Some(process.id()),
        }
    }

    /// A command that runs `class` of Kafka's tools.
    pub(super) fn tool_command(&self, class: &str) -> Command {
        let mut command = match &self.runs {
            Runs::Elsewhere | Runs::Process { .. } => jars::java(&JAVA_OF_TOOLS),
            Runs::Container { name, .. } => {
                let mut command = Command::new("docker");
                command.args(["exec", "--interactive", name]).arg("/opt/kafka/bin/kafka-run-class.sh");
                command
            }
        };
        command.arg(class);
        command
    }

    fn running_at(bootstrap: String) -> Broker {
        let what = format!("an answer from THALWEG_TEST_BROKERS={bootstrap}");
        eventually(PROCESS_DEADLINE, &what, || serves(&bootstrap).then_some(()));
        Broker {
            internal_bootstrap: bootstrap.clone(),
            bootstrap,
            data_directory: None,
            runs: Runs::Elsewhere,
            log: BrokerLog::default(),
        }
    }

    /// Starts a broker as a process, which can be killed and started again.
    #[track_caller]
    pub fn start_process(settings: BrokerSettings) -> Broker {
        let directory =
            tempfile::Builder::new().prefix("thalweg-broker-").tempdir().expect("a temporary directory").keep();
        let data_directory = settings.data_directory.unwrap_or_else(|| directory.join("data"));
        let ports = free_ports();
        let advertised = [settings.advertised_port.unwrap_or(ports[0]), ports[1]];
        let properties = server_properties(ports, advertised, "127.0.0.1", &data_directory, settings.properties);
        fs::write(directory.join("server.properties"), properties).expect("a file of properties");
        let process = broker_process(&directory, &settings.java, &settings.within);
        let log = BrokerLog::default();
        log.follow(&process);
        let mut broker = Broker {
            bootstrap: format!("127.0.0.1:{}", ports[0]),
            internal_bootstrap: format!("127.0.0.1:{}", ports[1]),
            data_directory: Some(data_directory),
            runs: Runs::Process { process, directory, java: settings.java, within: settings.within },
            log,
        };
        broker.wait_until(PROCESS_DEADLINE, |process| process.stdout() == "ready\n");
        broker
    }

    /// Kills the broker, as by kill -9; what it has stored stays.
    #[track_caller]
    pub fn kill(&mut self) {
        let process = self.process().expect("only a broker that was started");
        process.signal(Signal::KILL);
        process.wait_exit(KILL_DEADLINE);
    }

    /// Starts a broker again, which runs as a process and has ended, on the same ports and on what it has stored.
    #[track_caller]
    pub fn restart(&mut self) {
        let Runs::Process { process, directory, java, within } = &mut self.runs else {
            panic!("only a broker as a process can be started again")
        };
        assert!(!process.is_running(), "the broker has not ended");
        *process = broker_process(directory, java, within);
        self.log.follow(process);
        self.wait_until(PROCESS_DEADLINE, |process| process.stdout() == "ready\n");
    }

    fn start_container(extra_properties: &[(&str, &str)]) -> Broker {
        // The container ends with its first process, which waits for the end of its standard input
        // or of the broker.
        const SCRIPT: &str = r#"
            echo "$SERVER_PROPERTIES" > /tmp/server.properties
            cd /opt/kafka/bin
            exec 3<&0
            cat <&3 > /dev/null &
            input=$!
            (
                ./kafka-storage.sh format --cluster-id thalweg-tests-cluster0 \
                    --config /tmp/server.properties &&
                ./kafka-server-start.sh /tmp/server.properties
                kill $input
            ) &
            wait $input"#;
        let data_directory = PathBuf::from("/tmp/thalweg-broker-data");
        let ports = free_ports();
        let properties = server_properties(ports, [ports[0], ports[1]], "0.0.0.0", &data_directory, extra_properties);
        let name = super::namespace("broker");
        let mut command = Command::new("docker");
        command
            .args(["run", "--rm", "--interactive", "--name", &name])
            .arg(format!("--publish=127.0.0.1:{0}:{0}", ports[0]))
            .arg(format!("--publish=127.0.0.1:{0}:{0}", ports[1]))
            .arg(format!("--env=SERVER_PROPERTIES={properties}"))
            .arg(format!("apache/kafka:{}", jars::kafka_version()))
            .args(["sh", "-c", SCRIPT]);
        let process = Process::spawn_with_input("the broker's container", command, Stdio::piped());
        let internal_bootstrap = format!("127.0.0.1:{}", ports[1]);
        let mut broker = Broker {
            bootstrap: format!("127.0.0.1:{}", ports[0]),
            internal_bootstrap: internal_bootstrap.clone(),
            data_directory: Some(data_directory),
            runs: Runs::Container { process, name },
            log: BrokerLog::default(),
        };
        broker.wait_until(CONTAINER_DEADLINE, |_| serves(&internal_bootstrap));
        broker
    }

    /// Waits until the process is `ready`; panics when it ends before.
    #[track_caller]
    fn wait_until(&mut self, deadline: Duration, ready: impl Fn(&Process) -> bool) {
        let process = self.process().expect("only a broker that was started");
        let runs = eventually(deadline, "Kafka is ready", || {
            let runs = process.is_running();
            (!runs || ready(process)).then_some(runs)
        });
        assert!(runs, "Kafka ended before it was ready");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(process) = self.process() {
            process.close_input();
            process.exits_within(END_DEADLINE);
        }
        if let Runs::Process { directory, .. } = &self.runs {
            // The process does this too, but not when it was killed.
            within(END_DEADLINE, || {
                let _ = fs::remove_dir_all(directory);
                (!directory.exists()).then_some(())
            });
        }
    }
}

/// The broker's program on this directory.
#[track_caller]
fn broker_process(directory: &Path, java: &[String], within: &[String]) -> Process {
    let options: Vec<&str> = java.iter().map(String::as_str).collect();
    let mut java = jars::java(if options.is_empty() { &JAVA_OF_TESTS } else { &options });
    java.arg(MARKERS_LOGGED).arg(jars::kafka_directory().join("broker_process.java")).arg(directory);
    let command = match within {
        [] => java,
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(java.get_program()).args(java.get_args());
            command
        }
    };
    Process::spawn_with_input("the broker", command, Stdio::piped())
}

/// Ports for clients, the tools and the controller. They lie below those that systems give to
/// outgoing connections, one of which could otherwise take a port before the broker does.
fn free_ports() -> [u16; 3] {
    const FIRST: u128 = 20_000;
    const LAST: u128 = 31_999;
    let random_port = || FIRST + uuid::Uuid::new_v4().as_u128() % (LAST - FIRST + 1);
    let listeners: Vec<TcpListener> = iter::repeat_with(random_port)
        .take(100)
        .filter_map(|port| TcpListener::bind(("127.0.0.1", u16::try_from(port).ok()?)).ok())
        .take(3)
        .collect();
    let ports: Vec<u16> =
        listeners.iter().map(|listener| listener.local_addr().expect("a bound address").port()).collect();
    ports.try_into().expect("three free ports among a hundred")
}

/// The configuration of one node that is broker and controller, made for short waits.
fn server_properties(
    [clients, internal, controller]: [u16; 3],
    [advertised_clients, advertised_internal]: [u16; 2],
    host: &str,
    data_directory: &Path,
    extra_properties: &[(&str, &str)],
) -> String {
    let mut properties = format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=INTERNAL
listeners=CLIENTS://{host}:{clients},INTERNAL://{host}:{internal},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=CLIENTS://127.0.0.1:{advertised_clients},INTERNAL://127.0.0.1:{advertised_internal}
listener.security.protocol.map=CLIENTS:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={}
num.partitions=2
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
share.coordinator.state.topic.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
",
        data_directory.display()
    );
    for (name, value) in extra_properties {
        writeln!(properties, "{name}={value}").expect("a string takes text");
    }
    properties
}

/// Whether the first of the `bootstrap` servers knows of a broker that takes requests, itself
/// included. An open port alone says less: it may be a proxy's.
fn serves(bootstrap: &str) -> bool {
    let first = bootstrap.split(',').next().unwrap_or_default();
    broker_count(first).is_ok_and(|count| count > 0)
}

/// Asks for metadata, version 1, of no topic: the answer begins with the brokers.
fn broker_count(address: &str) -> io::Result<u32> {
    const REQUEST: [u8; 18] = [
        0, 0, 0, 14, // the length of what follows
        0, 3, 0, 1, // metadata, version 1
        0, 0, 0, 7, // the correlation id
        0xff, 0xff, // no client id
        0, 0, 0, 0, // no topics
    ];
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PROBE_TIMEOUT))?;
    stream.write_all(&REQUEST)?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    let [.., a, b, c, d] = answer;
    Ok(u32::from_be_bytes([a, b, c, d]))
}
