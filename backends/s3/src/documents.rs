//! The documents of jobs: one object for each, in the format of the Python version.

use ecs_scheduler_backend_log_store::{Document, DocumentVersion, Documents};
use ecs_scheduler_core::{FaultKind, JobId, StoreError, async_trait};
use serde_json::value::RawValue;

use crate::bucket::{Precondition, S3Bucket, WriteResult};
use crate::codec::to_python_json;
use crate::error::conflict;
use crate::keys::KeyLayout;

/// The documents below a prefix.
#[derive(Debug)]
pub(crate) struct S3Documents {
    pub(crate) bucket: S3Bucket,
    pub(crate) layout: KeyLayout,
}

#[async_trait]
impl Documents for S3Documents {
    async fn versions(&self) -> Result<Vec<(JobId, DocumentVersion)>, StoreError> {
        let listed = self.bucket.list(self.layout.documents(), "").await?;
        let mut found = Vec::with_capacity(listed.len());
        for (key, tag) in listed {
            match self.layout.job(&key) {
                Some(Ok(id)) => found.push((id, DocumentVersion::new(tag))),
                Some(Err(name)) => {
                    tracing::warn!(
                        key,
                        "skipped an object: \"{name}\" is not a valid job name; rename or remove the object"
                    );
                }
                None => {}
            }
        }
        Ok(found)
    }

    async fn read(&self, id: &JobId) -> Result<Option<Document>, StoreError> {
        let key = self.layout.document(id);
        let Some((bytes, tag)) = self.bucket.get(&key).await? else { return Ok(None) };
        let document: Box<RawValue> = serde_json::from_slice(&bytes).map_err(|error| {
            let message = format!(
                "object \"{key}\" in bucket \"{}\" is not JSON; correct it, or remove it and create the job again",
                self.bucket.name
            );
            StoreError::with_source(FaultKind::Config, message, error)
        })?;
        Ok(Some((document, DocumentVersion::new(tag))))
    }

    async fn write(
        &self,
        id: &JobId,
        document: &RawValue,
        expected: Option<&DocumentVersion>,
    ) -> Result<DocumentVersion, StoreError> {
        let key = self.layout.document(id);
        let body = to_python_json(document).map_err(|error| {
            StoreError::with_source(
                FaultKind::Config,
                format!("could not write the document of job \"{id}\""),
                error,
            )
        })?;
        let condition = expected.map_or(Precondition::Absent, |version| Precondition::Tag(version.as_str()));
        match self.bucket.put(&key, body.into_bytes(), condition).await? {
            WriteResult::Done(tag) => Ok(DocumentVersion::new(tag)),
            WriteResult::Refused => Err(conflict(&key)),
        }
    }

    async fn remove(&self, id: &JobId, expected: &DocumentVersion) -> Result<(), StoreError> {
        let key = self.layout.document(id);
        match self.bucket.delete(&key, expected.as_str()).await? {
            WriteResult::Done(_) => Ok(()),
            WriteResult::Refused => Err(conflict(&key)),
        }
    }
}
