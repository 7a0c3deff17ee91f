//! Whether each address answers, and what is in the way where it does not.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;

use super::TIMEOUT;
use super::listener::Listener;
use crate::config::Config;

/// Addresses that are tried at most, all at once.
const ADDRESSES_MAX: usize = 64;
/// One look for an answer; between two, the reasons why there is none are taken in.
const SLICE: Duration = Duration::from_millis(100);
/// How long other addresses of the same name are tried: the first may be one of IPv6 where nobody listens.
const GRACE: Duration = Duration::from_secs(1);

/// A broker as the cluster advertises it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BrokerAddress {
    /// Its id.
    pub id: i32,
    /// Its host and port.
    pub address: String,
}

/// An address, and what came of asking it.
#[derive(Clone, Debug)]
pub struct Contact {
    /// host:port.
    pub address: String,
    /// The brokers of the cluster as it knows them.
    pub answer: Result<Vec<BrokerAddress>, ContactFailure>,
}

/// What is in the way, with librdkafka's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContactFailure {
    /// The name has no address.
    Unresolved(String),
    /// Nobody takes the connection.
    Unconnected(String),
    /// The TLS handshake failed.
    Tls(String),
    /// The broker does not accept who asks.
    Authentication(String),
    /// The connection is taken, and closed or left without an answer.
    Silent(String),
}

impl ContactFailure {
    /// Was there somebody, who refused?
    pub fn is_refusal(&self) -> bool {
        matches!(self, ContactFailure::Tls(_) | ContactFailure::Authentication(_))
    }
}

impl fmt::Display for ContactFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, words) = match self {
            ContactFailure::Unresolved(words) => ("the name is not resolved", words),
            ContactFailure::Unconnected(words) => ("no connection", words),
            ContactFailure::Tls(words) => ("no TLS", words),
            ContactFailure::Authentication(words) => ("not authenticated", words),
            ContactFailure::Silent(words) => ("no answer", words),
        };
        write!(f, "{what}: {words}")
    }
}

/// Asks each of these addresses, all at once.
pub fn contact(config: &Config, addresses: &[String]) -> Vec<Contact> {
    thread::scope(|scope| {
        let asked = addresses.iter().take(ADDRESSES_MAX);
        let asking: Vec<_> = asked.map(|address| (address, scope.spawn(|| ask(config, address)))).collect();
        let answered = asking.into_iter().map(|(address, thread)| Contact {
            address: address.clone(),
            answer: thread.join().unwrap_or_else(|_| Err(ContactFailure::Silent("the look broke off".to_owned()))),
        });
        answered.collect()
    })
}

fn ask(config: &Config, address: &str) -> Result<Vec<BrokerAddress>, ContactFailure> {
    let mut client = config.client();
    client.set("bootstrap.servers", address);
    let unusable = |error: KafkaError| ContactFailure::Silent(error.to_string());
    let consumer: BaseConsumer<Listener> = client.create_with_context(Listener::default()).map_err(unusable)?;
    let mut deadline = Instant::now() + TIMEOUT;
    loop {
        match consumer.fetch_metadata(None, SLICE) {
            Ok(metadata) => return Ok(brokers(&metadata)),
            Err(error) => {
                // Errors are told to the context inside of polls.
                while let Some(Err(_)) = consumer.poll(Duration::ZERO) {}
                let errors = consumer.context().errors();
                if errors.iter().any(|(code, _)| *code == RDKafkaErrorCode::AllBrokersDown) {
                    deadline = deadline.min(Instant::now() + GRACE);
                }
                let failure = failure(&errors, &error);
                if failure.is_refusal() || Instant::now() >= deadline {
                    return Err(failure);
                }
            }
        }
    }
}

pub(super) fn brokers(metadata: &Metadata) -> Vec<BrokerAddress> {
    let address =
        |host: &str, port| if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let known = metadata.brokers().iter();
    let mut brokers: Vec<_> =
        known.map(|b| BrokerAddress { id: b.id(), address: address(b.host(), b.port()) }).collect();
    brokers.sort();
    brokers
}

/// The error that tells most.
fn failure(errors: &[(RDKafkaErrorCode, String)], otherwise: &KafkaError) -> ContactFailure {
    let told = |wanted: RDKafkaErrorCode| {
        let first = errors.iter().find(|(code, _)| *code == wanted);
        first.map(|(_, words)| concise(words))
    };
    if let Some(words) = told(RDKafkaErrorCode::Authentication) {
        return ContactFailure::Authentication(words);
    }
    if let Some(words) = told(RDKafkaErrorCode::SSL) {
        return ContactFailure::Tls(words);
    }
    if let Some(words) = told(RDKafkaErrorCode::Resolve) {
        return ContactFailure::Unresolved(words);
    }
    match told(RDKafkaErrorCode::BrokerTransportFailure) {
        // A listener without TLS hangs up.
        Some(words) if words.contains("SSL handshake failed") => ContactFailure::Tls(words),
        Some(words) if words.contains("Connect to ") => ContactFailure::Unconnected(words),
        Some(words) => ContactFailure::Silent(words),
        None => ContactFailure::Silent(otherwise.to_string()),
    }
}

/// librdkafka's words without the address before them and the client's state behind them.
fn concise(words: &str) -> String {
    let words = words.split_once("/bootstrap: ").map_or(words, |(_, rest)| rest);
    words.rsplit_once(" (after ").map_or(words, |(rest, _)| rest).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kept_and_what_surrounds_them_is_not() {
        let words = "ssl://h:1/bootstrap: SSL handshake failed: Disconnected (after 3ms in state SSL_HANDSHAKE)";
        assert_eq!(concise(words), "SSL handshake failed: Disconnected");
        assert_eq!(concise("Connect to ipv4#h:1 failed"), "Connect to ipv4#h:1 failed");
    }
}
