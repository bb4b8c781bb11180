//! The settings of the store as texts, and their conversion to options.

use std::path::PathBuf;

use ecs_scheduler_core::{FaultKind, StoreError};

use crate::cluster::{Cluster, Credentials, Secret};
use crate::index::IndexName;
use crate::legacy_config::LegacyConfig;
use crate::open::ElasticsearchOptions;

#[cfg(test)]
mod tests;

/// The settings of a cluster as an operator writes them.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `ECSS_ELASTICSEARCH_INDEX`: the index of jobs.
    pub index: String,
    /// `ECSS_ELASTICSEARCH_HOSTS`: nodes, separated by commas.
    pub hosts: Option<Secret>,
    /// `elasticsearch.client` of the configuration file: [`LegacyConfig`] as JSON.
    pub client: Option<Secret>,
    /// `ECSS_ELASTICSEARCH_API_KEY`: an API key.
    pub api_key: Option<Secret>,
    /// `ECSS_ELASTICSEARCH_CA_FILE`: certificates that are trusted in addition to those of the system.
    pub authority: Option<PathBuf>,
}

impl Settings {
    /// Converts the settings to options. A setting of its own takes precedence over `client`.
    ///
    /// # Errors
    ///
    /// Fails with the name of the setting that is invalid or missing.
    pub fn options(&self) -> Result<ElasticsearchOptions, StoreError> {
        let index = IndexName::new(&self.index)
            .map_err(|error| invalid_setting("ECSS_ELASTICSEARCH_INDEX", error))?;
        let mut cluster = Cluster {
            nodes: Vec::new(),
            credentials: self.api_key.clone().map(Credentials::ApiKey),
            authority: self.authority.clone(),
        };
        if let Some(hosts) = &self.hosts {
            cluster.nodes = Cluster::nodes(hosts.reveal())
                .map_err(|error| invalid_setting("ECSS_ELASTICSEARCH_HOSTS", error))?;
        }
        if let Some(client) = &self.client {
            LegacyConfig::parse(client.reveal())
                .and_then(|config| config.apply_to(&mut cluster))
                .map_err(|error| invalid_setting("elasticsearch.client", error))?;
        }
        if cluster.nodes.is_empty() {
            let message = "ECSS_ELASTICSEARCH_INDEX is set, but ECSS_ELASTICSEARCH_HOSTS is not; set \
                           ECSS_ELASTICSEARCH_HOSTS, as in http://localhost:9200";
            return Err(StoreError::fault(FaultKind::Config, message));
        }
        Ok(ElasticsearchOptions::new(cluster, index))
    }
}

fn invalid_setting(setting: &str, problem: impl std::fmt::Display) -> StoreError {
    StoreError::fault(FaultKind::Config, format!("{setting}: {problem}"))
}
