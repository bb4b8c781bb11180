//! The provider: the settings of the store, and how it is opened by them.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use ecs_scheduler_core::{
    CheckResult, OpenMode, ProviderDescriptor, Setting, SettingError, SettingValues, Store, StoreError,
    StoreProvider, StoreSetup,
};
use rustls::RootCertStore;

use crate::cluster::{Cluster, Credentials, Secret};
use crate::index::IndexName;
use crate::legacy_config::LegacyConfig;
use crate::open::{ElasticsearchOptions, KIND};
use crate::tls::trust;

#[cfg(test)]
mod tests;

/// The index of jobs.
const INDEX: Setting = Setting::new(
    "ECSS_ELASTICSEARCH_INDEX",
    "elasticsearch.index",
    "INDEX",
    "The index with the jobs, or its alias, in Elasticsearch 7 to 9 or OpenSearch 1 to 3; history is in a second \
     index, `<index>-journal`. Both are created if missing. An index of the Python version opens without \
     conversion",
)
.inherited();
/// The nodes of the cluster.
const HOSTS: Setting = Setting::new(
    "ECSS_ELASTICSEARCH_HOSTS",
    "elasticsearch.hosts",
    "URL,…",
    "The nodes of the cluster, separated by commas: `host`, `host:port` or a URL, with `user:password@` if the \
     cluster requires it. The default port is 9200, and 443 for `https`. If a node does not answer, the store \
     tries the next one",
)
.inherited();
/// An API key.
const API_KEY: Setting = Setting::new(
    "ECSS_ELASTICSEARCH_API_KEY",
    "elasticsearch.apiKey",
    "KEY",
    "An API key of Elasticsearch, in the encoded form that Kibana shows, or as `id:key`; used for nodes whose URL \
     has no user",
)
.secret();
/// Certificates that are trusted in addition to those of the system.
const CA_FILE: Setting = Setting::new(
    "ECSS_ELASTICSEARCH_CA_FILE",
    "elasticsearch.caFile",
    "FILE",
    "A PEM file of certificates that are trusted in addition to the system's, for a cluster with its own \
     certificate authority",
)
.without_default("none: the system's certificates");
/// The client's options in the form of the Python version: [`LegacyConfig`] as JSON.
const CLIENT: Setting = Setting::new(
    "",
    "elasticsearch.client",
    "OBJECT",
    "Options of the Elasticsearch client, as in the Python version's file. Hosts, logins and certificates apply \
     unless a setting above overrides them; timeouts, retries and sniffing have no effect",
)
.only_in_file()
.secret()
.inherited();

/// The store `elasticsearch`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ElasticsearchProvider;

/// Converts the settings to options. A setting of its own takes precedence over `elasticsearch.client`.
///
/// # Errors
///
/// Fails with the name of the setting that is invalid or missing.
fn options(settings: &SettingValues) -> Result<ElasticsearchOptions, SettingError> {
    let index = IndexName::new(settings.require(&INDEX)?).map_err(|error| invalid(&INDEX, error))?;
    let mut cluster = Cluster {
        nodes: Vec::new(),
        credentials: settings.get(&API_KEY).map(|key| Credentials::ApiKey(Secret::new(key))),
        authority: settings.get(&CA_FILE).map(PathBuf::from),
    };
    if let Some(hosts) = settings.get(&HOSTS) {
        cluster.nodes = Cluster::nodes(hosts).map_err(|error| invalid(&HOSTS, error))?;
    }
    if let Some(client) = settings.get(&CLIENT) {
        LegacyConfig::parse(client)
            .and_then(|config| config.apply_to(&mut cluster))
            .map_err(|error| invalid(&CLIENT, error))?;
    }
    if cluster.nodes.is_empty() {
        return Err(SettingError::new(
            "ECSS_ELASTICSEARCH_INDEX is set, but ECSS_ELASTICSEARCH_HOSTS is not; set ECSS_ELASTICSEARCH_HOSTS, as in \
             http://localhost:9200",
        ));
    }
    Ok(ElasticsearchOptions::new(cluster, index))
}

fn invalid(setting: &Setting, problem: impl std::fmt::Display) -> SettingError {
    SettingError::new(format!("{}: {problem}", setting.name()))
}

/// Converts the settings to options with the clock of the scheduler.
fn timed_options(setup: &StoreSetup<'_>) -> Result<ElasticsearchOptions, SettingError> {
    Ok(ElasticsearchOptions { clock: Arc::clone(&setup.clock), ..options(setup.settings)? })
}

#[async_trait]
impl StoreProvider for ElasticsearchProvider {
    fn descriptor(&self) -> ProviderDescriptor {
        const SETTINGS: &[Setting] = &[INDEX, HOSTS, API_KEY, CA_FILE, CLIENT];
        let summary = "Keeps jobs and a journal in two indices of Elasticsearch or OpenSearch";
        ProviderDescriptor::new(KIND, summary, SETTINGS).chosen_by(&INDEX)
    }

    /// Checks that an index is named, parses all settings, and reads the file of certificates.
    fn check(&self, settings: &SettingValues) -> Result<(), SettingError> {
        if settings.get(&INDEX).is_some() {
            let setting = if settings.get(&CA_FILE).is_some() { &CA_FILE } else { &CLIENT };
            let authority = options(settings)?.cluster.authority;
            return authority.map_or(Ok(()), |file| {
                trust(&mut RootCertStore::empty(), &file).map_err(|error| invalid(setting, error))
            });
        }
        let others = [HOSTS, API_KEY, CA_FILE, CLIENT];
        let set = others.iter().find(|setting| settings.get(setting).is_some()).unwrap_or(&INDEX);
        Err(SettingError::new(format!(
            "{} is set, but no index is named; set ECSS_ELASTICSEARCH_INDEX, or unset it",
            set.name()
        )))
    }

    async fn open(&self, setup: &StoreSetup<'_>, mode: OpenMode) -> Result<Arc<dyn Store>, StoreError> {
        let options = timed_options(setup)?;
        Ok(match mode {
            OpenMode::Serve => Arc::new(options.open().await?),
            OpenMode::ReadOnly => Arc::new(options.open_read_only().await?),
        })
    }

    async fn diagnose(&self, setup: &StoreSetup<'_>) -> Vec<CheckResult> {
        vec![match timed_options(setup) {
            Ok(options) => options.diagnose().await,
            Err(error) => CheckResult::failed("store: Elasticsearch", error.message),
        }]
    }
}
