//! The log: where segments and snapshots are kept.

use std::fmt;

use async_trait::async_trait;
use ecs_scheduler_core::StoreError;

/// What came of the creation of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It is there now, durably, with the bytes given.
    New,
    /// There was one of this name already, which was left as it is. It may be this very call's, when an earlier attempt
    /// at it had its effect and its answer was lost: the caller reads it and compares.
    Exists,
}

/// Small objects that are created once, listed in the order of their names, and removed.
///
/// Names have letters, digits and `-` only, at most 64 of them; an object has at most 8 MiB. Each call may be made
/// concurrently with any other. What is created or removed is seen by every call that begins afterwards, from any process.
#[async_trait]
pub trait Log: fmt::Debug + Send + Sync + 'static {
    /// Creates an object if there is none of this name; never replaces one.
    ///
    /// # Errors
    ///
    /// Fails with a transient kind when it is not known whether the object was created, or when trying again may help; with
    /// another kind when it surely was not.
    async fn create(&self, name: &str, bytes: Vec<u8>) -> Result<Created, StoreError>;

    /// Reads an object, if there is one.
    ///
    /// # Errors
    ///
    /// Fails when that cannot be learnt.
    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Lists the names greater than `after`, ascending by their bytes, all of them.
    ///
    /// # Errors
    ///
    /// Fails when they cannot all be read.
    async fn names(&self, after: &str) -> Result<Vec<String>, StoreError>;

    /// Removes objects, any number of them; one that is not there is no error.
    ///
    /// # Errors
    ///
    /// Fails when some may be left. Which ones were removed is not said.
    async fn remove(&self, names: &[String]) -> Result<(), StoreError>;
}
