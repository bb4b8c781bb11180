//! The schema: checks the version of the cluster, and locates, checks or creates the two indices.

use std::collections::BTreeMap;
use std::sync::Arc;

use ecs_scheduler_core::{FaultKind, StoreError, Timestamp};
use serde_json::{Value, json};

use crate::client::{IndexDescription, IndexTarget, ProductVersion, RestClient};
use crate::index::IndexName;
use crate::log;

/// The two indices, ready for use.
#[derive(Debug)]
pub(crate) struct Indices {
    pub(crate) jobs: IndexTarget,
    pub(crate) journal: IndexTarget,
}

/// Checks the cluster and creates missing indices.
///
/// # Errors
///
/// Fails when the cluster's product or version is not supported, when an index is missing and may not be created, or when
/// the settings of an index can lose writes.
pub(crate) async fn prepare_indices(
    client: &Arc<RestClient>,
    index: &IndexName,
    now: Timestamp,
) -> Result<Indices, StoreError> {
    let version = check_version(client.read_version().await?)?;
    tracing::info!(%version, index = index.jobs(), "opening the store");
    let mappings = json!({ "dynamic": false });
    let jobs = ExistingIndex::find_or_create(client, index.jobs(), &mappings, now).await?;
    if has_dynamic_mapping(&jobs.description)
        && let Err(error) = client.disable_dynamic_mapping(index.jobs()).await
    {
        let reason = ecs_scheduler_core::fault::chain(&error);
        tracing::warn!(
            "dynamic mapping of index \"{index}\" stays enabled, and a mapped type may refuse a job: {reason}"
        );
    }
    let journal = ExistingIndex::find_or_create(client, &index.journal(), &log::mappings(), now).await?;
    journal.check_mapping()?;
    Ok(Indices { jobs: jobs.into_target(version), journal: journal.into_target(version) })
}

/// Locates the indices and changes nothing. The journal is absent before the first start of the scheduler.
///
/// # Errors
///
/// Fails as [`prepare_indices`] does, and when there is no index of jobs.
pub(crate) async fn locate_indices(
    client: &Arc<RestClient>,
    index: &IndexName,
) -> Result<(IndexTarget, Option<IndexTarget>), StoreError> {
    let version = check_version(client.read_version().await?)?;
    let jobs = ExistingIndex::find(client, index.jobs()).await?.ok_or_else(|| {
        let message = format!("index \"{index}\" does not exist; it is created when the scheduler starts");
        StoreError::fault(FaultKind::NotFound, message)
    })?;
    let journal = ExistingIndex::find(client, &index.journal()).await?;
    if let Some(journal) = &journal {
        journal.check_mapping()?;
    }
    Ok((jobs.into_target(version), journal.map(|journal| journal.into_target(version))))
}

fn check_version(version: Option<ProductVersion>) -> Result<ProductVersion, StoreError> {
    let supported = "Elasticsearch 7 to 9 and OpenSearch 1 to 3 are supported";
    let Some(version) = version else {
        let message = format!(
            "the server at ECSS_ELASTICSEARCH_HOSTS is neither Elasticsearch nor OpenSearch; {supported}, so name the \
             address of such a cluster"
        );
        return Err(StoreError::fault(FaultKind::Config, message));
    };
    if version.is_supported() {
        return Ok(version);
    }
    let message = format!(
        "the cluster runs {version}, and {supported}; use a cluster of one of these versions, or another store"
    );
    Err(StoreError::fault(FaultKind::Config, message))
}

/// Tells whether the index of jobs derives a type for each new field: a derived type can refuse the next document.
fn has_dynamic_mapping(description: &IndexDescription) -> bool {
    let says = |field: &str| {
        description.mappings.get(field).map(|value| value == &json!(false) || value == &json!("false"))
    };
    says("dynamic") != Some(true) && says("enabled") != Some(true)
}

