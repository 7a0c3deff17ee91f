//! Whether the brokers answer, and whether they know who asks.

use std::collections::BTreeSet;

use thalweg_runtime::Config;
use thalweg_runtime::inspection::{BrokerAddress, Contact, ContactFailure, contact};

use super::check::{Area, Check, Level};

const AREA: Area = Area::Connection;

/// What came of asking each address that is configured, and each that the cluster advertises.
pub struct Contacts {
    configured: Vec<Contact>,
    advertised: Vec<(BrokerAddress, Contact)>,
}

impl Contacts {
    /// Asks them.
    pub fn make(config: &Config) -> Contacts {
        let addresses: Vec<String> = config.brokers.split(',').map(|address| address.trim().to_owned()).collect();
        let configured = contact(config, &addresses);
        let told: BTreeSet<BrokerAddress> =
            configured.iter().filter_map(|contact| contact.answer.as_ref().ok()).flatten().cloned().collect();
        let (known, other): (Vec<_>, Vec<_>) =
            told.into_iter().partition(|broker| configured.iter().any(|contact| contact.address == broker.address));
        let asked: Vec<String> = other.iter().map(|broker| broker.address.clone()).collect();
        let known = known.into_iter().filter_map(|broker| {
            let contact = configured.iter().find(|contact| contact.address == broker.address)?.clone();
            Some((broker, contact))
        });
        let mut advertised: Vec<_> = known.collect();
        advertised.extend(other.into_iter().zip(contact(config, &asked)));
        advertised.sort_by_key(|(broker, _)| broker.id);
        Contacts { configured, advertised }
    }

    /// Did one of the brokers answer where the cluster says that it is? That is where everything else is asked.
    pub fn is_connected(&self) -> bool {
        self.advertised.iter().any(|(_, contact)| contact.answer.is_ok())
    }

    /// Why the first address that failed did.
    pub fn first_failure(&self) -> Option<&ContactFailure> {
        let contacts = self.configured.iter().chain(self.advertised.iter().map(|(_, contact)| contact));
        contacts.filter_map(|contact| contact.answer.as_ref().err()).next()
    }

    /// The findings.
    pub fn checks(&self, config: &Config) -> Vec<Check> {
        let is_reached = self.configured.iter().any(|contact| contact.answer.is_ok());
        let mut checks: Vec<Check> = self.configured.iter().map(|contact| configured(contact, is_reached)).collect();
        if is_reached {
            checks.push(Check::ok(AREA, "authenticated", who(config), "accepted"));
        }
        checks.extend(self.advertised.iter().map(|(broker, contact)| advertised(broker, contact)));
        checks
    }
}

fn configured(contact: &Contact, another_is_reached: bool) -> Check {
    let Err(failure) = &contact.answer else { return Check::ok(AREA, "reachable", &contact.address, "answers") };
    if failure.is_refusal() {
        let check = if matches!(failure, ContactFailure::Tls(_)) { "encrypted" } else { "authenticated" };
        return Check::problem(AREA, check, &contact.address, failure.to_string()).advice(advice(failure));
    }
    let level = if another_is_reached { Level::Warning } else { Level::Problem };
    Check::new(AREA, level, "reachable", &contact.address, failure.to_string())
        .expected("answers")
        .advice(advice(failure))
}

fn advertised(broker: &BrokerAddress, contact: &Contact) -> Check {
    let subject = format!("broker {} at {}", broker.id, broker.address);
    let Err(failure) = &contact.answer else { return Check::ok(AREA, "advertised", subject, "answers") };
    Check::problem(AREA, "advertised", subject, failure.to_string()).expected("answers").advice(format!(
        "clients are sent to this address after the first contact: make it reachable from here, or mend the broker's \
         advertised.listeners ({})",
        advice(failure)
    ))
}

fn advice(failure: &ContactFailure) -> &'static str {
    match failure {
        ContactFailure::Unresolved(_) => "correct the host name, or the name service of this machine",
        ContactFailure::Unconnected(_) => "start the broker, correct host and port, or open the way to it",
        ContactFailure::Tls(_) => {
            "the listener's security.protocol under [kafka]; with SSL or SASL_SSL ssl.ca.location must hold the CA of \
             the broker's certificate"
        }
        ContactFailure::Authentication(_) => {
            "correct sasl.mechanisms, sasl.username and sasl.password under [kafka], or create the user on the brokers"
        }
        ContactFailure::Silent(_) => {
            "see that this is a Kafka listener, and that security.protocol under [kafka] is the listener's"
        }
    }
}

/// How, and as whom.
fn who(config: &Config) -> String {
    let client = config.client();
    let protocol = client.get("security.protocol").unwrap_or("plaintext").to_uppercase();
    let user = client.get("sasl.username").filter(|_| protocol.starts_with("SASL"));
    user.map_or_else(|| format!("by {protocol}"), |user| format!("{user} by {protocol}"))
}

#[cfg(test)]
mod tests {
    use super::super::check::Level;
    use super::*;

    #[test]
    fn an_advertised_address_that_does_not_answer_is_a_problem() {
        let broker = BrokerAddress { id: 2, address: "kafka-2:9092".to_owned() };
        let answer = Err(ContactFailure::Unresolved("Failed to resolve".to_owned()));
        let contact = Contact { address: broker.address.clone(), answer };
        let reached = Contact { address: "b:1".to_owned(), answer: Ok(vec![broker.clone()]) };
        let contacts = Contacts { configured: vec![reached], advertised: vec![(broker, contact)] };
        assert!(!contacts.is_connected());
        let checks = contacts.checks(&Config::default());
        let check = checks.iter().find(|check| check.check == "advertised").unwrap();
        assert_eq!((check.level, check.subject.as_str()), (Level::Problem, "broker 2 at kafka-2:9092"));
        assert!(check.advice.as_ref().unwrap().contains("advertised.listeners"));
    }
}
