//! Whether the files that are open are still those of the store's name.
//!
//! A file that is deleted or moved goes on existing for the process that has it open: everything works, and is gone at the next start.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ecs_scheduler_core::{FaultKind, StoreError};

use crate::lock::sibling;

/// The files of a store as they were when it was opened. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Presence {
    path: PathBuf,
    files: Arc<[(PathBuf, Option<Identity>)]>,
}

/// Device and inode.
type Identity = (u64, u64);

impl Presence {
    /// Notes the files of the store at `path`, which is open.
    pub(crate) fn note(path: &Path) -> Self {
        let files = ["", "-wal", "-shm"].map(|suffix| sibling(path, suffix));
        let files = files.into_iter().map(|file| (file.clone(), identity(&file))).collect();
        Self { path: path.to_owned(), files }
    }

    /// Looks whether they are still there.
    ///
    /// # Errors
    ///
    /// Fails when one of them was deleted, moved or replaced.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let Some((file, _)) = self.files.iter().find(|(file, noted)| identity(file) != *noted) else {
            return Ok(());
        };
        let what = if file.symlink_metadata().is_ok() { "replaced" } else { "deleted or moved away" };
        let message = format!(
            "the store {:?} cannot be used: {file:?} was {what} while it was open, and what is written now would be lost; \
             move it back, or stop the scheduler and restore a backup",
            self.path
        );
        Err(StoreError::fault(FaultKind::Unavailable, message))
    }
}

fn identity(file: &Path) -> Option<Identity> {
    file.metadata().ok().map(|file| (file.dev(), file.ino()))
}
