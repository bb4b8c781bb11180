//! The log of a container: a second shell reads the output from a pipe and rotates the log, so that its size is bounded.
//!
//! The shell outlives the scheduler as the container does. It has a process group of its own, so a signal to the
//! container does not end it. It exits when the last writer has closed the pipe.

use std::io;
use std::path::Path;
use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::options::LocalOptions;

#[cfg(test)]
mod tests;

/// Maximum number of bytes of one read: the capacity of a pipe.
const MAX_READ_BYTES: u64 = 64 * 1024;

/// `$0` is the prefix of the container's files, `$1` the bytes of a read, `$2` the number of reads in half a log, `$3` the
/// bytes of half a log.
///
/// `dd` writes each read at once, and reads no more than it writes. A log that is at least half full is rotated, so it
/// never exceeds its maximum size. A log that did not grow means that the output has ended. Output that cannot be written
/// is dropped, because a container must not block on its log.
const SCRIPT: &str = r#"true >> "$0.log"
size=$(wc -c < "$0.log")
while :; do
  dd bs="$1" count="$2" >> "$0.log" 2> /dev/null || exec cat > /dev/null
  now=$(wc -c < "$0.log")
  [ "$now" -eq "$size" ] && exit
  size=$now
  if [ "$now" -ge "$3" ]; then
    mv -f "$0.log" "$0.log.1" || true > "$0.log"
    size=0
  fi
done
"#;

/// Starts the log writer of the container with this path prefix. Returns its process and the pipe for the output.
pub(crate) fn spawn(prefix: &Path, options: &LocalOptions) -> io::Result<(Child, io::PipeWriter)> {
    let (output, writer) = io::pipe()?;
    let half = (options.log_cap / 2).max(1);
    let block = half.min(MAX_READ_BYTES);
    let path = options.environment.get("PATH").map_or("", String::as_str);
    let child = Command::new("/bin/sh")
        .args(["-c", SCRIPT])
        .arg(prefix)
        .args([block, half / block, half].map(|number| number.to_string()))
        .env_clear()
        .env("PATH", format!("{path}:/usr/bin:/bin"))
        .current_dir("/")
        .stdin(output)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(false)
        .spawn()?;
    Ok((child, writer))
}
