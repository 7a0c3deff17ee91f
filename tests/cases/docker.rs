//! The containers, with the commands of the README. Where there is no Docker engine, or an image can't be had, the test
//! says so and passes, for libtest knows no way to skip at run time; .ci/run counts what it says.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::cases::console_tools::readme_block;
use crate::support::{Process, eventually_observed, namespace};

/// For a question to the engine or to a registry.
const QUESTION_DEADLINE: Duration = Duration::from_secs(20);
/// For the build of the image from nothing, and the images that it and the services need.
const UP_DEADLINE: Duration = Duration::from_secs(3600);
/// For what the containers do, the time-out of a killed router's session included.
const DEADLINE: Duration = Duration::from_secs(120);

/// What every command of the README on the containers begins with.
const COMPOSE: &str = "docker compose -f docker/compose.yaml";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs a line of the shell in the root of the repository; its output where it ends well and in time.
fn try_shell(line: &str, deadline: Duration) -> Result<String, String> {
    let mut command = Command::new("bash");
    command.args(["-c", line]).current_dir(root());
    let mut shell = Process::spawn_with_input(line, command, Stdio::null());
    if !shell.exits_within(deadline) {
        return Err(format!("`{line}` takes longer than {deadline:?}: {}", shell.log()));
    }
    if shell.wait_exit(deadline).success() { Ok(shell.stdout()) } else { Err(format!("`{line}`: {}", shell.log())) }
}

#[track_caller]
fn shell(line: &str, deadline: Duration) -> String {
    try_shell(line, deadline).unwrap_or_else(|failure| panic!("{failure}"))
}

/// Why the containers can't be tested here.
fn reason_to_skip() -> Option<String> {
    let question = |line: &str| try_shell(line, QUESTION_DEADLINE);
    let images = question("docker info --format '{{.ServerVersion}}'")
        .and_then(|_| question("docker compose version"))
        .and_then(|_| question(&format!("{COMPOSE} config --images kafka prometheus")));
    let images = match images {
        Ok(images) => images,
        Err(failure) => return Some(failure),
    };
    let dockerfile = std::fs::read_to_string(root().join("docker/Dockerfile")).unwrap();
    let bases = dockerfile.lines().filter_map(|line| line.strip_prefix("FROM ")?.split(' ').next());
    let had = |image: &str| question(&format!("docker image inspect {image} || docker manifest inspect {image}"));
    images.lines().chain(bases).find_map(|image| had(image).err())
}

/// The services of compose.yaml as a project of their own. It is taken down when dropped.
struct Project {
    name: String,
    directory: TempDir,
}

impl Project {
    fn new() -> Project {
        let directory = tempfile::tempdir().unwrap();
        // The ports of this machine may be taken.
        let change = "services: {kafka: {ports: !reset []}, prometheus: {ports: !reset []}}\n";
        std::fs::write(directory.path().join("change.yaml"), change).unwrap();
        Project { name: namespace("compose"), directory }
    }

    /// A command of the README, for this project.
    fn of_readme(&self, block: &str) -> String {
        self.adapted(&readme_block(block).join(" "))
    }

    fn adapted(&self, line: &str) -> String {
        let change = self.directory.path().join("change.yaml");
        let compose = format!("{COMPOSE} -f {} -p {}", change.display(), self.name);
        line.replace(COMPOSE, &compose).replace("thalweg-router-", &format!("{}-router-", self.name))
    }

    /// What `docker compose` says to these arguments.
    #[track_caller]
    fn compose(&self, arguments: &str) -> String {
        shell(&self.adapted(&format!("{COMPOSE} {arguments}")), DEADLINE)
    }

    /// Waits until so many routers run and their health checks are content.
    fn await_healthy(&self, count: usize) {
        let routers = self.adapted(&format!("$({COMPOSE} ps --quiet router)"));
        let states = format!("docker inspect --format '{{{{.State.Health.Status}}}}' {routers}");
        eventually_observed(DEADLINE, &format!("{count} healthy routers"), || {
            let states = try_shell(&states, DEADLINE)?;
            let healthy = states.lines().filter(|state| *state == "healthy").count();
            if (healthy, states.lines().count()) == (count, count) { Ok(()) } else { Err(states) }
        });
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{:?}", try_shell(&self.adapted(&format!("{COMPOSE} logs --tail 50")), DEADLINE));
        }
        let ended = try_shell(&self.adapted(&format!("{COMPOSE} down --volumes --timeout 5")), DEADLINE);
        if let Err(failure) = ended {
            eprintln!("the containers are left: {failure}");
        }
    }
}

#[test]
fn the_containers_do_what_the_readme_says() {
    if let Some(reason) = reason_to_skip() {
        // The test's own output is shown only when it fails; this is not part of it.
        let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
        writeln!(std::io::stderr(), "skipped: the containers can't be brought up here: {reason}").unwrap();
        return;
    }
    let project = Project::new();
    shell(&project.of_readme("containers: up"), UP_DEADLINE);
    project.await_healthy(2);

    shell(&project.of_readme("containers: produce"), DEADLINE);
    let history = project.of_readme("containers: history");
    eventually_observed(DEADLINE, "the claim is complete", || match try_shell(&history, DEADLINE) {
        Ok(history) if history.contains("workflow.completed") => Ok(()),
        Ok(other) | Err(other) => Err(other),
    });

    shell(&project.of_readme("containers: scale"), DEADLINE);
    project.await_healthy(4);
    shell(&project.of_readme("containers: kill"), DEADLINE);
    let completed = shell(&project.of_readme("containers: start"), DEADLINE);
    assert!(completed.contains("SUCCESS"), "{completed}");
    project.await_healthy(3);

    // Each is a process of a user without rights on files that it can't change.
    let user = project.compose("exec -T router sh -c 'id -u; touch /tmp/x 2>&1 || true'");
    assert!(user.contains("10001") && user.contains("Read-only file system"), "{user}");

    // Prometheus finds the routers by the name of their service.
    eventually_observed(DEADLINE, "Prometheus scrapes three routers", || {
        let query = "exec -T prometheus promtool query instant http://localhost:9090 'sum(up{job=\"thalweg\"})'";
        let answer = project.compose(query);
        if answer.contains("=> 3 @") { Ok(()) } else { Err(answer) }
    });
}
