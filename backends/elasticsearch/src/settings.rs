//! From settings, as texts, to options.

use std::path::PathBuf;

use ecs_scheduler_core::{FaultKind, StoreError};

use crate::cluster::{Cluster, Login, Secret};
use crate::index::IndexName;
use crate::legacy_config::PythonOptions;
use crate::open::ElasticsearchOptions;

#[cfg(test)]
mod tests;

/// What an operator says of a cluster.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `ECSS_ELASTICSEARCH_INDEX`: the index of jobs.
    pub index: String,
    /// `ECSS_ELASTICSEARCH_HOSTS`: nodes, separated by commas.
    pub hosts: Option<Secret>,
    /// `elasticsearch.client` of the configuration file: [`PythonOptions`] as JSON.
    pub client: Option<Secret>,
    /// `ECSS_ELASTICSEARCH_API_KEY`: an API key.
    pub api_key: Option<Secret>,
    /// `ECSS_ELASTICSEARCH_CA_FILE`: certificates that are trusted beside those of the system.
    pub authority: Option<PathBuf>,
}

impl Settings {
    /// Gives the settings their meaning. A setting of its own comes before what `client` says.
    ///
    /// # Errors
    ///
    /// Fails with the setting that is wrong or missing.
    pub fn options(&self) -> Result<ElasticsearchOptions, StoreError> {
        let index = IndexName::new(&self.index).map_err(|error| wrong("ECSS_ELASTICSEARCH_INDEX", error))?;
        let mut cluster = Cluster {
            nodes: Vec::new(),
            login: self.api_key.clone().map(Login::ApiKey),
            authority: self.authority.clone(),
        };
        if let Some(hosts) = &self.hosts {
            cluster.nodes =
                Cluster::nodes(hosts.reveal()).map_err(|error| wrong("ECSS_ELASTICSEARCH_HOSTS", error))?;
        }
        if let Some(client) = &self.client {
            let complete = |client: PythonOptions| client.complete(&mut cluster);
            PythonOptions::read(client.reveal())
                .and_then(complete)
                .map_err(|error| wrong("elasticsearch.client", error))?;
        }
        if cluster.nodes.is_empty() {
            let message = "ECSS_ELASTICSEARCH_INDEX names an index, but nothing names the cluster; set \
                           ECSS_ELASTICSEARCH_HOSTS, as in http://localhost:9200";
            return Err(StoreError::fault(FaultKind::Config, message));
        }
        Ok(ElasticsearchOptions::new(cluster, index))
    }
}

fn wrong(setting: &str, problem: impl std::fmt::Display) -> StoreError {
    StoreError::fault(FaultKind::Config, format!("{setting}: {problem}"))
}
