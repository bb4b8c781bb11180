//! **The** list of built-in triggers, launchers and stores: the one place where concrete types meet.
//!
//! To add a trigger: one dependency in `Cargo.toml`, one line in [`triggers`].

use std::sync::Arc;

use ecs_scheduler_backend_local::{LocalLauncher, LocalOptions};
use ecs_scheduler_backend_sqlite::{SqliteOptions, SqliteStore};
use ecs_scheduler_core::memory::MemoryStore;
use ecs_scheduler_core::{
    Clock, ConfigError, FaultKind, LaunchError, Launcher, Store, StoreError, TriggerRegistry,
};
use ecs_scheduler_trigger_compose::{All, Any, Sum, Window};
use ecs_scheduler_trigger_cron::Cron;
use serde_json::json;

use crate::api::Installed;
use crate::config::{Config, LauncherConfig, StoreConfig};

/// Adds the built-in triggers.
///
/// # Errors
///
/// Fails when a kind is installed already.
pub fn triggers(registry: &mut TriggerRegistry) -> Result<(), ConfigError> {
    registry.add(Cron)?;
    registry.add(Window)?;
    registry.add(All)?;
    registry.add(Any)?;
    registry.add(Sum)
}

/// Opens the store that is configured.
///
/// # Errors
///
/// Fails with what is wrong and the remedy.
pub async fn store(config: &StoreConfig, clock: Arc<dyn Clock>) -> Result<Arc<dyn Store>, StoreError> {
    Ok(match config {
        StoreConfig::Memory => Arc::new(MemoryStore::default()),
        StoreConfig::Sqlite { file } => {
            let options = SqliteOptions { clock, ..SqliteOptions::default() };
            Arc::new(SqliteStore::open(file, options).await?)
        }
    })
}

/// Opens the launcher that is configured.
///
/// # Errors
///
/// Fails with what is wrong and the remedy.
pub async fn launcher(config: &Config, clock: Arc<dyn Clock>) -> Result<Arc<dyn Launcher>, LaunchError> {
    match &config.launcher {
        LauncherConfig::Local { definitions } => {
            std::fs::create_dir_all(definitions).map_err(|error| {
                let message = format!("could not make the folder \"{}\"", definitions.display());
                LaunchError::new(FaultKind::Config, message).because(error)
            })?;
            let data = config.data_dir.join("local");
            let options = LocalOptions { clock, ..LocalOptions::new(definitions, data) };
            Ok(Arc::new(LocalLauncher::open(options).await?))
        }
    }
}

/// Lists the launchers of this build; the one in use is marked.
#[must_use]
pub fn launchers(in_use: &LauncherConfig) -> Vec<Installed> {
    let nothing = json!({ "type": "object", "additionalProperties": false });
    let LauncherConfig::Local { .. } = in_use;
    vec![Installed {
        kind: "local".to_owned(),
        summary: "Runs the commands of task definitions as processes of this machine".to_owned(),
        active: true,
        schema: nothing,
    }]
}

/// Lists the stores of this build; the one in use is marked.
#[must_use]
pub fn stores(in_use: &StoreConfig) -> Vec<Installed> {
    let options =
        |properties| json!({ "type": "object", "additionalProperties": false, "properties": properties });
    let file = json!({ "ECSS_SQLITE_FILE": { "type": "string", "description": "The database file" } });
    vec![
        Installed {
            kind: "memory".to_owned(),
            summary: "Keeps everything in the process, and forgets it at the end".to_owned(),
            active: matches!(in_use, StoreConfig::Memory),
            schema: options(json!({})),
        },
        Installed {
            kind: "sqlite".to_owned(),
            summary: "Keeps everything in one SQLite file".to_owned(),
            active: matches!(in_use, StoreConfig::Sqlite { .. }),
            schema: options(file),
        },
    ]
}
