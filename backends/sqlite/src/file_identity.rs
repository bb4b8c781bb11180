//! Detects that a file of the open store was deleted, moved or replaced.
//!
//! A deleted or moved file still exists for the process that has it open: all writes succeed, and all are lost at the
//! next start.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ecs_scheduler_core::{FaultKind, StoreError};

use crate::lock::sibling;

/// The device and inode of each file of a store at the time of opening. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct FileIdentities {
    path: PathBuf,
    files: Arc<[(PathBuf, Option<Identity>)]>,
}

/// Device and inode.
pub(crate) type Identity = (u64, u64);

impl FileIdentities {
    /// Records the files of the store at `path`, which is open.
    pub(crate) fn record(path: &Path) -> Self {
        let files = ["", "-wal", "-shm"].map(|suffix| sibling(path, suffix));
        let files = files.into_iter().map(|file| (file.clone(), identity(&file))).collect();
        Self { path: path.to_owned(), files }
    }

    /// Checks that the files are still the recorded ones.
    ///
    /// # Errors
    ///
    /// Fails when one of them was deleted, moved or replaced.
    pub(crate) fn verify(&self) -> Result<(), StoreError> {
        let Some((file, _)) = self.files.iter().find(|(file, recorded)| identity(file) != *recorded) else {
            return Ok(());
        };
        let event = if file.symlink_metadata().is_ok() { "replaced" } else { "deleted or moved away" };
        let message = format!(
            "could not write to the store {:?}: {file:?} was {event} while it was open, and new writes would be lost; \
             move it back, or stop the scheduler and restore a backup",
            self.path
        );
        Err(StoreError::fault(FaultKind::Unavailable, message))
    }
}

/// Returns the device and inode of a file that exists.
pub(crate) fn identity(file: &Path) -> Option<Identity> {
    file.metadata().ok().map(|file| (file.dev(), file.ino()))
}
