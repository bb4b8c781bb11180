//! Opening: who answers, and whether the indices are there and sound.

use std::collections::BTreeMap;
use std::sync::Arc;

use ecs_scheduler_core::{FaultKind, StoreError, Timestamp};
use serde_json::{Value, json};

use crate::client::{Api, IndexState, ProductVersion, Target};
use crate::index::IndexName;
use crate::log;

/// The two indices, ready for use.
#[derive(Debug)]
pub(crate) struct Indices {
    pub(crate) jobs: Target,
    pub(crate) journal: Target,
}

/// Looks at the cluster and makes what is missing.
///
/// # Errors
///
/// Fails when the cluster is of an unknown kind or version, when an index is missing and may not be created, or when one
/// cannot keep what is promised.
pub(crate) async fn prepare(
    api: &Arc<Api>,
    index: &IndexName,
    now: Timestamp,
) -> Result<Indices, StoreError> {
    let version = supported(api.product().await?)?;
    tracing::info!(%version, index = index.jobs(), "opening the store");
    let jobs = Found::or_create(api, index.jobs(), &json!({ "dynamic": false }), now).await?;
    if guesses(&jobs.state)
        && let Err(error) = api.stop_guessing(index.jobs()).await
    {
        let why = ecs_scheduler_core::fault::chain(&error);
        tracing::warn!(
            "index \"{index}\" goes on guessing types of fields, and may one day refuse a job for it: {why}"
        );
    }
    let journal = Found::or_create(api, &index.journal(), &log::mappings(), now).await?;
    journal.check_mapping()?;
    Ok(Indices { jobs: jobs.into_target(version), journal: journal.into_target(version) })
}

/// Finds the indices and changes nothing. Nothing is told of a journal that is not there yet.
///
/// # Errors
///
/// Fails as [`prepare`] does, and when there is no index of jobs.
pub(crate) async fn find(api: &Arc<Api>, index: &IndexName) -> Result<(Target, Option<Target>), StoreError> {
    let version = supported(api.product().await?)?;
    let jobs = Found::existing(api, index.jobs()).await?.ok_or_else(|| {
        let message = format!("index \"{index}\" does not exist; it is created when the scheduler starts");
        StoreError::fault(FaultKind::NotFound, message)
    })?;
    let journal = Found::existing(api, &index.journal()).await?;
    if let Some(journal) = &journal {
        journal.check_mapping()?;
    }
    Ok((jobs.into_target(version), journal.map(|journal| journal.into_target(version))))
}

fn supported(version: Option<ProductVersion>) -> Result<ProductVersion, StoreError> {
    let known = "Elasticsearch 7 to 9 and OpenSearch 1 to 3 are known";
    let Some(version) = version else {
        let message = format!(
            "what answers at ECSS_ELASTICSEARCH_HOSTS is neither Elasticsearch nor OpenSearch; {known}, so name the address \
             of such a cluster"
        );
        return Err(StoreError::fault(FaultKind::Config, message));
    };
    if version.is_supported() {
        return Ok(version);
    }
    let message = format!(
        "the cluster is {version}, and {known}; use a cluster of one of these versions, or another store"
    );
    Err(StoreError::fault(FaultKind::Config, message))
}

/// Tells whether the index of jobs invents a mapping for each field that it has not seen: an invented one can refuse the
/// next document.
fn guesses(state: &IndexState) -> bool {
    let says = |field: &str| {
        state.mappings.get(field).map(|value| value == &json!(false) || value == &json!("false"))
    };
    says("dynamic") != Some(true) && says("enabled") != Some(true)
}

/// Tells whether what is written is read back to the letter: a source that is made up from fields is not, and one without
/// some of its fields is not.
///
/// # Source
///
/// <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/mapping-source-field.html>,
/// <https://docs.opensearch.org/latest/mappings/metadata-fields/source/>
fn keeps_source(state: &IndexState) -> bool {
    let made_up = |value: &Value| value == "synthetic" || value == "disabled";
    let parts = |value: &Value| value.as_array().is_some_and(|parts| !parts.is_empty());
    let setting = |name: &str| state.settings.get(name);
    let source = state.mappings.get("_source");
    let says = |field: &str| source.and_then(|source| source.get(field));
    let loses = says("enabled") == Some(&json!(false))
        || says("mode").is_some_and(made_up)
        || says("includes").is_some_and(parts)
        || says("excludes").is_some_and(parts)
        || setting("index.mapping.source.mode").is_some_and(made_up)
        || setting("index.derived_source.enabled").is_some_and(|value| value == "true");
    !loses
}

/// An index behind a name.
#[derive(Debug)]
struct Found {
    name: String,
    is_alias: bool,
    state: IndexState,
}

impl Found {
    async fn or_create(api: &Api, name: &str, mappings: &Value, now: Timestamp) -> Result<Self, StoreError> {
        if let Some(found) = Self::existing(api, name).await? {
            return Ok(found);
        }
        // As the Python version named it.
        let concrete = format!("{name}-{}", now.strftime("%Y%m%d-%H%M%S"));
        let settings = json!({
            "index": {
                "number_of_shards": 1,
                "auto_expand_replicas": "0-1",
                "translog": { "durability": "request" },
            }
        });
        api.create_index(&concrete, name, &settings, mappings).await?;
        Self::existing(api, name).await?.ok_or_else(|| {
            let message =
                format!("index \"{name}\" was created and is not there; look at the cluster's health");
            StoreError::fault(FaultKind::Unavailable, message)
        })
    }

    async fn existing(api: &Api, name: &str) -> Result<Option<Self>, StoreError> {
        api.index(name).await?.map(|indices| Self::only(name, indices)).transpose()
    }

    /// Takes the one index there is.
    fn only(name: &str, indices: BTreeMap<String, IndexState>) -> Result<Self, StoreError> {
        let mut indices = indices.into_iter();
        let (Some((concrete, state)), None) = (indices.next(), indices.next()) else {
            let message = format!(
                "alias \"{name}\" must lead to exactly one index, and leads to more; remove it from all but the one with the jobs"
            );
            return Err(StoreError::fault(FaultKind::Config, message));
        };
        let found = Self { name: name.to_owned(), is_alias: concrete != name, state };
        found.check()?;
        Ok(found)
    }

    /// Refuses an index that does not keep what it acknowledges.
    fn check(&self) -> Result<(), StoreError> {
        let Self { name, state, .. } = self;
        let refuse = |message: String| Err(StoreError::fault(FaultKind::Config, message));
        if state.settings.get("index.translog.durability").is_some_and(|value| value == "async") {
            return refuse(format!(
                "index \"{name}\" acknowledges writes before they are on disk; set its index.translog.durability to \"request\""
            ));
        }
        if !keeps_source(state) {
            return refuse(format!(
                "index \"{name}\" does not keep the _source of its documents as it was; reindex it into one that does"
            ));
        }
        Ok(())
    }

    /// Refuses an index that is not a journal.
    fn check_mapping(&self) -> Result<(), StoreError> {
        if log::is_mapped(&self.state.mappings) {
            return Ok(());
        }
        let message = format!(
            "index \"{}\" is not a journal of ECS Scheduler; remove it, or choose another ECSS_ELASTICSEARCH_INDEX",
            self.name
        );
        Err(StoreError::fault(FaultKind::Config, message))
    }

    fn into_target(self, version: ProductVersion) -> Target {
        Target { name: self.name, alias: self.is_alias && version.knows_require_alias() }
    }
}
