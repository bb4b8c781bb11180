//! The resolved configuration.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use ecs_scheduler_core::replica::ReplicaId;
use ecs_scheduler_core::{Budget, Clock, LauncherSetup};

use super::choice::{LauncherConfig, StoreConfig};
use crate::access::OpenResource;
use crate::notify::NotifyConfig;

/// The highest value of `ECSS_MAX_TASKS`.
pub const MAX_TASKS_LIMIT: u32 = 10_000;
/// The highest value of `ECSS_HISTORY_DAYS`: a hundred years.
pub const HISTORY_DAYS_LIMIT: u32 = 36_500;

/// The value of `ECSS_ALLOWED_HOSTS` that allows every name.
pub const ANY_HOST: &str = "*";

/// The maximum length of a scheduler's name, in characters.
///
/// `startedBy` of a task is `<name>/<job id>`, which ECS limits to 128 characters.
pub const NAME_LIMIT: usize = 64;

/// The configuration of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The name of this scheduler.
    pub name: String,
    /// The address of the API.
    pub listen: SocketAddr,
    /// How clients authenticate.
    pub auth: AuthConfig,
    /// The names of the host that clients may use, beside IP addresses and `localhost`.
    pub allowed_hosts: Vec<String>,
    /// The maximum number of tasks of each job.
    pub max_tasks: NonZeroU32,
    /// The number of days for which history is kept.
    pub history_days: NonZeroU32,
    /// The data folder.
    pub data_dir: PathBuf,
    /// The log level and the log folder.
    pub log: LogConfig,
    /// The store of jobs and history.
    pub store: StoreConfig,
    /// The launcher.
    pub launcher: LauncherConfig,
    /// Whether every container of a task gets the variables of its firing, not only the overridden ones.
    pub task_variables: bool,
    /// Access to AWS.
    pub aws: AwsConfig,
    /// The budgets that jobs share.
    pub budgets: Vec<Budget>,
    /// The channels of notifications.
    pub notify: NotifyConfig,
    /// The identity of this process among the replicas on the same store.
    pub replica: ReplicaConfig,
    /// The access token of commands that talk to a running server.
    pub token: Option<String>,
}

impl Config {
    /// Returns the values and services from which the chosen launcher is opened.
    #[must_use]
    pub fn launcher_setup(&self, clock: Arc<dyn Clock>) -> LauncherSetup<'_> {
        LauncherSetup::new(&self.launcher.settings, &self.name, &self.data_dir, clock)
            .with_task_variables(self.task_variables)
    }
}

/// How clients authenticate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthConfig {
    /// Whether they need access tokens.
    pub tokens: bool,
    /// The resources that need none.
    pub open: Vec<OpenResource>,
}

/// The identity of a process among the replicas on the same store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplicaConfig {
    /// Its name; a random one when absent.
    pub id: Option<ReplicaId>,
    /// The URL at which the others reach its API, `http://10.0.0.7:5000`; by default the address of the API.
    pub advertise: Option<String>,
}

/// Access to AWS, in addition to the SDK's own configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwsConfig {
    /// The role for other accounts, with `{account}` in place of the number.
    pub assume_role: Option<String>,
    /// The external id that the role requires.
    pub external_id: Option<String>,
}

/// The log file in the folder of [`LogConfig`], and the older one.
pub const LOG_FILES: [&str; 2] = ["app.log", "app.log.1"];

/// The log level and the log folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// The level.
    pub level: LogLevel,
    /// The folder of `app.log`; none writes no file.
    pub folder: Option<PathBuf>,
}

/// The log level; the names are Python's, and `TRACE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// `CRITICAL`, `FATAL` and `ERROR`.
    Error,
    /// `WARNING` and `WARN`.
    Warning,
    /// `INFO`.
    Info,
    /// `DEBUG`.
    Debug,
    /// `TRACE` and `NOTSET`: also the libraries' events.
    Trace,
}

impl FromStr for LogLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_uppercase().as_str() {
            "CRITICAL" | "FATAL" | "ERROR" => Ok(Self::Error),
            "WARNING" | "WARN" => Ok(Self::Warning),
            "INFO" => Ok(Self::Info),
            "DEBUG" => Ok(Self::Debug),
            "TRACE" | "NOTSET" => Ok(Self::Trace),
            _ => Err(format!(
                "\"{text}\" is not a log level; known are CRITICAL, ERROR, WARNING, INFO, DEBUG, TRACE"
            )),
        }
    }
}
