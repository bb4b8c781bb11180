//! Converts SQLite's errors to [`StoreError`]s that name the file and the remedy.

use std::path::Path;

use ecs_scheduler_core::{FaultKind, StoreError};
use rusqlite::ErrorCode;

/// The error of a command within a transaction, in which case the command wrote nothing.
#[derive(Debug)]
pub(crate) enum TxError {
    /// The command was refused before it wrote anything; the other commands of its batch are unharmed.
    Refused(StoreError),
    /// The command may have written something, which must be rolled back.
    Failed(StoreError),
    /// SQLite failed; all writes of the transaction must be rolled back.
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for TxError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for TxError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl TxError {
    pub(crate) fn into_store_error(self, attempted: &str, path: &Path) -> StoreError {
        match self {
            Self::Refused(error) | Self::Failed(error) => error,
            Self::Sql(error) => store_error(attempted, path, error),
        }
    }
}

/// Makes a store error of SQLite's: the attempted operation, the file, and the remedy where one is known.
pub(crate) fn store_error(attempted: &str, path: &Path, error: rusqlite::Error) -> StoreError {
    let (kind, remedy) =
        if is_failed_write(&error) { FAILED_WRITE } else { remedy(error.sqlite_error_code()) };
    StoreError::with_source(kind, format!("could not {attempted} the store {path:?}{remedy}"), error)
}

/// The remedy of a failed write. SQLite reports a write beyond the file size limit in the same way as a disk error.
const FAILED_WRITE: (FaultKind, &str) = (
    FaultKind::Unavailable,
    ": the write failed; raise the limit of the file size (ulimit -f, LimitFSIZE) if there is one, or check the \
     system log for disk errors",
);

fn is_failed_write(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(code, Some(rusqlite::ffi::SQLITE_IOERR_WRITE | rusqlite::ffi::SQLITE_IOERR_TRUNCATE))
}

fn remedy(code: Option<ErrorCode>) -> (FaultKind, &'static str) {
    let Some(code) = code else { return (FaultKind::Bug, "") };
    match code {
        ErrorCode::DiskFull => {
            (FaultKind::Unavailable, ": the disk is full, or the file has its maximum size; free space")
        }
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied => (
            FaultKind::Unavailable,
            ": the file is read-only; give the scheduler's user write access to it and its folder",
        ),
        ErrorCode::CannotOpen => (
            FaultKind::Unavailable,
            ": the file or its folder cannot be opened; check that both exist and are writable",
        ),
        ErrorCode::SystemIoFailure => {
            (FaultKind::Unavailable, ": the disk failed to read or write; check the system log")
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            (FaultKind::Unavailable, ": another program is writing to it; wait until that program is done")
        }
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => (
            FaultKind::Config,
            ": the file is damaged, or is no SQLite database; restore a backup, or move the file aside to start empty",
        ),
        ErrorCode::OutOfMemory => (FaultKind::Unavailable, ": out of memory"),
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

/// Returns the error of a call to a closed store.
pub(crate) fn closed_error(path: &Path) -> StoreError {
    StoreError::fault(FaultKind::Unavailable, format!("the store {path:?} is closed"))
}
