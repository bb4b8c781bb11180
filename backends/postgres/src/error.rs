//! Maps errors of the server and of the connection pool to [`StoreError`], with the remedy.

use std::error::Error as _;

use deadpool_postgres::{HookError, PoolError, TimeoutType};
use ecs_scheduler_core::{FaultKind, StoreError};
use tokio_postgres::error::SqlState;

#[cfg(test)]
mod tests;

/// The reason for a failed transaction: an error of the server, or stored data that make the transaction impossible.
pub(crate) enum TxError {
    Server(tokio_postgres::Error),
    Store(StoreError),
}

impl From<tokio_postgres::Error> for TxError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Server(error)
    }
}

/// Tells whether the server rolled the transaction back because of another one: a retry may succeed at once.
pub(crate) fn is_contention(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| {
        *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED
    })
}

/// Tells whether the connection is unusable: it broke, or its server is stopping or read-only.
pub(crate) fn is_lost(error: &tokio_postgres::Error) -> bool {
    let Some(code) = error.code() else { return error.is_closed() || is_io(error) };
    let is_connection_error = code.code().starts_with("08") || code.code().starts_with("57P");
    is_connection_error
        || [
            SqlState::READ_ONLY_SQL_TRANSACTION,
            // After a migration of the tables, or behind a pooler that hands out other connections.
            SqlState::FEATURE_NOT_SUPPORTED,
            SqlState::INVALID_SQL_STATEMENT_NAME,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        ]
        .contains(code)
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    error.source().is_some_and(|cause| cause.is::<std::io::Error>())
}

/// Maps an error of the server or of the connection: the action, the database, and the remedy.
pub(crate) fn database_error(action: &str, database: &str, error: tokio_postgres::Error) -> StoreError {
    let (kind, remedy) = match error.code() {
        Some(code) => server_remedy(code),
        None => connection_remedy(&error),
    };
    StoreError::with_source(
        kind,
        format!("could not {action} the PostgreSQL database {database}{remedy}"),
        error,
    )
}

/// Maps the error of a pool that has no connection to give.
pub(crate) fn pool_error(action: &str, database: &str, error: PoolError) -> StoreError {
    let message = |remedy| format!("could not {action} the PostgreSQL database {database}{remedy}");
    match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
            database_error(action, database, error)
        }
        PoolError::Timeout(TimeoutType::Wait) => StoreError::fault(
            FaultKind::Unavailable,
            message(
                ": every connection is in use and none became free in time; the database is slow or overloaded",
            ),
        ),
        PoolError::Timeout(_) => timed_out(action, database),
        PoolError::Closed => store_closed(database),
        PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(HookError::Message(_)) => {
            StoreError::with_source(FaultKind::Bug, message(""), error)
        }
    }
}

/// The error of a call that the server did not answer in time.
pub(crate) fn timed_out(action: &str, database: &str) -> StoreError {
    let message = format!(
        "could not {action} the PostgreSQL database {database}: the server did not answer in time; check that it runs, \
         can be reached and is not overloaded"
    );
    StoreError::fault(FaultKind::Unavailable, message)
}

/// The error of a call on a closed store.
pub(crate) fn store_closed(database: &str) -> StoreError {
    StoreError::fault(
        FaultKind::Unavailable,
        format!("the store in the PostgreSQL database {database} is closed"),
    )
}

/// The error of a row that cannot be decoded.
pub(crate) fn corrupt_row(
    subject: &str,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    let message = format!(
        "could not read {subject}: its row is damaged or was changed by another program; correct it, or restore a backup"
    );
    StoreError::with_source(FaultKind::Config, message, error)
}

/// Classifies an error that the server did not report.
fn connection_remedy(error: &tokio_postgres::Error) -> (FaultKind, &'static str) {
    if error.is_closed() {
        return (FaultKind::Unavailable, ": the connection was closed");
    }
    let text = ecs_scheduler_core::fault::chain(error);
    if text.contains("TLS") || text.contains("certificate") {
        return (FaultKind::Config, ": TLS failed; check sslmode and sslrootcert in its URL");
    }
    if is_io(error) {
        return (
            FaultKind::Unavailable,
            ": check that it runs, that host and port are right, and that network and firewall allow the connection",
        );
    }
    if text.contains("timed out") || text.contains("session are read-only") || text.contains("does not allow")
    {
        return (FaultKind::Unavailable, ": no host answers that accepts writes");
    }
    (FaultKind::Config, ": check its URL")
}

/// Classifies an error that the server reported.
fn server_remedy(code: &SqlState) -> (FaultKind, &'static str) {
    for (prefix, kind, remedy) in REMEDIES {
        if code.code().starts_with(prefix) {
            return (*kind, remedy);
        }
    }
    (FaultKind::Bug, "")
}

/// Kinds and remedies by the prefix of the `SQLSTATE` code; the first match counts.
///
/// # Source
///
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
const REMEDIES: &[(&str, FaultKind, &str)] = &[
    (
        "28",
        FaultKind::Denied,
        ": the user or the password is wrong, or pg_hba.conf does not allow connections from this address",
    ),
    (
        "3D000",
        FaultKind::Config,
        ": the database does not exist; create it with createdb, or correct the URL",
    ),
    (
        "42501",
        FaultKind::Denied,
        ": a permission is missing; let the user own its schema (CREATE SCHEMA … AUTHORIZATION …), or grant it USAGE and \
         CREATE on the schema and all on the tables and sequences in it",
    ),
    (
        "42P07",
        FaultKind::Config,
        ": a table named ecss_… exists that the scheduler did not create; give the scheduler a schema of its own",
    ),
    (
        "42P01",
        FaultKind::Config,
        ": a table is missing; restore a backup, or remove all tables whose names begin with ecss_ to start empty",
    ),
    (
        "25006",
        FaultKind::Unavailable,
        ": the server is read-only, perhaps a standby; name the primary, or all hosts",
    ),
    (
        "53300",
        FaultKind::Unavailable,
        ": the server has no free connection; raise max_connections, or run fewer replicas",
    ),
    (
        "55P02",
        FaultKind::Config,
        ": the options of its URL have a setting that only the server's configuration can change; remove it there",
    ),
    ("42704", FaultKind::Config, ": the server does not know a setting or a name in its URL; correct it"),
    ("22023", FaultKind::Config, ": a setting in the options of its URL has an invalid value; correct it"),
    ("53100", FaultKind::Unavailable, ": the server's disk is full; free space on it"),
    ("53", FaultKind::Unavailable, ": the server is out of memory, disk space or connections"),
    (
        "57014",
        FaultKind::Unavailable,
        ": a statement took too long and was cancelled; find out which lock or load delays it",
    ),
    ("55P03", FaultKind::Unavailable, ": a lock was not available in time; find out which session holds it"),
    ("57P", FaultKind::Unavailable, ": the server is stopping or starting"),
    (
        "25P03",
        FaultKind::Unavailable,
        ": the server ended the session, because a transaction was idle for too long",
    ),
    ("40", FaultKind::Unavailable, ": other transactions conflicted with it several times"),
    ("08", FaultKind::Unavailable, ": the connection broke"),
    ("0A000", FaultKind::Unavailable, ": the tables were migrated meanwhile"),
    (
        "26",
        FaultKind::Unavailable,
        ": a connection pooler does not keep prepared statements; connect to the server directly",
    ),
    ("58", FaultKind::Unavailable, ": the server's operating system failed; see the server's log"),
    ("XX", FaultKind::Config, ": the database is corrupt; see the server's log, and restore a backup"),
    ("22P05", FaultKind::Config, ": the encoding of the database lacks a character; it must be UTF8"),
];
