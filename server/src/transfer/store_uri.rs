//! Names of stores on the command line, such as `sqlite:FILE`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use ecs_scheduler_core::{OpenMode, Store};

use crate::config::report::without_logins;
use crate::config::values::Values;
use crate::config::{ConfigRejected, StoreConfig, resolve_store};
use crate::error::CommandError;
use crate::server::{MEMORY, ServerBuilder};
use crate::wiring;

#[cfg(test)]
mod tests;

/// The URI of a store: `sqlite:FILE`, `postgres://…`, `dynamodb:TABLE`, `s3:BUCKET/PREFIX`,
/// `elasticsearch:INDEX@URL`. Other settings come from the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreUri {
    /// The form for messages: without a password.
    shown: String,
    /// The settings that the URI stands for.
    settings: Vec<(&'static str, String)>,
}

impl FromStr for StoreUri {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = "a store is sqlite:FILE, postgres://USER@HOST/DATABASE, dynamodb:TABLE, s3:BUCKET/PREFIX or \
                     elasticsearch:INDEX@URL";
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        let settings = match kind {
            "memory" => {
                return Err("the memory store ends with the command, so nothing can be moved".to_owned());
            }
            "postgres" | "postgresql" => vec![("postgres.url", text.to_owned())],
            _ if rest.is_empty() => return Err(format!("\"{text}\" names no store; {known}")),
            "sqlite" => vec![("sqlite.file", rest.to_owned())],
            "dynamodb" => vec![("dynamodb.table", rest.to_owned())],
            "s3" => pair(rest, '/', "s3.bucket", "s3.prefix", true),
            "elasticsearch" => pair(rest, '@', "elasticsearch.index", "elasticsearch.hosts", false),
            _ => return Err(format!("\"{text}\" names no store; {known}")),
        };
        let shown = match (kind, rest.split_once('@')) {
            ("elasticsearch", Some((index, hosts))) => {
                format!("elasticsearch:{index}@{}", without_logins(hosts))
            }
            _ => without_password(text),
        };
        Ok(Self { shown, settings })
    }
}

/// Splits a part that stands for two settings. A missing second part, such as a prefix, unsets its setting.
fn pair(
    text: &str,
    between: char,
    first: &'static str,
    second: &'static str,
    belongs: bool,
) -> Vec<(&'static str, String)> {
    match text.split_once(between) {
        Some((one, other)) => vec![(first, one.to_owned()), (second, other.to_owned())],
        None if belongs => vec![(first, text.to_owned()), (second, String::new())],
        None => vec![(first, text.to_owned())],
    }
}

fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    match rest.split_once('@') {
        Some((user, rest)) => {
            let user = user.split_once(':').map_or(user, |(user, _)| user);
            format!("{scheme}://{user}@{rest}")
        }
        None => text.to_owned(),
    }
}

impl fmt::Display for StoreUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// The purpose for which a store is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Read: it must exist.
    TransferSource,
    /// Written: a missing store is created.
    Target,
    /// Inspected: a missing store counts as empty.
    Inspected,
}

/// An open store and its name in messages.
#[derive(Debug)]
pub struct OpenStore {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Its name.
    pub name: String,
}

/// Resolves the store: the named one, else the configured one.
///
/// # Errors
///
/// Fails when the settings contradict each other, when this build does not have the store, and for the memory store.
pub fn resolve(uri: Option<&StoreUri>, values: &Values) -> Result<StoreConfig, CommandError> {
    let chosen = match uri {
        Some(uri) => resolve_store(&values.choosing_store(&uri.settings))?,
        None => resolve_store(values)?,
    };
    if chosen.kind == MEMORY {
        let message = "ECSS_STORE is \"memory\", and that ends with the command: name a store";
        return Err(ConfigRejected(vec![message.to_owned()]).into());
    }
    Ok(chosen)
}

/// Opens a store.
///
/// # Errors
///
/// Fails if it cannot be opened, and if a source does not exist.
pub async fn open(
    uri: Option<&StoreUri>,
    config: &StoreConfig,
    role: Role,
    builder: &ServerBuilder,
) -> Result<OpenStore, CommandError> {
    let name = match (uri, wiring::store_file(config)) {
        (Some(uri), _) => uri.to_string(),
        (None, Some(file)) => format!("sqlite:{}", file.display()),
        (None, None) => "the configured store".to_owned(),
    };
    let store = match role {
        Role::TransferSource => builder.open_store(config, OpenMode::ReadOnly).await?,
        Role::Target => builder.open_store(config, OpenMode::Serve).await?,
        Role::Inspected => builder.open_store_or_empty(config).await?,
    };
    Ok(OpenStore { store, name })
}

impl OpenStore {
    /// Closes the store.
    ///
    /// # Errors
    ///
    /// Fails if pending changes could not be written.
    pub async fn close(self) -> Result<(), CommandError> {
        let closed = self.store.close().await;
        closed.map_err(|error| CommandError::caused(format!("could not close {}", self.name), error))
    }
}
