//! SQLite's errors in the words of [`StoreError`], with what a person can do about them.

use std::path::Path;

use ecs_scheduler_core::{FaultKind, StoreError};
use rusqlite::ErrorCode;

/// Why a command wrote nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was refused before it wrote anything; the commands beside it are unharmed.
    Refused(StoreError),
    /// It may have written something, which must be rolled back.
    Failed(StoreError),
    /// SQLite failed; what was written must be rolled back.
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl Failure {
    pub(crate) fn into_store_error(self, attempted: &str, path: &Path) -> StoreError {
        match self {
            Self::Refused(error) | Self::Failed(error) => error,
            Self::Sql(error) => fault(attempted, path, error),
        }
    }
}

/// Words an error of SQLite: what was attempted, on which file, and the remedy where one is known.
pub(crate) fn fault(attempted: &str, path: &Path, error: rusqlite::Error) -> StoreError {
    let (kind, remedy) =
        if is_refused_write(&error) { REFUSED_WRITE } else { remedy(error.sqlite_error_code()) };
    StoreError::caused(kind, format!("could not {attempted} the store {path:?}{remedy}"), error)
}

/// A write beyond the limit of a file's size counts as such, too: SQLite does not tell it from a disk that fails.
const REFUSED_WRITE: (FaultKind, &str) = (
    FaultKind::Unavailable,
    ": it could not be written; raise the limit of a file's size (ulimit -f, LimitFSIZE) if there is one, or look at the \
     system's log for a disk that fails",
);

fn is_refused_write(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(code, Some(rusqlite::ffi::SQLITE_IOERR_WRITE | rusqlite::ffi::SQLITE_IOERR_TRUNCATE))
}

fn remedy(code: Option<ErrorCode>) -> (FaultKind, &'static str) {
    let Some(code) = code else { return (FaultKind::Bug, "") };
    match code {
        ErrorCode::DiskFull => {
            (FaultKind::Unavailable, ": the disk, or the size that the file may have, is full; make room")
        }
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied => (
            FaultKind::Unavailable,
            ": it is read-only; give the scheduler's user write access to it and its folder",
        ),
        ErrorCode::CannotOpen => (
            FaultKind::Unavailable,
            ": it, or its folder, cannot be opened; check that both exist and may be written",
        ),
        ErrorCode::SystemIoFailure => {
            (FaultKind::Unavailable, ": the disk failed to read or write; look at the system's log")
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            (FaultKind::Unavailable, ": another program is writing it; let it finish")
        }
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => (
            FaultKind::Config,
            ": it is damaged, or no SQLite database; restore a backup, or move it away to begin anew",
        ),
        ErrorCode::OutOfMemory => (FaultKind::Unavailable, ": there is no memory left"),
        ErrorCode::InternalMalfunction
        | ErrorCode::OperationAborted
        | ErrorCode::OperationInterrupted
        | ErrorCode::NotFound
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::SchemaChanged
        | ErrorCode::TooBig
        | ErrorCode::ConstraintViolation
        | ErrorCode::TypeMismatch
        | ErrorCode::ApiMisuse
        | ErrorCode::NoLargeFileSupport
        | ErrorCode::ParameterOutOfRange
        | ErrorCode::Unknown
        | _ => (FaultKind::Bug, ""),
    }
}

/// The answer of a store that was closed.
pub(crate) fn closed(path: &Path) -> StoreError {
    StoreError::fault(FaultKind::Unavailable, format!("the store {path:?} is closed"))
}
