//! A container's log: a second shell reads its output from a pipe, so that the log is bounded while it is written.
//!
//! The shell outlives the scheduler as the container does. It has its own process group, so no signal to the container ends it,
//! and it ends by itself when nobody can write any more.

use std::io;
use std::path::Path;
use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::LocalOptions;

#[cfg(test)]
mod tests;

/// The most bytes of one read: what a pipe holds.
const BLOCK: u64 = 64 * 1024;

/// `$0` is where the container's files begin, `$1` the bytes of a read, `$2` how many reads make half a log, `$3` the bytes of half
/// a log.
///
/// `dd` writes each read at once, and reads no more than it writes. A log that is half full or more becomes the part before; so
/// it is never longer than a whole one. A log that did not grow means that the output is over. What cannot be written
/// is dropped, since a writer must not stop for its log.
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

/// Starts what writes the log of a container whose files begin with `prefix`. Returns it and where the output goes.
pub(crate) fn keep(prefix: &Path, options: &LocalOptions) -> io::Result<(Child, io::PipeWriter)> {
    let (output, writer) = io::pipe()?;
    let half = (options.log_cap / 2).max(1);
    let block = half.min(BLOCK);
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
