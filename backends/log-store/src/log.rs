//! The storage of the log: objects for segments and snapshots.

use std::fmt;

use async_trait::async_trait;
use ecs_scheduler_core::StoreError;

/// The result of creating an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateResult {
    /// The object is durable with the given bytes.
    Created,
    /// An object of this name exists, and is unchanged. An earlier attempt of the same call may have created it when its answer
    /// was lost: the caller reads the object and compares.
    Exists,
}

/// Storage for small objects that are created once, listed in the order of their names, and removed.
///
/// Names have at most 64 letters, digits and `-`; an object has at most 8 MiB. Calls may be concurrent. Every call that begins
/// after a creation or a removal sees it, from any process.
#[async_trait]
pub trait ObjectLog: fmt::Debug + Send + Sync + 'static {
    /// Creates an object if none of this name exists; never replaces one.
    ///
    /// # Errors
    ///
    /// Fails with a transient kind when the result is unknown, or when a retry may succeed; with another kind when the object
    /// was not created.
    async fn create(&self, name: &str, bytes: Vec<u8>) -> Result<CreateResult, StoreError>;

    /// Reads an object, if it exists.
    ///
    /// # Errors
    ///
    /// Fails when it is unknown whether the object exists.
    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Lists all names greater than `after`, ascending by their bytes.
    ///
    /// # Errors
    ///
    /// Fails when the list is incomplete.
    async fn names(&self, after: &str) -> Result<Vec<String>, StoreError>;

    /// Removes any number of objects. An object that does not exist is not an error.
    ///
    /// # Errors
    ///
    /// Fails when some objects may remain. The error does not say which.
    async fn remove(&self, names: &[String]) -> Result<(), StoreError>;
}
