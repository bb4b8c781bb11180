//! Settings of the local launcher.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::{Clock, SystemClock};

/// The variables that a container inherits from the scheduler's environment, if they are set.
const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// The folders and limits of a local launcher.
#[derive(Debug, Clone)]
pub struct LocalOptions {
    /// The folder of task definitions, `*.json`.
    pub definitions: PathBuf,
    /// The folder of the launcher's own files; created if it is missing, and used by one launcher at a time.
    pub data: PathBuf,
    /// The cluster's name in task ids. Default `default`.
    pub cluster: String,
    /// Maximum number of tasks that are pending or running at once, over all jobs. Default 200.
    pub max_tasks: usize,
    /// Maximum size of a container's log in bytes; one rotated log is kept. Default 10 MiB.
    pub log_cap: u64,
    /// Maximum size of all logs in bytes; the oldest are removed, but never the current log of a running container.
    /// Default 1 GiB.
    pub logs_cap: u64,
    /// Maximum number of ended tasks whose files are kept; the newest are kept. Default 1,000.
    pub keep_ended: usize,
    /// Maximum time for which an ended task's files are kept. Default 24 h.
    pub keep_for: Duration,
    /// Variables of every container. Default: `PATH`, `HOME`, `LANG` and `TZ` of this process.
    pub environment: BTreeMap<String, String>,
    /// Whether every container gets the variables of its firing, and not only those that a job overrides. Default true.
    pub variables: bool,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl LocalOptions {
    /// Makes options with these two folders and the default of everything else.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "not configuration: a process inherits these variables however the launcher is configured"
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
