//! What a Kafka client reports on its own, beside the answers to what it was asked.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::warn;

use super::rate_limit::RateLimit;

/// How often the same error of the same client is logged. While a broker is away, librdkafka reports at every try to
/// reconnect that all of them are down (its issue 5546), and keeps what was reported until it is polled.
const SAME_ERROR_INTERVAL: Duration = Duration::from_secs(10);

/// The errors that a client reports. It goes on by itself, so they are told and no more.
#[derive(Debug)]
pub(crate) struct ClientErrors {
    client: &'static str,
    /// By the error, of which librdkafka has a closed set.
    limit: Mutex<RateLimit<String>>,
}

impl ClientErrors {
    /// Those of this client, by what it is for.
    pub fn of(client: &'static str) -> ClientErrors {
        ClientErrors { client, limit: Mutex::new(RateLimit::new(SAME_ERROR_INTERVAL)) }
    }

    /// Logs it, unless the same was logged just now; then it is counted in the next line. `reason` is the client's own
    /// words for this time.
    pub fn emit(&self, error: &str, reason: &str) {
        let due = self.limit.lock().unwrap_or_else(PoisonError::into_inner).due(error.to_owned(), Instant::now());
        if let Some(held_back) = due {
            warn!(client = self.client, error, reason, held_back, "a Kafka client reports an error and goes on");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Lines;
        fn make_writer(&self) -> Lines {
            self.clone()
        }
    }

    /// What a router's consumer reports in the two minutes that a broker is away, polled all at once.
    #[test]
    fn the_same_error_a_thousand_times_is_one_line() {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt().with_writer(lines.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            let errors = ClientErrors::of("consumer of the inbox");
            for _ in 0..1000 {
                errors.emit("AllBrokersDown", "2/2 brokers are down");
            }
            errors.emit("UnknownMember", "the group does not know it");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let written: Vec<&str> = text.lines().collect();
        assert_eq!(written.len(), 2, "{text}");
        assert!(written[0].contains("2/2 brokers are down") && written[1].contains("UnknownMember"), "{text}");
    }
}
