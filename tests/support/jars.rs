//! The jars of Apache Kafka, fetched by Maven once for each change of `tests/kafka/pom.xml`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use super::process::Process;

const POM: &str = include_str!("../kafka/pom.xml");

/// Enough for 54 MB over a slow line; the other test processes wait meanwhile.
const FETCH_DEADLINE: Duration = Duration::from_secs(600);

/// What to install where nothing can run Kafka.
pub(super) const NEEDED: &str = "the tests on Kafka need a JDK (17 or later) and Maven on the \
    PATH (Debian: `apt install openjdk-17-jdk-headless maven`), or Docker; or name a running \
    cluster in THALWEG_TEST_BROKERS (its console tools still need the JDK and Maven)";

/// The version of Kafka that `pom.xml` names.
pub(super) fn kafka_version() -> &'static str {
    POM.split_once("<kafka.version>")
        .and_then(|(_, rest)| rest.split_once("</kafka.version>"))
        .map(|(version, _)| version)
        .expect("pom.xml has a property kafka.version")
}

/// The directory of `pom.xml` and of the broker's program: the package that is compiled lies at the root or below it.
pub(super) fn kafka_directory() -> PathBuf {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let found = above.map(|directory| directory.join("tests/kafka")).find(|found| found.join("pom.xml").is_file());
    found.expect("a directory tests/kafka")
}

/// Whether Kafka can run here from its jars. The broker's program is compiled as it starts, so
/// a Java without a compiler does not do.
pub(super) fn can_run() -> bool {
    is_on_path("javac") && (is_on_path("mvn") || are_fetched(&kafka_directory().join("libs")))
}

/// Whether the shell would find `program`.
pub(super) fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// `java` with these options and the jars on its class path.
#[track_caller]
pub(super) fn java(options: &[&str]) -> Command {
    static LIBS: LazyLock<PathBuf> = LazyLock::new(fetch);
    let mut command = Command::new("java");
    command.args(options).arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn").arg("-classpath").arg(LIBS.join("*"));
    command
}

/// Fetches the jars unless they are there, one test process at a time.
fn fetch() -> PathBuf {
    assert!(can_run(), "{NEEDED}");
    let libs = kafka_directory().join("libs");
    fs::create_dir_all(&libs).expect("a directory for the jars");
    let lock = File::create(libs.join("lock")).expect("a lock file beside the jars");
    lock.lock().expect("the lock of the jars");
    if !are_fetched(&libs) {
        remove_jars(&libs);
        let mut maven = Command::new("mvn");
        maven.args(["--batch-mode", "--quiet", "dependency:copy-dependencies"]).current_dir(kafka_directory());
        let mut maven = Process::spawn("Maven", maven);
        let status = maven.wait_exit(FETCH_DEADLINE);
        assert!(status.success(), "Maven did not fetch Kafka: {status}");
        fs::write(fetched_for(&libs), POM).expect("the mark of complete jars");
    }
    libs
}

/// The `pom.xml` that the jars were fetched for, written after the last jar.
fn fetched_for(libs: &Path) -> PathBuf {
    libs.join("fetched-for.xml")
}

fn are_fetched(libs: &Path) -> bool {
    fs::read_to_string(fetched_for(libs)).is_ok_and(|pom| pom == POM)
}

/// Two versions of a jar on one class path would mix.
fn remove_jars(libs: &Path) {
    for entry in fs::read_dir(libs).expect("the directory of the jars") {
        let path = entry.expect("an entry of that directory").path();
        if path.extension().is_some_and(|extension| extension == "jar") {
            fs::remove_file(&path).expect("an old jar can be removed");
        }
    }
}
