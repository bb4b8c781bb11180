//! The jobs: one document each, its id the job's name, its source the job's fields, as the Python version has them.

use std::sync::Arc;

use async_trait::async_trait;
use ecs_scheduler_backend_segments::{Document, DocumentVersion, Documents};
use ecs_scheduler_core::{FaultKind, JobId, StoreError};
use serde_json::value::RawValue;

use crate::client::{AT_ONCE, Api, Changed, Position, Target};

/// How often a listing that breaks off is begun anew.
const LISTINGS: usize = 5;

/// The documents of jobs in an index.
#[derive(Debug)]
pub(crate) struct JobDocuments {
    api: Arc<Api>,
    target: Target,
}

impl JobDocuments {
    pub(crate) fn new(api: Arc<Api>, target: Target) -> Self {
        Self { api, target }
    }

    fn aim(&self, verb: &str, id: &JobId) -> String {
        format!("{verb} job \"{id}\" in index \"{}\"", self.target.name)
    }

    fn listing(&self) -> String {
        format!("list the jobs in index \"{}\"", self.target.name)
    }

    /// Lists every id, in the order of the shards; nothing when the listing broke off.
    async fn list(&self) -> Result<Option<Vec<(String, Position)>>, StoreError> {
        let mut found = Vec::new();
        let mut page = self.api.scroll(&self.target, AT_ONCE, self.listing()).await?;
        while !page.found.is_empty() {
            found.append(&mut page.found);
            match self.api.scroll_on(&page.scroll, self.listing()).await? {
                Some(next) => page = next,
                None => {
                    self.api.scroll_off(&page.scroll, self.listing()).await;
                    return Ok(None);
                }
            }
        }
        self.api.scroll_off(&page.scroll, self.listing()).await;
        Ok(Some(found))
    }

    fn of_job(&self, id: &str, position: Position) -> Option<(JobId, DocumentVersion)> {
        match JobId::new(id) {
            Ok(id) => Some((id, version(position))),
            Err(error) => {
                tracing::warn!(
                    index = self.target.name,
                    id,
                    %error,
                    "a document whose id no job can have is left out and left alone"
                );
                None
            }
        }
    }
}

fn version(position: Position) -> DocumentVersion {
    DocumentVersion::new(position.to_string())
}

/// Reads a version. One that is not of this kind of store fits no document.
fn position(version: &DocumentVersion, id: &JobId) -> Result<Position, StoreError> {
    version.as_str().parse().map_err(|()| changed(id))
}

fn changed(id: &JobId) -> StoreError {
    StoreError::Conflict(format!("job \"{id}\""))
}

#[async_trait]
impl Documents for JobDocuments {
    async fn versions(&self) -> Result<Vec<(JobId, DocumentVersion)>, StoreError> {
        self.api
            .refresh(
                &self.target,
                format!("refresh index \"{}\" (permission: maintenance)", self.target.name),
            )
            .await?;
        for _ in 0..LISTINGS {
            let Some(found) = self.list().await? else { continue };
            let mut versions: Vec<_> =
                found.into_iter().filter_map(|(id, position)| self.of_job(&id, position)).collect();
            // Shards answer in any order; whoever finds jobs anew numbers them in this one.
            versions.sort_by(|a, b| a.0.cmp(&b.0));
            return Ok(versions);
        }
        let message = format!(
            "could not {}: {LISTINGS} listings broke off; look at the cluster's health",
            self.listing()
        );
        Err(StoreError::fault(FaultKind::Unavailable, message))
    }

    async fn read(&self, id: &JobId) -> Result<Option<Document>, StoreError> {
        let Some(found) = self.api.get(&self.target, id.as_str(), self.aim("read", id)).await? else {
            return Ok(None);
        };
        let source = found.source.ok_or_else(|| {
            let remedy = "the index keeps no _source; reindex into one that does";
            StoreError::fault(FaultKind::Config, format!("could not {}: {remedy}", self.aim("read", id)))
        })?;
        Ok(Some((source, version(found.position))))
    }

    async fn write(
        &self,
        id: &JobId,
        document: &RawValue,
        expected: Option<&DocumentVersion>,
    ) -> Result<DocumentVersion, StoreError> {
        let expected = expected.map(|version| position(version, id)).transpose()?;
        let source = document.get().to_owned();
        match self.api.put(&self.target, id.as_str(), source, expected, self.aim("write", id)).await? {
            Changed::Done(position) => Ok(version(position)),
            Changed::Conflict => Err(changed(id)),
        }
    }

    async fn remove(&self, id: &JobId, expected: &DocumentVersion) -> Result<(), StoreError> {
        let expected = position(expected, id)?;
        match self.api.delete(&self.target, id.as_str(), expected, self.aim("remove", id)).await? {
            Changed::Done(_) => Ok(()),
            // The same answer for a document that is gone as for one that changed.
            Changed::Conflict => match self.api.get(&self.target, id.as_str(), self.aim("read", id)).await? {
                None => Ok(()),
                Some(_) => Err(changed(id)),
            },
        }
    }
}
