//! Runs tasks from a spool folder: `spool-worker FOLDER NAME SLOTS`.

use std::num::NonZeroUsize;
use std::time::Duration;

use spool_scheduler::Spool;
use spool_scheduler::worker::Worker;

const USAGE: &str =
    "usage: spool-worker FOLDER NAME SLOTS; NAME is this worker's own, SLOTS is its number of tasks at once";

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = || std::io::Error::other(USAGE);
    let [folder, name, slots] = arguments.as_slice() else { return Err(usage()) };
    let slots: NonZeroUsize = slots.parse().map_err(|_| usage())?;
    Worker::new(Spool::open(folder)?, name.as_str(), Duration::from_secs(1))?.run(slots).await
}
