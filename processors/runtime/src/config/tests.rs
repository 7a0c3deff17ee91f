use std::ffi::OsString;
use std::io::Write;

use tempfile::NamedTempFile;

use super::*;

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    let own = |text: &&str| OsString::from(text);
    Environment(variables.iter().map(|(name, value)| (own(name), own(value))).collect())
}

fn read(text: &str, variables: &[(&str, &str)], flags: &Overrides) -> Result<Config, ConfigError> {
    let file = file(text);
    Config::read(Some(file.path()), environment(variables), flags)
}

fn refused(text: &str, variables: &[(&str, &str)]) -> String {
    read(text, variables, &Overrides::default()).unwrap_err().to_string()
}

fn usable() -> Config {
    Config { brokers: "kafka:9092".into(), ..Config::default() }
}

#[test]
fn nothing_set_gives_the_defaults() {
    let config = Config::read(None, environment(&[]), &Overrides::default()).unwrap();
    assert_eq!(config, Config::default());
    usable().check().unwrap();
}

#[test]
fn flags_win_over_the_environment_and_it_over_the_file() {
    let text = "brokers = 'file:1'\nnamespace = 'file'\ninstance = 'file'\nlanes = 3";
    let variables = [("THALWEG_NAMESPACE", "environment"), ("THALWEG_INSTANCE", "environment")];
    let flags = Overrides { instance: Some("flag".into()), ..Overrides::default() };
    let config = read(text, &variables, &flags).unwrap();
    assert_eq!(config.brokers, "file:1");
    assert_eq!(config.namespace, "environment");
    assert_eq!(config.instance.as_deref(), Some("flag"));
    assert_eq!(config.lanes, Some(3));
    assert_eq!(config.partitions, 12);
}

#[test]
fn a_dotted_name_and_a_table_are_the_same() {
    for text in [
        "batch.max.records = 7\nadmin.addr = '0.0.0.0:0'",
        "[batch]\nmax.records = 7\n[admin]\naddr = '0.0.0.0:0'",
        "'batch.max.records' = 7\n'admin.addr' = '0.0.0.0:0'",
    ] {
        let config = read(text, &[], &Overrides::default()).unwrap();
        assert_eq!(config.batch_max_records, 7, "{text}");
        assert_eq!(config.admin_addr.to_string(), "0.0.0.0:0", "{text}");
    }
}

#[test]
fn every_setting_can_come_from_the_environment() {
    let variables = [
        ("THALWEG_BROKERS", "a:1,b:2"),
        ("THALWEG_INSTANCE", "007"),
        ("THALWEG_LANES", "2"),
        ("THALWEG_PARTITIONS", "4"),
        ("THALWEG_ADMIN_ADDR", "[::1]:80"),
        ("THALWEG_BATCH_MAX_RECORDS", "10"),
        ("THALWEG_SESSION_TIMEOUT_MS", "6000"),
        ("THALWEG_CHANNELS_PLAN_EVENTS", "events"),
        ("THALWEG_KAFKA_SASL_PASSWORD", "0123"),
        ("THALWEG_LOG", "debug"),
        ("THALWEG_TEST_BROKERS", "elsewhere:9092"),
        ("PATH", "/bin"),
    ];
    let config = Config::read(None, environment(&variables), &Overrides::default()).unwrap();
    assert_eq!(config.brokers, "a:1,b:2");
    assert_eq!(config.instance.as_deref(), Some("007"));
    assert_eq!((config.lanes, config.partitions), (Some(2), 4));
    assert_eq!(config.admin_addr.to_string(), "[::1]:80");
    assert_eq!((config.batch_max_records, config.session_timeout_ms), (10, 6000));
    assert_eq!(config.channels[&Channel::PlanEvents], "events");
    assert_eq!(config.client().get("sasl.password"), Some("0123"));
}

#[test]
fn an_unknown_setting_is_an_error_that_names_it() {
    let from_file = refused("batch.max.recordz = 1", &[]);
    assert!(from_file.contains("batch.max.recordz"), "{from_file}");
    assert!(from_file.contains("batch.max.records"), "{from_file}");
    let from_environment = refused("", &[("THALWEG_BROKER", "x:1")]);
    assert!(from_environment.contains("broker"), "{from_environment}");
}

#[test]
fn a_wrong_type_is_an_error_that_names_the_source() {
    let from_environment = refused("", &[("THALWEG_BATCH_MAX_RECORDS", "many")]);
    assert!(from_environment.contains("THALWEG_BATCH_MAX_RECORDS"), "{from_environment}");
    let from_file = refused("admin.addr = 'nowhere'", &[]);
    assert!(from_file.contains("admin.addr"), "{from_file}");
    assert!(refused("brokers = ", &[]).contains("configuration is invalid"));
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let missing = Path::new("not/there.toml");
    let error = Config::load(Some(missing), &Overrides::default()).unwrap_err();
    assert!(matches!(error, ConfigError::File { .. }), "{error}");
}

#[test]
fn an_unknown_channel_is_an_error_that_lists_the_eight() {
    let error = refused("[channels]\nplans = 'x'", &[]);
    assert!(error.contains("\"plans\""), "{error}");
    for channel in Channel::ALL {
        assert!(error.contains(channel.as_str()), "{error}");
    }
}

