//! How far the demo is: a line that changes on a terminal, else a line now and then.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

const LIVE_INTERVAL: Duration = Duration::from_millis(100);
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// Back to the first column, and clear the line.
const CLEAR: &str = "\r\u{1b}[K";

/// The progress line, on standard error.
pub struct Progress {
    live: bool,
    shown: Instant,
}

impl Progress {
    /// Nothing shown yet.
    pub fn new() -> Progress {
        Progress { live: io::stderr().is_terminal(), shown: Instant::now() }
    }

    /// Shows the text if it is time.
    pub fn show(&mut self, text: impl FnOnce() -> String) {
        let interval = if self.live { LIVE_INTERVAL } else { LINE_INTERVAL };
        if self.shown.elapsed() >= interval {
            self.shown = Instant::now();
            self.write(&text());
        }
    }

    fn write(&self, text: &str) {
        let mut stderr = io::stderr().lock();
        // Where standard error is closed nobody misses the progress.
        let _ = if self.live { write!(stderr, "{CLEAR}{text}") } else { writeln!(stderr, "{text}") };
        let _ = stderr.flush();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.live {
            self.write("");
        }
    }
}
