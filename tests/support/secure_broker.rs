//! A broker that takes clients over TLS alone, asks them for a password, and lets them do what they have rights for.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use super::administrator::Administrator;
use super::broker::Broker;

const STORE_PASSWORD: &str = "of-the-key-store";

/// The secured broker of this test run, started at the first call.
pub fn secure_broker() -> &'static SecureBroker {
    static BROKER: LazyLock<SecureBroker> = LazyLock::new(SecureBroker::start);
    &BROKER
}

/// A broker whose clients need TLS, SCRAM-SHA-512 and rights; the tools connect as super users.
pub struct SecureBroker {
    broker: Broker,
    directory: PathBuf,
    administrator: Mutex<Administrator>,
}

impl SecureBroker {
    fn start() -> SecureBroker {
        // The key store is read for as long as the broker runs, and that is to the end of this process.
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory for the keys").keep();
        let key = ["-genkeypair", "-storetype", "PKCS12", "-keyalg", "RSA", "-validity", "3"];
        let name = ["-dname", "CN=127.0.0.1", "-ext", "san=ip:127.0.0.1"];
        keytool(&directory, &[key.as_slice(), &name].concat());
        keytool(&directory, &["-exportcert", "-rfc", "-file", "ca.pem"]);
        let broker = Broker::start(&[
            ("listener.security.protocol.map", "CLIENTS:SASL_SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"),
            ("sasl.enabled.mechanisms", "SCRAM-SHA-512"),
            (
                "listener.name.clients.scram-sha-512.sasl.jaas.config",
                "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            ),
            ("ssl.keystore.location", &directory.join("broker.p12").display().to_string()),
            ("ssl.keystore.password", STORE_PASSWORD),
            ("ssl.keystore.type", "PKCS12"),
            ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
            ("allow.everyone.if.no.acl.found", "false"),
            ("super.users", "User:ANONYMOUS"),
            // Shorter than the inbox's: `topics` tells it to those who may know.
            ("offsets.retention.minutes", "1000"),
        ]);
        let administrator = Mutex::new(Administrator::of(broker.internal_bootstrap()));
        SecureBroker { broker, directory, administrator }
    }

    /// The broker.
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Who adds users and changes rights; one test at a time.
    pub fn administrator(&self) -> MutexGuard<'_, Administrator> {
        self.administrator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The settings of `[kafka]` by which a user connects.
    pub fn settings(&self, user: &str, password: &str) -> Vec<(&'static str, String)> {
        vec![
            ("security.protocol", "SASL_SSL".to_owned()),
            ("sasl.mechanisms", "SCRAM-SHA-512".to_owned()),
            ("sasl.username", user.to_owned()),
            ("sasl.password", password.to_owned()),
            ("ssl.ca.location", self.directory.join("ca.pem").display().to_string()),
        ]
    }
}

fn keytool(directory: &Path, arguments: &[&str]) {
    let mut command = Command::new("keytool");
    command.current_dir(directory).args(arguments);
    command.args(["-keystore", "broker.p12", "-storepass", STORE_PASSWORD, "-alias", "broker"]);
    let output = command.output().expect("keytool comes with Java");
    assert!(output.status.success(), "keytool: {}", String::from_utf8_lossy(&output.stdout));
}