#[test]
fn kafka_settings_may_be_nested_quoted_and_numbers() {
    let text = "[kafka]\nsasl.password = 'file'\n'linger.ms' = 3\nenable.ssl.certificate.verification = false";
    let variables = [("THALWEG_KAFKA_SASL_PASSWORD", "environment")];
    let client = read(text, &variables, &Overrides::default()).unwrap().client();
    assert_eq!(client.get("sasl.password"), Some("environment"));
    assert_eq!(client.get("linger.ms"), Some("3"));
    assert_eq!(client.get("enable.ssl.certificate.verification"), Some("false"));
}

#[test]
fn a_client_has_the_brokers_and_may_be_renamed() {
    let mut config = usable();
    assert_eq!(config.client().get("bootstrap.servers"), Some("kafka:9092"));
    assert_eq!(config.client().get("client.id"), Some("thalweg"));
    config.kafka.set("client.id", "audit");
    assert_eq!(config.client().get("client.id"), Some("audit"));
}

#[test]
fn no_way_of_showing_shows_a_secret() {
    let mut config = usable();
    config.kafka.set("sasl.password", "hunter2");
    config.kafka.set("sasl.username", "alice");
    let display = config.to_string();
    for shown in [&display, &format!("{config:?}")] {
        assert!(!shown.contains("hunter2") && shown.contains("alice"), "{shown}");
    }
    assert!(display.contains("kafka.sasl.password = \"(hidden)\"\n"), "{display}");
    assert!(display.contains("batch.max.records = 1000\n"), "{display}");
}

#[test]
fn no_error_shows_a_secret() {
    let with_password = [("THALWEG_BROKERS", "alice:hunter2@kafka:9092")];
    for error in [
        refused("[kafka]\nsasl.password = hunter2", &[]),
        refused("[kafka]\nsasl.password = ['hunter2']", &[]),
        refused("brokers = 'SASL_SSL://alice:hunter2@kafka:9092'", &[]),
        refused("", &with_password),
        refused("", &[("THALWEG_SASL_PASSWORD", "hunter2")]),
    ] {
        assert!(!error.contains("hunter2"), "{error}");
    }
    let unquoted = refused("[kafka]\nsasl.password = hunter2", &[]);
    assert!(unquoted.contains("line 2"), "{unquoted}");
    assert!(refused("", &with_password).starts_with("brokers: must be host:port"));
}

#[test]
fn the_instance_is_the_host_and_the_bound_port_unless_set() {
    let mut config = usable();
    assert!(config.instance_name(4711).unwrap().ends_with(":4711"));
    config.instance = Some("router-0".into());
    assert_eq!(config.instance_name(4711).unwrap(), "router-0");
}

#[test]
fn values_that_can_not_work_are_named() {
    type Change = fn(&mut Config);
    let cases: &[(&str, Change)] = &[
        ("brokers", |c| c.brokers = " ".into()),
        ("namespace", |c| c.namespace = "a b".into()),
        ("namespace", |c| c.namespace = String::new()),
        ("namespace", |c| c.namespace = "n".repeat(129)),
        ("instance", |c| c.instance = Some("a\nb".into())),
        ("lanes", |c| c.lanes = Some(0)),
        ("lanes", |c| c.lanes = Some(65)),
        ("partitions", |c| c.partitions = 0),
        ("partitions", |c| c.partitions = 1001),
        ("batch.max.records", |c| c.batch_max_records = 0),
        ("step.max.events", |c| c.step_max_events = 0),
        ("commit.interval.ms", |c| c.commit_interval_ms = 0),
        ("commit.interval.ms", |c| c.commit_interval_ms = 10_000),
        ("step.max.ms", |c| c.step_max_ms = 10_000),
        ("inline.deadline.ms", |c| c.inline_deadline_ms = 30_000),
        ("inline.stuck.ms", |c| c.inline_stuck_ms = u64::MAX),
        ("transaction.timeout.ms", |c| c.session_timeout_ms = 10_000),
        ("payload.max.bytes", |c| c.payload_max_bytes = 0),
        ("payload.max.bytes", |c| c.payload_max_bytes = 600 * 1024),
        ("payload.max.bytes", |c| c.effects_max_bytes = usize::MAX),
        ("context.max.bytes", |c| c.context_max_bytes = 1024 * 1024),
        ("channels.task-events", |c| {
            c.channels.insert(Channel::TaskEvents, "a/b".into());
        }),
        ("channels.task-events", |c| {
            c.channels.insert(Channel::TaskEvents, "inbox".into());
        }),
        ("channels.task-events", |c| {
            c.channels.insert(Channel::TaskEvents, "thalweg.queue.work".into());
        }),
        ("kafka.group.id", |c| c.kafka.set("group.id", "x")),
    ];
    for (setting, change) in cases {
        let mut config = usable();
        change(&mut config);
        let error = config.check().unwrap_err().to_string();
        assert!(error.starts_with(setting), "{setting}: {error}");
    }
}
