//! How a local launcher is set up.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::{Clock, SystemClock};

/// What a container's process takes from the scheduler's own environment, if it is there.
const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// Where the local launcher finds its definitions, keeps its files, and how much it may do.
#[derive(Debug, Clone)]
pub struct LocalOptions {
    /// The folder of task definitions, `*.json`.
    pub definitions: PathBuf,
    /// The folder of the launcher's own files; created if it is missing, used by one launcher at a time.
    pub data: PathBuf,
    /// The cluster's name in task ids. Default `default`.
    pub cluster: String,
    /// Tasks that may be pending or running at once, over all jobs. Default 200.
    pub max_tasks: usize,
    /// Bytes of a container's log at most; the part before is kept once. Default 10 MiB.
    pub log_cap: u64,
    /// Bytes of all logs together: the oldest parts beyond it go. What runs keeps its newest part. Default 1 GiB.
    pub logs_cap: u64,
    /// Ended tasks whose files are kept at least, the newest first out. Default 1,000.
    pub keep_ended: usize,
    /// How long an ended task's files are kept at most. Default 24 h.
    pub keep_for: Duration,
    /// What every container's environment begins with. Default: `PATH`, `HOME`, `LANG` and `TZ` of this process.
    pub environment: BTreeMap<String, String>,
    /// Whether every container is told of its firing, and not only those that a job overrides. Default true.
    pub variables: bool,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl LocalOptions {
    /// Names the two folders and takes the default of everything else.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "not configuration: what a process inherits, whoever wires the launcher"
    )]
    pub fn new(definitions: impl Into<PathBuf>, data: impl Into<PathBuf>) -> Self {
        let known = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            let name = name.into_string().ok().filter(|name| INHERITED.contains(&&**name))?;
            Some((name, value.into_string().ok()?))
        };
        Self {
            definitions: definitions.into(),
            data: data.into(),
            cluster: "default".to_owned(),
            max_tasks: 200,
            log_cap: 10 * 1024 * 1024,
            logs_cap: 1024 * 1024 * 1024,
            keep_ended: 1_000,
            keep_for: Duration::from_hours(24),
            environment: std::env::vars_os().filter_map(known).collect(),
            variables: true,
            clock: Arc::new(SystemClock),
        }
    }
}
