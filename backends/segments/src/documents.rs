//! The documents of jobs, where and as the Python version keeps them.

use std::fmt;

use async_trait::async_trait;
use ecs_scheduler_core::{JobId, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The version of a document in the words of the place that keeps it: an entity tag, a sequence number and a term.
///
/// Two versions of one document are equal only if nothing was written in between, or the same bytes again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DocumentVersion(String);

impl DocumentVersion {
    /// Wraps what the place calls it, which is not empty.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The version of a document that is yet to be written, which no place gives.
    pub(crate) fn unwritten() -> Self {
        Self(String::new())
    }

    pub(crate) fn is_unwritten(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns what the place calls it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A document as it was read.
pub type Document = (Box<RawValue>, DocumentVersion);

/// The documents of jobs, one for each. Each call may be made concurrently with any other.
///
/// An answer that was lost needs no care here: whoever calls reads the document back and compares.
#[async_trait]
pub trait Documents: fmt::Debug + Send + Sync + 'static {
    /// Lists every document with its version; whatever is no job's document is left out.
    ///
    /// # Errors
    ///
    /// Fails when they cannot all be listed.
    async fn versions(&self) -> Result<Vec<(JobId, DocumentVersion)>, StoreError>;

    /// Reads a document, if there is one.
    ///
    /// # Errors
    ///
    /// Fails with kind `Config` when it is no JSON object, with its place and the remedy; with another kind when it cannot be
    /// read.
    async fn read(&self, id: &JobId) -> Result<Option<Document>, StoreError>;

    /// Writes a document if its version is still `expected` (absent: there must be none), durably, and returns its version.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when the version is another one or there is a document already. Fails with a transient kind
    /// when it is not known whether it was written; with another kind when it surely was not.
    async fn write(
        &self,
        id: &JobId,
        document: &RawValue,
        expected: Option<&DocumentVersion>,
    ) -> Result<DocumentVersion, StoreError>;

    /// Removes a document if its version is still `expected`; one that is gone already is no error.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when the version is another one; else as [`write`](Self::write).
    async fn remove(&self, id: &JobId, expected: &DocumentVersion) -> Result<(), StoreError>;
}
