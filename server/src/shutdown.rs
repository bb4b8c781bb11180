//! When to stop: the first signal asks for it, the second insists.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signal of a file that may not grow further; the same number on every Linux.
const SIGXFSZ: i32 = 25;

/// How long a server may take to stop, in all. Each step of the way has its share.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long requests under way may take to end.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);
/// How long launches under way may take to be journalled.
pub const ENGINE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the store may take to write what is pending.
pub const STORE_TIMEOUT: Duration = Duration::from_secs(2);

/// Makes a write beyond the limit of a file's size an error, like that of a full disk, instead of the end of the process.
///
/// A handler, and the signal is not ignored, because what is ignored here is ignored by the tasks of the local launcher too. It stays
/// for as long as the process lives.
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
