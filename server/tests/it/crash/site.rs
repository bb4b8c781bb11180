//! The files of one scheduler, which outlive its processes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ecs_scheduler_test_support::free_port;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take on a busy machine before a test gives up.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
/// The interval of checks of a condition.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A folder with task definitions, a database and the oracle.
pub(crate) struct Site {
    root: PathBuf,
    /// The scheduler's port in every life.
    pub(crate) port: u16,
    /// Variables for each life, beside the paths of its files.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// Removes the folder in the end.
    _kept: Option<TempDir>,
}

impl Site {
    /// Makes a site whose tasks are local processes.
    pub(crate) fn new() -> Self {
        let mut site = Self::bare();
        let definitions = site.path("definitions");
        std::fs::create_dir(&definitions).unwrap();
        site.environment = vec![
            ("ECSS_LAUNCHER", "local".to_owned()),
            ("ECSS_LOCAL_TASK_DEFINITIONS", definitions.to_str().unwrap().to_owned()),
        ];
        site
    }

    /// Makes a site without a launcher.
    pub(crate) fn bare() -> Self {
        let root = tempfile::tempdir().unwrap();
        let (port, environment) = (free_port(), Vec::new());
        Self { root: root.path().to_owned(), port, environment, _kept: Some(root) }
    }

    /// Returns the site that another process made here.
    pub(crate) fn at(root: PathBuf) -> Self {
        Self { root, port: 0, environment: Vec::new(), _kept: None }
    }

    /// Gives each life this configuration file.
    pub(crate) fn configure(&mut self, config: &Value) {
        let file = self.path("scheduler.yaml");
        // JSON is YAML.
        std::fs::write(&file, config.to_string()).unwrap();
        self.environment.push(("ECSS_CONFIG_FILE", file.to_str().unwrap().to_owned()));
    }

    /// Returns the channels of the configuration file, if there is one.
    pub(crate) fn channels(&self) -> Option<Value> {
        let text = std::fs::read_to_string(self.path("scheduler.yaml")).ok()?;
        Some(serde_json::from_str::<Value>(&text).unwrap()["notify"].take())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Defines a task that notes its start, then does this.
    pub(crate) fn define(&self, family: &str, then: &str) {
        let command = format!("echo \"$ECSS_FIRING_ID\" >> \"$ORACLE\"; {then}");
        let definition = json!({
            "family": family,
            "containerDefinitions": [{
                "name": "main",
                "command": ["sh", "-c", command],
                "environment": [{"name": "ORACLE", "value": self.path("oracle")}],
            }],
        });
        let file = self.path("definitions").join(family).with_extension("json");
        std::fs::write(file, definition.to_string()).unwrap();
    }

    /// Returns how many tasks of each firing really started.
    pub(crate) fn starts(&self) -> HashMap<String, usize> {
        let mut starts = HashMap::new();
        // Nothing has started where there is no file.
        for line in std::fs::read_to_string(self.path("oracle")).unwrap_or_default().lines() {
            *starts.entry(line.to_owned()).or_default() += 1;
        }
        starts
    }

    /// Returns what every process has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Waits until so many tasks have started.
    pub(crate) async fn wait_for_starts(&self, count: usize) {
        until("tasks start", async || self.starts().values().sum::<usize>() >= count).await;
    }
}

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    until_within(DEADLINE, what, condition).await;
}

/// Waits until a condition holds, but no longer than this.
pub(crate) async fn until_within(deadline: Duration, what: &str, condition: impl AsyncFn() -> bool) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    tokio::time::timeout(deadline, wait).await.unwrap_or_else(|_| panic!("timed out: {what}"));
}
