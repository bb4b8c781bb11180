//! Shutdown: the first signal starts an orderly stop, the second one ends the process.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signal of a file that may not grow further; the same number on every Linux.
const SIGXFSZ: i32 = 25;

/// The time limit of a shutdown as a whole. Each step has a part of it.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
/// The time limit for requests in progress.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);
/// The time limit for journalling launches in progress.
pub const ENGINE_TIMEOUT: Duration = Duration::from_secs(5);
/// The time limit for pending writes of the store.
pub const STORE_TIMEOUT: Duration = Duration::from_secs(2);

/// Makes a write beyond the limit of a file's size an error, like that of a full disk, instead of the end of the
/// process.
///
/// It installs a handler instead of ignoring the signal, because tasks of the local launcher would inherit an ignored
/// signal. The handler stays for the life of the process.
///
/// # Errors
///
/// Fails when the system refuses.
pub fn handle_file_size_signal() -> io::Result<()> {
    signal(SignalKind::from_raw(SIGXFSZ)).map(drop)
}

/// The signals that end a process in good order: `SIGTERM` and `SIGINT`.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals over; from now on they do not end the process by themselves.
    ///
    /// # Errors
    ///
    /// Fails when the system refuses.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next signal and returns its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DRAIN_TIMEOUT, ENGINE_TIMEOUT, SHUTDOWN_TIMEOUT, STORE_TIMEOUT};

    #[test]
    fn the_steps_fit_into_the_shutdown_timeout() {
        assert!(DRAIN_TIMEOUT + ENGINE_TIMEOUT + STORE_TIMEOUT <= SHUTDOWN_TIMEOUT);
    }
}
