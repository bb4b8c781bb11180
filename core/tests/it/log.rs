//! Records the log: events with the spans that they are in.

use std::io::Write;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing::{Dispatch, Level};

/// A second subscriber. With a single one, an event that another thread logs first would be off for all threads.
static SECOND: OnceLock<Dispatch> = OnceLock::new();

/// Records log events, one line each: level, spans from the outermost, message and fields.
#[derive(Debug, Default, Clone)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Records events at `INFO` and above of this thread, until the guard is dropped.
    pub(crate) fn listen() -> (Self, DefaultGuard) {
        Self::listen_at(Level::INFO)
    }

    /// Records events at this level and above.
    pub(crate) fn listen_at(level: Level) -> (Self, DefaultGuard) {
        SECOND.get_or_init(|| Dispatch::new(NoSubscriber::default()));
        let log = Self::default();
        let writer = log.clone();
        let format = tracing_subscriber::fmt().with_ansi(false).without_time().with_max_level(level);
        let guard = tracing::subscriber::set_default(format.with_writer(move || writer.clone()).finish());
        (log, guard)
    }

    /// Returns the lines that contain a text.
    pub(crate) fn with(&self, text: &str) -> Vec<String> {
        let log = String::from_utf8(self.0.lock().clone()).unwrap();
        log.lines().filter(|line| line.contains(text)).map(|line| line.trim_start().to_owned()).collect()
    }
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().write(line)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
