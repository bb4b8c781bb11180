//! The documents of jobs, in the place and the format of the Python version.

use std::fmt;

use async_trait::async_trait;
use ecs_scheduler_core::{JobId, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The version of a document, as its storage names it: an entity tag, or a sequence number and a term.
///
/// Two versions of one document are equal only if nothing was written in between, or the same bytes again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DocumentVersion(String);

impl DocumentVersion {
    /// Wraps the version that the storage returned, which is not empty.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the version of a document that is not written yet. No storage returns it.
    pub(crate) fn unwritten() -> Self {
        Self(String::new())
    }

    pub(crate) fn is_unwritten(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the version as the storage names it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A document with its version.
pub type Document = (Box<RawValue>, DocumentVersion);

/// The documents of jobs, one for each job. Calls may be concurrent.
///
/// An implementation need not handle lost answers: the caller reads the document back and compares.
#[async_trait]
pub trait Documents: fmt::Debug + Send + Sync + 'static {
    /// Lists all documents of jobs with their versions. Other objects are skipped.
    ///
    /// # Errors
    ///
    /// Fails when they cannot all be listed.
    async fn versions(&self) -> Result<Vec<(JobId, DocumentVersion)>, StoreError>;

    /// Reads a document, if there is one.
    ///
    /// # Errors
    ///
    /// Fails with kind `Config`, with the location and the remedy, when the document is not JSON; with another kind when it cannot be read.
    async fn read(&self, id: &JobId) -> Result<Option<Document>, StoreError>;

    /// Writes a document durably if its version is still `expected` (`None`: it must not exist), and returns the new version.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when the version is another one or the document exists already. Fails with a transient kind
    /// when the result is unknown; with another kind when the document was not written.
    async fn write(
        &self,
        id: &JobId,
        document: &RawValue,
        expected: Option<&DocumentVersion>,
    ) -> Result<DocumentVersion, StoreError>;

    /// Removes a document if its version is still `expected`. A document that does not exist is not an error.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when the version is another one; otherwise as [`write`](Self::write).
    async fn remove(&self, id: &JobId, expected: &DocumentVersion) -> Result<(), StoreError>;
}
