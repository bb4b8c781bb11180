//! The configuration as the server uses it.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use ecs_scheduler_core::replica::ReplicaId;
use ecs_scheduler_core::{Clock, LauncherSetup};

use super::choice::{LauncherConfig, StoreConfig};

/// The highest value of `ECSS_MAX_TASKS`.
pub const MAX_TASKS_LIMIT: u32 = 10_000;
/// The highest value of `ECSS_HISTORY_DAYS`: a hundred years.
pub const HISTORY_DAYS_LIMIT: u32 = 36_500;

/// The value of `ECSS_ALLOWED_HOSTS` that lets every name in.
pub const ANY_HOST: &str = "*";

/// The most characters of a scheduler's name.
///
/// Tasks are started by `<name>/<job id>`, for which ECS has 128 characters.
pub const NAME_LIMIT: usize = 64;

/// Everything that a server needs to know before it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The name of this scheduler.
    pub name: String,
    /// Where the API listens.
    pub listen: SocketAddr,
    /// The names of the host that clients may use, beside IP addresses and `localhost`.
    pub allowed_hosts: Vec<String>,
    /// The bound of every job.
    pub max_tasks: NonZeroU32,
    /// For how many days history is kept.
    pub history_days: NonZeroU32,
    /// The folder of everything that is kept.
    pub data_dir: PathBuf,
    /// The log level and the log folder.
    pub log: LogConfig,
    /// Where jobs and history are kept.
    pub store: StoreConfig,
    /// The launcher.
    pub launcher: LauncherConfig,
    /// Whether every container of a task gets the variables of its firing, not only the overridden ones.
    pub task_variables: bool,
    /// Access to AWS.
    pub aws: AwsConfig,
    /// Who this process is among others on the same store.
    pub replica: ReplicaConfig,
}

impl Config {
    /// Returns the values and services from which the chosen launcher is opened.
    #[must_use]
    pub fn launcher_setup(&self, clock: Arc<dyn Clock>) -> LauncherSetup<'_> {
        LauncherSetup::new(&self.launcher.settings, &self.name, &self.data_dir, clock)
            .with_task_variables(self.task_variables)
    }
}

/// Who a process is among others on the same store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplicaConfig {
    /// Its name; a random one when absent.
    pub id: Option<ReplicaId>,
    /// Where the others reach its API, `http://10.0.0.7:5000`; where it listens when absent.
    pub advertise: Option<String>,
}

/// Access to AWS, beside what the SDK finds by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwsConfig {
    /// The role for other accounts, with `{account}` in place of the number.
    pub assume_role: Option<String>,
    /// The external id that the role asks for.
    pub external_id: Option<String>,
}

/// The log level and the log folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// How much.
    pub level: LogLevel,
    /// The folder of `app.log`, if it is to be written.
    pub folder: Option<PathBuf>,
}

/// How much is logged; the names are Python's, and `TRACE`.
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
    /// `TRACE` and `NOTSET`: also what the libraries say.
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

/// Why a configuration is refused: one line per problem, all that were found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigRejected(pub Vec<String>);

impl fmt::Display for ConfigRejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}
