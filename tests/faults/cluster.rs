//! A broker of the fault runs' own, to be hurt, and a proxy before it.

use thalweg_runtime::Config;

use super::proxy::Proxy;
use super::round::{Round, Skipped};
use crate::namespace::{Namespace, one_topic};
use crate::support::{Broker, BrokerSettings};

/// What these brokers differ in: what is to be compacted is compacted at once.
pub const PROPERTIES: [(&str, &str); 2] = [("log.cleaner.backoff.ms", "100"), ("log.segment.delete.delay.ms", "1000")];

/// A broker, whose clients are sent to the proxy, and those of its other listener are not.
pub struct Cluster {
    pub broker: Broker,
    pub proxy: Proxy,
}

impl Cluster {
    /// That of the round's group; it is started at the first call, and after a round that failed.
    pub fn of<'a>(round: &'a mut Round) -> Result<&'a mut Cluster, Skipped> {
        if !Broker::can_be_a_process() {
            return Err(Skipped("a broker of its own needs a JDK and Maven".to_owned()));
        }
        Ok(round.cluster.get_or_insert_with(Cluster::start))
    }

    fn start() -> Cluster {
        let proxy = Proxy::listen();
        let settings = BrokerSettings {
            properties: &PROPERTIES,
            advertised_port: Some(proxy.port()),
            ..BrokerSettings::default()
        };
        let broker = Broker::start_process(settings);
        proxy.serve(broker.bootstrap().to_owned());
        Cluster { broker, proxy }
    }

    /// A namespace on it, past the proxy.
    pub fn namespace(&self, fault: &str) -> Namespace {
        namespace_on(&self.broker, fault, one_topic)
    }

    /// Tells, where the broker has ended and nobody ended it, what it said last.
    pub fn tell_end(&mut self) {
        if let Some(process) = self.broker.process()
            && !process.is_running()
        {
            eprintln!("---- the broker has ended; its log ----\n{}\n----", process.log());
        }
    }
}

/// A namespace for routers to be hurt in: on the group's broker, or on that of all tests where no other can be started.
pub fn namespace(round: &mut Round, fault: &str, change: impl FnOnce(&mut Config)) -> Namespace {
    match Cluster::of(round) {
        Ok(cluster) => namespace_on(&cluster.broker, fault, change),
        Err(_) => Namespace::with(fault, change),
    }
}

/// A namespace on this broker, with two partitions and what `change` makes of its configuration.
pub fn namespace_on(broker: &Broker, fault: &str, change: impl FnOnce(&mut Config)) -> Namespace {
    Namespace::with(fault, |config| {
        config.brokers = broker.internal_bootstrap().to_owned();
        change(config);
    })
}
