//! Users and rights on a broker, by Kafka's own tool and client.

use std::fmt;
use std::process::Stdio;
use std::time::Duration;

use super::broker::JAVA_OF_TOOLS;
use super::condition::eventually;
use super::jars;
use super::process::Process;

/// For one command, the start of Java included.
const DEADLINE: Duration = Duration::from_secs(60);

/// Administers a broker; one Java for all its commands.
pub struct Administrator {
    process: Process,
    /// Bytes of the answers that were taken.
    taken: usize,
}

/// One right of a principal, as the broker lists it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    pub principal: String,
    /// `READ`, `WRITE`, `DESCRIBE_CONFIGS`, ...
    pub operation: String,
    /// `TOPIC`, `GROUP`, `TRANSACTIONAL_ID`, `CLUSTER`.
    pub kind: String,
    pub name: String,
    /// `LITERAL` or `PREFIXED`.
    pub pattern: String,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {} {}", self.operation, self.kind, self.name)
    }
}

impl Administrator {
    /// Of the broker at `bootstrap`, where everyone is a super user.
    pub fn of(bootstrap: &str) -> Administrator {
        let mut command = jars::java(&JAVA_OF_TOOLS);
        command.arg(jars::kafka_directory().join("administrator.java")).arg(bootstrap);
        Administrator { process: Process::spawn_with_input("the administrator", command, Stdio::piped()), taken: 0 }
    }

    /// Adds a user, who shows a password by SCRAM-SHA-512.
    #[track_caller]
    pub fn add_user(&mut self, name: &str, password: &str) {
        self.ask(&["user", name, password]);
    }

    /// Runs `kafka-acls.sh` with these arguments.
    #[track_caller]
    pub fn kafka_acls(&mut self, arguments: &[&str]) {
        self.ask(&[&["kafka-acls"], arguments].concat());
    }

    /// Waits until the broker has all that was changed before: it takes changes in one after the other, so one more,
    /// which is taken back again, is the last. It is the principal's own, for others change theirs meanwhile.
    #[track_caller]
    pub fn await_changes(&mut self, principal: &str) {
        let word = str::to_owned;
        let last = Right {
            principal: word(principal),
            operation: word("DESCRIBE"),
            kind: word("TOPIC"),
            name: word("nothing"),
            pattern: word("LITERAL"),
        };
        self.add(&last);
        self.remove(&last);
    }

    /// The rights of a principal.
    #[track_caller]
    pub fn rights(&mut self, principal: &str) -> Vec<Right> {
        let lines = self.ask(&["list", principal]);
        let mut rights: Vec<Right> = lines
            .iter()
            .map(|line| {
                let mut words = line.split('\t').map(str::to_owned);
                let mut word = || words.next().expect("five words");
                Right { principal: word(), operation: word(), kind: word(), name: word(), pattern: word() }
            })
            .collect();
        rights.sort();
        rights
    }

    /// Gives a principal every right.
    #[track_caller]
    pub fn allow_all(&mut self, principal: &str) {
        for (kind, name) in [("TOPIC", "*"), ("GROUP", "*"), ("TRANSACTIONAL_ID", "*"), ("CLUSTER", "kafka-cluster")] {
            self.ask(&["add", principal, "ALL", kind, name, "LITERAL"]);
        }
    }

    /// Takes a right away; it is gone when this returns.
    #[track_caller]
    pub fn remove(&mut self, right: &Right) {
        self.change("remove", right);
    }

    /// Gives a right; it is in force when this returns.
    #[track_caller]
    pub fn add(&mut self, right: &Right) {
        self.change("add", right);
    }

    #[track_caller]
    fn change(&mut self, what: &str, right: &Right) {
        self.ask(&[what, &right.principal, &right.operation, &right.kind, &right.name, &right.pattern]);
    }

    /// Gives a command, and returns the lines that answer it.
    #[track_caller]
    fn ask(&mut self, words: &[&str]) -> Vec<String> {
        self.process.write_line(&words.join("\t"));
        let (process, taken) = (&self.process, self.taken);
        let answer = eventually(DEADLINE, "an answer of the administrator", || {
            let new = process.stdout().split_off(taken);
            let last = new.strip_suffix('\n')?.lines().next_back()?;
            (last == "done" || last.starts_with("failed:")).then_some(new)
        });
        self.taken += answer.len();
        let mut lines: Vec<String> = answer.lines().map(str::to_owned).collect();
        let end = lines.pop();
        assert_eq!(end.as_deref(), Some("done"), "{words:?}");
        lines
    }
}
