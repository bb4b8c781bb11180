//! The ids of jobs, decisions, firings, calls and tasks.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// A job's name: `[0-9A-Za-z_-]+`, at most 255 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct JobId(Arc<str>);

impl JobId {
    /// The maximum length of a job's name, in characters.
    pub const MAX: usize = 255;

    /// Makes a job id of a name.
    ///
    /// # Errors
    ///
    /// Fails when it is empty, longer than [`Self::MAX`], or holds another character than letters, digits, `_`, `-`.
    pub fn new(name: &str) -> Result<Self, InvalidJobId> {
        let fine = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
        if name.is_empty() || name.len() > Self::MAX || !name.bytes().all(fine) {
            return Err(InvalidJobId);
        }
        Ok(Self(name.into()))
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for JobId {
    type Err = InvalidJobId;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

impl<'de> Deserialize<'de> for JobId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::new(&name).map_err(serde::de::Error::custom)
    }
}

/// The name is not a valid job id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a job id must contain only alphanumeric, underscore, and hyphen, and at most {} characters",
    JobId::MAX
)]
pub struct InvalidJobId;

/// A job's identity, assigned at its creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobUid(Uuid);

impl JobUid {
    /// Wraps an identity read from a store.
    #[must_use]
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// Returns the identity as a UUID.
    #[must_use]
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }

    /// Makes a new random identity.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// Derives the identity of a job that the Python version stored without one: the same in every replica and after every
    /// restart.
    #[must_use]
    pub fn derived(store: &str, id: &JobId) -> Self {
        let hash = Sha256::new().chain_update(store).chain_update([0]).chain_update(id.as_str()).finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

impl fmt::Display for JobUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

/// The version of a job's document, counted from 1; part of the `ETag`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// The first version.
    pub const FIRST: Self = Self(1);

    /// Returns the version after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of a decision: its position in the journal; newer ids are greater. 0 until the store assigns one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DecisionId(pub u64);

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The id of a firing: 12 hexadecimal digits of its nominal moment in milliseconds, then 20 of a hash of its identity.
///
/// Ids sort by nominal moment, so that a store can append them; the same tick of the same job has the same id everywhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FiringId(Arc<str>);

impl FiringId {
    /// Makes the id of a tick's firing.
    #[must_use]
    pub fn for_tick(uid: &JobUid, nominal: Timestamp) -> Self {
        Self::hashed(uid, nominal, "tick", "")
    }

    /// Makes the id of a manual firing that was first requested at this moment; `key` is the caller's idempotency key, or a
    /// random one.
    #[must_use]
    pub fn for_manual(uid: &JobUid, requested_at: Timestamp, key: &str) -> Self {
        Self::hashed(uid, requested_at, "hand", key)
    }

    /// Makes the id of the firing that starts the failed tasks of another one again.
    #[must_use]
    pub fn for_retry(uid: &JobUid, nominal: Timestamp, of: &Self) -> Self {
        Self::hashed(uid, nominal, "retry", of.as_str())
    }

    /// Makes the id of the firing of a tick of a backfill, whose id is `backfill`.
    #[must_use]
    pub fn for_backfill(uid: &JobUid, nominal: Timestamp, backfill: &str) -> Self {
        Self::hashed(uid, nominal, "backfill", backfill)
    }

    /// Wraps an id read from a store or a request.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self(text.into())
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn hashed(uid: &JobUid, nominal: Timestamp, kind: &str, key: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(uid.as_uuid().as_bytes());
        hash.update(nominal.as_nanosecond().to_be_bytes());
        hash.update(kind);
        hash.update([0]);
        hash.update(key);
        let hash = hash.finalize();
        let mut text = format!("{:012x}", nominal.as_millisecond().max(0));
        for byte in &hash[..10] {
            text.extend(
                [byte >> 4, byte & 0xf].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])),
            );
        }
        Self(text.into())
    }
}

impl fmt::Display for FiringId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The idempotency token of one launch call: 43 characters of `[A-Za-z0-9_-]`.
///
/// The token is derived from the firing's identity and never from its content, so a crash, a retry or a second replica
/// sends the same token for the same call.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LaunchToken(String);

impl LaunchToken {
    /// Derives the token: base64url(SHA-256(scheduler name ‖ job uid ‖ firing ‖ batch ‖ attempt)).
    ///
    /// The firing's id covers the nominal tick in UTC, or the key of a manual firing.
    #[must_use]
    pub fn derive(scheduler: &str, uid: &JobUid, firing: &FiringId, batch: u32, attempt: u32) -> Self {
        use base64::Engine as _;
        let mut hash = Sha256::new();
        for part in [scheduler.as_bytes(), uid.to_string().as_bytes(), firing.as_str().as_bytes()] {
            hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            hash.update(part);
        }
        hash.update(batch.to_be_bytes());
        hash.update(attempt.to_be_bytes());
        Self(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hash.finalize()))
    }

    /// Returns the token's characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The id of a task: an ARN on ECS, a similar name with the local launcher.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(Arc<str>);

impl TaskId {
    /// Wraps a launcher's id of a task.
    #[must_use]
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// Returns the id as the launcher gave it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