/// Tells whether documents are read back unchanged. A synthetic source is not, nor is one without some of its fields.
///
/// # Source
///
/// <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/mapping-source-field.html>,
/// <https://docs.opensearch.org/latest/mappings/metadata-fields/source/>
fn keeps_source(description: &IndexDescription) -> bool {
    let is_synthetic = |value: &Value| value == "synthetic" || value == "disabled";
    let parts = |value: &Value| value.as_array().is_some_and(|parts| !parts.is_empty());
    let setting = |name: &str| description.settings.get(name);
    let source = description.mappings.get("_source");
    let says = |field: &str| source.and_then(|source| source.get(field));
    let loses_fields = says("enabled") == Some(&json!(false))
        || says("mode").is_some_and(is_synthetic)
        || says("includes").is_some_and(parts)
        || says("excludes").is_some_and(parts)
        || setting("index.mapping.source.mode").is_some_and(is_synthetic)
        || setting("index.derived_source.enabled").is_some_and(|value| value == "true");
    !loses_fields
}

/// The one index behind a name.
#[derive(Debug)]
struct ExistingIndex {
    name: String,
    is_alias: bool,
    description: IndexDescription,
}

impl ExistingIndex {
    async fn find_or_create(
        client: &RestClient,
        name: &str,
        mappings: &Value,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        if let Some(existing) = Self::find(client, name).await? {
            return Ok(existing);
        }
        // The Python version used the same names.
        let concrete = format!("{name}-{}", now.strftime("%Y%m%d-%H%M%S"));
        let settings = json!({
            "index": {
                "number_of_shards": 1,
                "auto_expand_replicas": "0-1",
                "translog": { "durability": "request" },
            }
        });
        client.create_index(&concrete, name, &settings, mappings).await?;
        Self::find(client, name).await?.ok_or_else(|| {
            let message =
                format!("index \"{name}\" was created and cannot be found; check the cluster's health");
            StoreError::fault(FaultKind::Unavailable, message)
        })
    }

    async fn find(client: &RestClient, name: &str) -> Result<Option<Self>, StoreError> {
        client.describe_index(name).await?.map(|indices| Self::from_single(name, indices)).transpose()
    }

    /// Requires exactly one index behind the name, and checks it.
    fn from_single(name: &str, indices: BTreeMap<String, IndexDescription>) -> Result<Self, StoreError> {
        let mut indices = indices.into_iter();
        let (Some((concrete, description)), None) = (indices.next(), indices.next()) else {
            let message = format!(
                "alias \"{name}\" must name exactly one index, and names several; remove it from all but the index with the jobs"
            );
            return Err(StoreError::fault(FaultKind::Config, message));
        };
        let existing = Self { name: name.to_owned(), is_alias: concrete != name, description };
        existing.check_durability()?;
        Ok(existing)
    }

    /// Refuses an index that can lose or change acknowledged writes.
    fn check_durability(&self) -> Result<(), StoreError> {
        let Self { name, description, .. } = self;
        let refuse = |message: String| Err(StoreError::fault(FaultKind::Config, message));
        if description.settings.get("index.translog.durability").is_some_and(|value| value == "async") {
            return refuse(format!(
                "index \"{name}\" acknowledges writes before they are durable; set its index.translog.durability to \"request\""
            ));
        }
        if !keeps_source(description) {
            return refuse(format!(
                "index \"{name}\" does not keep the _source of documents unchanged; reindex it into one that does"
            ));
        }
        Ok(())
    }

    /// Refuses an index that does not map its documents as a journal does.
    fn check_mapping(&self) -> Result<(), StoreError> {
        if log::is_mapped(&self.description.mappings) {
            return Ok(());
        }
        let message = format!(
            "index \"{}\" is not a journal of ECS Scheduler; remove it, or choose another ECSS_ELASTICSEARCH_INDEX",
            self.name
        );
        Err(StoreError::fault(FaultKind::Config, message))
    }

    fn into_target(self, version: ProductVersion) -> IndexTarget {
        IndexTarget { name: self.name, is_alias: self.is_alias && version.has_require_alias() }
    }
}
