//! The settings of the brokers that a router depends on.

use thalweg_runtime::inspection::{InspectionError, Look, Settings};

use super::check::{Area, Check};
use super::examination::Examination;
use super::topics::differs;

const AREA: Area = Area::Brokers;
const TRANSACTION_MAX: &str = "transaction.max.timeout.ms";
const SESSION_MIN: &str = "group.min.session.timeout.ms";
const SESSION_MAX: &str = "group.max.session.timeout.ms";
const AUTO_CREATE: &str = "auto.create.topics.enable";
const OFFSETS_RETENTION: &str = "offsets.retention.minutes";
const TRANSACTION_MIN_IN_SYNC: &str = "transaction.state.log.min.isr";
/// How often the brokers' own topics are replicated, with what stops when such a topic is away.
const REPLICATION: [(&str, &str, &str); 2] = [
    ("transaction.state.log.replication.factor", "__transaction_state", "transactions"),
    ("offsets.topic.replication.factor", "__consumer_offsets", "the routers' group"),
];

/// The findings.
pub fn checks(examination: &Examination) -> Result<Vec<Check>, InspectionError> {
    let mut checks = Vec::new();
    let internal = examination.inspector.look(REPLICATION.map(|(_, topic, _)| topic))?;
    for (id, settings) in &examination.broker_settings {
        let Some(settings) = settings else { continue };
        let broker = Broker { subject: format!("broker {id}"), settings };
        checks.extend(broker.limits(examination));
        checks.extend(broker.auto_create());
        for (setting, topic, what) in REPLICATION {
            let exists = internal.get(topic).is_some_and(|look| matches!(look, Look::Exists(_)));
            checks.extend(broker.replication(setting, what, (!exists).then_some(examination.brokers.len())));
        }
        checks.extend(broker.transaction_in_sync());
    }
    let findings = examination.inspector.topic_findings()?;
    let retention = findings.iter().find(|finding| finding.setting == OFFSETS_RETENTION);
    match retention {
        Some(finding) => checks.push(differs(AREA, finding)),
        None => checks.extend(retention_as_wanted(examination)),
    }
    Ok(checks)
}

fn retention_as_wanted(examination: &Examination) -> Vec<Check> {
    let told = examination.broker_settings.iter();
    let told = told.filter_map(|(id, settings)| Some((id, settings.as_ref()?.get(OFFSETS_RETENTION)?)));
    told.map(|(id, minutes)| Check::ok(AREA, OFFSETS_RETENTION, format!("broker {id}"), minutes)).collect()
}

/// A broker whose settings can be read.
struct Broker<'a> {
    subject: String,
    settings: &'a Settings,
}

impl Broker<'_> {
    fn number(&self, setting: &str) -> Option<u64> {
        self.settings.get(setting)?.parse().ok()
    }

    /// The brokers' limits of what the routers ask for.
    fn limits(&self, examination: &Examination) -> Vec<Check> {
        let config = &examination.config;
        let limits = [
            (TRANSACTION_MAX, "transaction.timeout.ms", config.transaction_timeout_ms, true),
            (SESSION_MAX, "session.timeout.ms", config.session_timeout_ms, true),
            (SESSION_MIN, "session.timeout.ms", config.session_timeout_ms, false),
        ];
        let check = |(setting, ours, asked, is_most): (&str, &str, u64, bool)| {
            let value = self.number(setting)?;
            if (is_most && asked <= value) || (!is_most && asked >= value) {
                return Some(Check::ok(AREA, setting, &self.subject, value.to_string()));
            }
            let bound = if is_most { "at least" } else { "at most" };
            let check = Check::problem(AREA, setting, &self.subject, value.to_string());
            Some(check.expected(format!("{bound} {asked}")).advice(format!(
                "routers ask for {asked} and are refused: set `{ours} = {value}` for them, or {setting} of the brokers"
            )))
        };
        limits.into_iter().filter_map(check).collect()
    }

    fn auto_create(&self) -> Option<Check> {
        let value = self.settings.get(AUTO_CREATE)?;
        if value != "true" {
            return Some(Check::ok(AREA, AUTO_CREATE, &self.subject, value));
        }
        let advice = "a mistyped topic is created instead of being told, and a topic of the namespace may be created \
                      with the wrong settings: set it to false on the brokers";
        Some(Check::warning(AREA, AUTO_CREATE, &self.subject, value).expected("false").advice(advice))
    }

    /// `creating`: how many brokers there are, where the topic is yet to be created.
    fn replication(&self, setting: &str, what: &str, creating: Option<usize>) -> Option<Check> {
        let value = self.number(setting)?;
        let few = creating.and_then(|brokers| u64::try_from(brokers).ok()).filter(|brokers| *brokers < value);
        if let Some(brokers) = few {
            let advice = format!("{what} can't begin: start {value} brokers, or set {setting} to {brokers}");
            let check = Check::problem(AREA, setting, &self.subject, value.to_string());
            return Some(check.expected(format!("at most {brokers}, the brokers there are")).advice(advice));
        }
        if value > 1 {
            return Some(Check::ok(AREA, setting, &self.subject, value.to_string()));
        }
        let advice = format!("one broker down stops {what}: 3 where that matters, before the topic is created");
        Some(Check::warning(AREA, setting, &self.subject, "1").expected("3").advice(advice))
    }

    fn transaction_in_sync(&self) -> Option<Check> {
        let (least, copies) = (self.number(TRANSACTION_MIN_IN_SYNC)?, self.number(REPLICATION[0].0)?);
        let found = format!("{least}, of {copies}");
        if least > copies {
            let check = Check::warning(AREA, TRANSACTION_MIN_IN_SYNC, &self.subject, found);
            let advice = "newer brokers take the number of replicas instead, so that one of them down stops \
                          transactions; older ones begin none: set it below the replication factor";
            return Some(check.expected(format!("at most {copies}")).advice(advice));
        }
        if copies > 1 && least == copies {
            let check = Check::warning(AREA, TRANSACTION_MIN_IN_SYNC, &self.subject, found);
            let advice = "one broker down stops transactions: have a replica more than must be in sync";
            return Some(check.expected("less").advice(advice));
        }
        if copies > 1 && least == 1 {
            let check = Check::warning(AREA, TRANSACTION_MIN_IN_SYNC, &self.subject, found);
            let advice = "whether a transaction was committed may be known to one broker only: set it to 2";
            return Some(check.expected("2").advice(advice));
        }
        Some(Check::ok(AREA, TRANSACTION_MIN_IN_SYNC, &self.subject, found))
    }
}
