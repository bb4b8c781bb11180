//! The documents of jobs: one for each job, with the job's name as its id and the job's fields as its source, as the
//! Python version has them.

use std::sync::Arc;

use async_trait::async_trait;
use ecs_scheduler_backend_log_store::{Document, DocumentVersion, Documents};
use ecs_scheduler_core::{FaultKind, JobId, StoreError};
use serde_json::value::RawValue;

use crate::client::{DocPosition, IndexTarget, MAX_BATCH, PutResult, RestClient};

/// How many listings are attempted when the cluster loses their scrolls.
const MAX_LISTING_ATTEMPTS: usize = 5;

/// The documents of jobs in an index.
#[derive(Debug)]
pub(crate) struct JobDocuments {
    client: Arc<RestClient>,
    target: IndexTarget,
}

impl JobDocuments {
    pub(crate) fn new(client: Arc<RestClient>, target: IndexTarget) -> Self {
        Self { client, target }
    }

    fn action(&self, verb: &str, id: &JobId) -> String {
        format!("{verb} job \"{id}\" in index \"{}\"", self.target.name)
    }

    fn list_action(&self) -> String {
        format!("list the jobs in index \"{}\"", self.target.name)
    }

    /// Lists every id, in the order of the shards; nothing when the scroll was lost.
    async fn list_all(&self) -> Result<Option<Vec<(String, DocPosition)>>, StoreError> {
        let mut docs = Vec::new();
        let mut page = self.client.start_scroll(&self.target, MAX_BATCH, self.list_action()).await?;
        while !page.docs.is_empty() {
            docs.append(&mut page.docs);
            match self.client.next_scroll_page(&page.scroll, self.list_action()).await? {
                Some(next) => page = next,
                None => {
                    self.client.clear_scroll(&page.scroll, self.list_action()).await;
                    return Ok(None);
                }
            }
        }
        self.client.clear_scroll(&page.scroll, self.list_action()).await;
        Ok(Some(docs))
    }

    fn job_version(&self, id: &str, position: DocPosition) -> Option<(JobId, DocumentVersion)> {
        match JobId::new(id) {
            Ok(id) => Some((id, version(position))),
            Err(error) => {
                tracing::warn!(
                    index = self.target.name,
                    id,
                    %error,
                    "a document is ignored, because its id is not a valid job id"
                );
                None
            }
        }
    }
}

fn version(position: DocPosition) -> DocumentVersion {
    DocumentVersion::new(position.to_string())
}

/// Parses a version. One of another kind of store matches no document.
fn position(version: &DocumentVersion, id: &JobId) -> Result<DocPosition, StoreError> {
    version.as_str().parse().map_err(|()| StoreError::Conflict(id.into()))
}

#[async_trait]
impl Documents for JobDocuments {
    async fn versions(&self) -> Result<Vec<(JobId, DocumentVersion)>, StoreError> {
        self.client
            .refresh(
                &self.target,
                format!("refresh index \"{}\" (permission: maintenance)", self.target.name),
            )
            .await?;
        for _ in 0..MAX_LISTING_ATTEMPTS {
            let Some(docs) = self.list_all().await? else { continue };
            let mut versions: Vec<_> =
                docs.into_iter().filter_map(|(id, position)| self.job_version(&id, position)).collect();
            // Shards answer in any order; jobs that other programs created are numbered in the order of their names.
            versions.sort_by(|a, b| a.0.cmp(&b.0));
            return Ok(versions);
        }
        let message = format!(
            "could not {}: {MAX_LISTING_ATTEMPTS} listings broke off; check the cluster's health",
            self.list_action()
        );
        Err(StoreError::fault(FaultKind::Unavailable, message))
    }

    async fn read(&self, id: &JobId) -> Result<Option<Document>, StoreError> {
        let Some(doc) = self.client.get(&self.target, id.as_str(), self.action("read", id)).await? else {
            return Ok(None);
        };
        let source = doc.source.ok_or_else(|| {
            let remedy = "the index keeps no _source; reindex it into one that does";
            StoreError::fault(FaultKind::Config, format!("could not {}: {remedy}", self.action("read", id)))
        })?;
        Ok(Some((source, version(doc.position))))
    }

    async fn write(
        &self,
        id: &JobId,
        document: &RawValue,
        expected: Option<&DocumentVersion>,
    ) -> Result<DocumentVersion, StoreError> {
        let expected = expected.map(|version| position(version, id)).transpose()?;
        let source = document.get().to_owned();
        match self.client.put(&self.target, id.as_str(), source, expected, self.action("write", id)).await? {
            PutResult::Written(position) => Ok(version(position)),
            PutResult::Conflict => Err(StoreError::Conflict(id.into())),
        }
    }

    async fn remove(&self, id: &JobId, expected: &DocumentVersion) -> Result<(), StoreError> {
        let expected = position(expected, id)?;
        match self.client.delete(&self.target, id.as_str(), expected, self.action("remove", id)).await? {
            PutResult::Written(_) => Ok(()),
            // The cluster gives the same response for a missing document as for a changed one.
            PutResult::Conflict => {
                match self.client.get(&self.target, id.as_str(), self.action("read", id)).await? {
                    None => Ok(()),
                    Some(_) => Err(StoreError::Conflict(id.into())),
                }
            }
        }
    }
}
