//! The store in Elasticsearch or OpenSearch.

use std::fmt;
use std::path::PathBuf;

use super::setting::{
    ELASTICSEARCH_API_KEY, ELASTICSEARCH_CA_FILE, ELASTICSEARCH_CLIENT, ELASTICSEARCH_HOSTS,
    ELASTICSEARCH_INDEX,
};
use super::values::Values;

/// Where it is, as it was written.
#[derive(Clone, PartialEq, Eq)]
pub struct ElasticsearchConfig {
    /// The index of jobs.
    pub index: String,
    /// The nodes, separated by commas; they may hold a password.
    pub hosts: Option<String>,
    /// The Python version's options of the client, as JSON; they may hold a password.
    pub client: Option<String>,
    /// An API key.
    pub api_key: Option<String>,
    /// Certificates that are trusted.
    pub ca_file: Option<PathBuf>,
}

impl fmt::Debug for ElasticsearchConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ElasticsearchConfig").field("index", &self.index).finish_non_exhaustive()
    }
}

impl ElasticsearchConfig {
    /// Takes over what was set, if an index is named.
    ///
    /// # Errors
    ///
    /// Fails when something is said of the cluster, but no index is named.
    pub(super) fn find(values: &Values) -> Result<Option<Self>, String> {
        let text = |setting| values.get(setting).map(|value| value.text.clone());
        let Some(index) = text(&ELASTICSEARCH_INDEX) else {
            let others =
                [ELASTICSEARCH_HOSTS, ELASTICSEARCH_API_KEY, ELASTICSEARCH_CA_FILE, ELASTICSEARCH_CLIENT];
            return match others.iter().find(|setting| values.get(setting).is_some()) {
                Some(set) => Err(format!(
                    "{} is set, but no index is named; set ECSS_ELASTICSEARCH_INDEX, or unset it",
                    set.name()
                )),
                None => Ok(None),
            };
        };
        Ok(Some(Self {
            index,
            hosts: text(&ELASTICSEARCH_HOSTS),
            client: text(&ELASTICSEARCH_CLIENT),
            api_key: text(&ELASTICSEARCH_API_KEY),
            ca_file: text(&ELASTICSEARCH_CA_FILE).map(PathBuf::from),
        }))
    }
}
