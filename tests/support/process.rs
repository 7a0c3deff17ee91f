//! A child process that does not outlive the test.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, kill_process};

pub use rustix::process::Signal;

use super::condition::{eventually, within};

/// So much of a log is shown when a test fails.
const LINES_SHOWN: usize = 200;

/// A child process; killed when dropped. When that happens in a panic, its log is shown.
pub struct Process {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    stdout: File,
    stderr: File,
}

impl Process {
    /// Starts `command` with nothing on its standard input. `name` is what panics call it.
    #[track_caller]
    pub fn spawn(name: &str, command: Command) -> Process {
        Process::spawn_with_input(name, command, Stdio::null())
    }

    /// Starts `command` with `input` as its standard input: a file, or [`Stdio::piped`], which
    /// stays open until [`Process::close_input`].
    #[track_caller]
    pub fn spawn_with_input(name: &str, mut command: Command, input: impl Into<Stdio>) -> Process {
        // Files without a name take any amount unread, and are gone with the last process.
        let stdout = tempfile::tempfile().expect("a file for standard output");
        let stderr = tempfile::tempfile().expect("a file for standard error");
        command
            .stdin(input)
            .stdout(stdout.try_clone().expect("a second handle"))
            .stderr(stderr.try_clone().expect("a second handle"));
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => panic!("{name} cannot be started: {error}"),
        };
        Process { name: name.to_owned(), input: child.stdin.take(), child, stdout, stderr }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to a piped standard input.
    #[track_caller]
    pub fn write_line(&mut self, line: &str) {
        let input = self.input.as_mut().expect("a piped standard input");
        writeln!(input, "{line}").and_then(|()| input.flush()).expect("a child that reads");
    }

    /// Ends a piped standard input.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Whether the process has not ended.
    pub fn is_running(&mut self) -> bool {
        self.exit_status().is_none()
    }

    /// Sends `signal`: `TERM`, `STOP`, `CONT`, `KILL`.
    #[track_caller]
    pub fn signal(&mut self, signal: Signal) {
        // Until its end is collected the id is the child's; afterwards it may be anyone's.
        assert!(self.is_running(), "{} has ended before {signal:?}", self.name);
        kill_process(Pid::from_child(&self.child), signal).expect("a child takes signals");
    }

    /// Waits for the end of the process; panics at the deadline.
    #[track_caller]
    pub fn wait_exit(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        eventually(deadline, &what, || self.exit_status())
    }

    /// Whether the process ended before the deadline.
    pub fn exits_within(&mut self, deadline: Duration) -> bool {
        within(deadline, || self.exit_status()).is_some()
    }

    /// Another handle of its standard error, which is still to be read when the process is gone.
    pub fn stderr_handle(&self) -> File {
        self.stderr.try_clone().expect("a second handle")
    }

    /// All that was written to standard output so far.
    pub fn stdout(&self) -> String {
        contents(&self.stdout)
    }

    /// All that was written to standard error so far.
    pub fn stderr(&self) -> String {
        contents(&self.stderr)
    }

    /// Standard output, then standard error, so far.
    pub fn log(&self) -> String {
        self.stdout() + &self.stderr()
    }

    /// How the process ended, where it has.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only when the process has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
            eprintln!("---- log of {} ----\n{}\n----", self.name, shown.join("\n"));
        }
    }
}

/// Reads without moving the position, which the writing child shares.
pub(super) fn contents(file: &File) -> String {
    let length = file.metadata().expect("an open file has a length").len();
    let mut bytes = vec![0; usize::try_from(length).expect("a log fits memory")];
    file.read_exact_at(&mut bytes, 0).expect("a log only grows");
    String::from_utf8_lossy(&bytes).into_owned()
}
