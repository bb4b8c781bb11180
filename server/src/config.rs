//! The configuration: settings from flags, environment and file, checked before anything starts.
//!
//! [`Providers`] holds the installed stores and launchers and the one table of settings; [`values`] gathers the values that were
//! set; [`Config`] is their meaning. Only this module reads the environment.

pub mod format;
pub mod reference;
pub mod report;
pub mod setting;
pub mod values;

mod choice;
mod file;
mod nearest;
mod paths;
mod providers;
mod resolve;
mod types;

pub use choice::{Chosen, LauncherConfig, StoreConfig};
pub(crate) use nearest::nearest;
pub use providers::{Absent, Providers};
pub(crate) use resolve::{
    chosen_store as resolve_store, listen as resolve_listen, of_server as resolve_of_server,
    offline as resolve_offline, offline_on_ecs as resolve_offline_on_ecs, server as resolve_server,
    token as resolve_token,
};
pub use types::{
    ANY_HOST, AuthConfig, AwsConfig, Config, HISTORY_DAYS_LIMIT, LOG_FILES, LogConfig, LogLevel,
    MAX_TASKS_LIMIT, NAME_LIMIT, ReplicaConfig,
};

pub use crate::error::ConfigRejected;

#[cfg(test)]
mod tests;
