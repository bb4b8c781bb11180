//! A channel that runs a program, with the event on its standard input.

use std::path::Path;
use std::pin::pin;
use std::process::Stdio;
use std::time::Duration;

use ecs_scheduler_core::DeliveryError;
use futures::FutureExt as _;
use rustix::process::{Pid, Signal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

/// How long the program may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long its standard error is read after it has ended: a program that it left running may keep it open.
const READ_AFTER_END: Duration = Duration::from_millis(100);
/// The maximum number of bytes of its standard error that are read for a message.
const MAX_STDERR: u64 = 4_096;
/// The maximum number of characters of them that an error shows.
const MAX_SHOWN: usize = 200;

/// A program and its arguments. No shell interprets them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CommandChannel {
    program: String,
    arguments: Vec<String>,
}

impl CommandChannel {
    /// Makes the channel of a program and its arguments; none without a program.
    pub(super) fn new(mut argv: Vec<String>) -> Option<Self> {
        if argv.first().is_none_or(String::is_empty) {
            return None;
        }
        let program = argv.remove(0);
        Some(Self { program, arguments: argv })
    }

    /// Checks that the program exists, if it is given by a path.
    pub(super) fn check(&self) -> Result<String, String> {
        let program = &self.program;
        if !program.contains('/') {
            return Ok(format!("{program} is looked up in PATH when it is needed"));
        }
        if Path::new(program).is_file() {
            Ok(format!("{program} exists"))
        } else {
            Err(format!("{program} is no file"))
        }
    }

    /// Runs the program once. It gets the event on its standard input, and its id as `ECSS_NOTIFICATION_ID`.
    ///
    /// # Errors
    ///
    /// Fails unless the program ends with exit code 0 in time.
    pub(super) async fn run(&self, id: &str, event: &str) -> Result<(), DeliveryError> {
        let program = &self.program;
        let failed = |why: String| DeliveryError::failed(format!("could not run {program}: {why}"));
        let spawned = Command::new(program)
            .args(&self.arguments)
            .env("ECSS_NOTIFICATION_ID", id)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let mut child = spawned.map_err(|error| failed(error.to_string()))?;
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
        let run = async {
            let write = async {
                if let Some(mut stdin) = stdin {
                    // A program that does not read its input is none of our concern: its exit code decides.
                    let _ = stdin.write_all(event.as_bytes()).await;
                }
            };
            let mut told = Vec::new();
            let read = async {
                if let Some(mut stderr) = stderr {
                    let _ = (&mut stderr).take(MAX_STDERR).read_to_end(&mut told).await;
                    // The program must not wait for a reader.
                    let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
                }
            };
            let ended = {
                let mut talk = pin!(futures::future::join(write, read).fuse());
                tokio::select! {
                    ended = child.wait() => {
                        let _ = tokio::time::timeout(READ_AFTER_END, talk).await;
                        ended
                    }
                    _ = &mut talk => child.wait().await,
                }
            };
            (ended, told)
        };
        let (ended, told) = tokio::time::timeout(TIMEOUT, run).await.map_err(|_| {
            // With the programs that it has started.
            if let Some(group) = group {
                let _ = rustix::process::kill_process_group(group, Signal::KILL);
            }
            failed(format!("it did not end within {} s", TIMEOUT.as_secs()))
        })?;
        let status = ended.map_err(|error| failed(error.to_string()))?;
        if status.success() {
            return Ok(());
        }
        let told: String = String::from_utf8_lossy(&told).trim().chars().take(MAX_SHOWN).collect();
        let told = if told.is_empty() { told } else { format!(": {told}") };
        Err(DeliveryError::failed(format!("{program} ended with {status}{told}")))
    }
}
