//! The server's errors in the words of [`StoreError`], with what a person can do about them.

use std::error::Error as _;

use deadpool_postgres::{HookError, PoolError, TimeoutType};
use ecs_scheduler_core::{FaultKind, StoreError};
use tokio_postgres::error::SqlState;

#[cfg(test)]
mod tests;

/// Tells whether the server undid the transaction for the sake of another one: the same may succeed at once.
pub(crate) fn is_contention(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| {
        *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED
    })
}

/// Tells whether the connection is of no use any more: it broke, or leads to a server that stops or cannot be written.
pub(crate) fn is_lost(error: &tokio_postgres::Error) -> bool {
    let Some(code) = error.code() else { return error.is_closed() || is_io(error) };
    let of_the_connection = code.code().starts_with("08") || code.code().starts_with("57P");
    of_the_connection
        || [
            SqlState::READ_ONLY_SQL_TRANSACTION,
            // Left by an upgrade of the layout, or by a pool between us that hands out other connections.
            SqlState::FEATURE_NOT_SUPPORTED,
            SqlState::INVALID_SQL_STATEMENT_NAME,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        ]
        .contains(code)
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    error.source().is_some_and(|cause| cause.is::<std::io::Error>())
}

/// Words an error of the server or of the connection: what was attempted, on which database, and the remedy.
pub(crate) fn fault(attempted: &str, place: &str, error: tokio_postgres::Error) -> StoreError {
    let (kind, remedy) = match error.code() {
        Some(code) => remedy(code),
        None => unanswered(&error),
    };
    StoreError::caused(kind, format!("could not {attempted} the PostgreSQL database {place}{remedy}"), error)
}

/// Words why no connection could be had.
pub(crate) fn unreachable(attempted: &str, place: &str, error: PoolError) -> StoreError {
    let message = |remedy| format!("could not {attempted} the PostgreSQL database {place}{remedy}");
    match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
            fault(attempted, place, error)
        }
        PoolError::Timeout(TimeoutType::Wait) => StoreError::fault(
            FaultKind::Unavailable,
            message(
                ": every connection is in use and none came back in time; the database is slow or overloaded",
            ),
        ),
        PoolError::Timeout(_) => late(attempted, place),
        PoolError::Closed => closed(place),
        PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(HookError::Message(_)) => {
            StoreError::caused(FaultKind::Bug, message(""), error)
        }
    }
}

/// The answer when nothing was heard in time.
pub(crate) fn late(attempted: &str, place: &str) -> StoreError {
    let message = format!(
        "could not {attempted} the PostgreSQL database {place}: it did not answer in time; check that it runs, is \
         reached and is not overloaded"
    );
    StoreError::fault(FaultKind::Unavailable, message)
}

/// The answer of a store that was closed.
pub(crate) fn closed(place: &str) -> StoreError {
    StoreError::fault(
        FaultKind::Unavailable,
        format!("the store in the PostgreSQL database {place} is closed"),
    )
}

/// Says that a row is not what it must be.
pub(crate) fn corrupt(what: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    let message = format!(
        "could not read {what}: its row is damaged or was changed by another program; correct it, or restore a backup"
    );
    StoreError::caused(FaultKind::Config, message, error)
}

fn unanswered(error: &tokio_postgres::Error) -> (FaultKind, &'static str) {
    if error.is_closed() {
        return (FaultKind::Unavailable, ": the connection was closed");
    }
    let text = ecs_scheduler_core::fault::chain(error);
    if text.contains("TLS") || text.contains("certificate") {
        return (FaultKind::Config, ": TLS failed; check sslmode and sslrootcert in ECSS_POSTGRES_URL");
    }
    if is_io(error) {
        return (
            FaultKind::Unavailable,
            ": check that it runs, that host and port are right, and that the network and the firewall let us through",
        );
    }
    if text.contains("timed out") || text.contains("session are read-only") || text.contains("does not allow")
    {
        return (FaultKind::Unavailable, ": no host that answers can be written");
    }
    (FaultKind::Config, ": check ECSS_POSTGRES_URL")
}

fn remedy(code: &SqlState) -> (FaultKind, &'static str) {
    for (known, kind, remedy) in REMEDIES {
        if code.code().starts_with(known) {
            return (*kind, remedy);
        }
    }
    (FaultKind::Bug, "")
}

/// What the states mean, by the beginning of their codes; the first that fits holds.
///
/// # Source
///
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
const REMEDIES: &[(&str, FaultKind, &str)] = &[
    (
        "28",
        FaultKind::Denied,
        ": the user or the password is wrong, or pg_hba.conf does not admit us from here",
    ),
    ("3D000", FaultKind::Config, ": it does not exist; make it with createdb, or correct ECSS_POSTGRES_URL"),
    (
        "42501",
        FaultKind::Denied,
        ": a permission is missing; let the user own its schema (CREATE SCHEMA … AUTHORIZATION …), or grant it USAGE and \
         CREATE on the schema and all on the tables and sequences in it",
    ),
    (
        "42P07",
        FaultKind::Config,
        ": it has a table of one of our names (ecss_…) and no layout of ours; give the scheduler a schema of its own",
    ),
    (
        "42P01",
        FaultKind::Config,
        ": a table is missing; restore a backup, or remove all tables whose names begin with ecss_ to begin anew",
    ),
    ("25006", FaultKind::Unavailable, ": it is read-only, a standby perhaps; name the primary, or all hosts"),
    (
        "53300",
        FaultKind::Unavailable,
        ": it has no connection left; raise max_connections, or run fewer replicas",
    ),
    (
        "55P02",
        FaultKind::Config,
        ": a setting in the options of ECSS_POSTGRES_URL is the server's own; leave it out there",
    ),
    (
        "42704",
        FaultKind::Config,
        ": a setting or a name in ECSS_POSTGRES_URL is not known to the server; correct it",
    ),
    (
        "22023",
        FaultKind::Config,
        ": a setting in the options of ECSS_POSTGRES_URL has a wrong value; correct it",
    ),
    ("53100", FaultKind::Unavailable, ": its disk is full; make room"),
    ("53", FaultKind::Unavailable, ": it has too little memory, disk or connections"),
    ("57014", FaultKind::Unavailable, ": a statement took too long and was ended; look for what holds it up"),
    ("55P03", FaultKind::Unavailable, ": a lock was not to be had in time; look for what holds it"),
    ("57P", FaultKind::Unavailable, ": it is stopping or starting"),
    ("25P03", FaultKind::Unavailable, ": we were silent for too long within a transaction"),
    ("40", FaultKind::Unavailable, ": other transactions came in between, several times"),
    ("08", FaultKind::Unavailable, ": the connection broke"),
    ("0A000", FaultKind::Unavailable, ": the tables were changed meanwhile"),
    ("26", FaultKind::Unavailable, ": a pool between us does not keep prepared statements; connect directly"),
    ("58", FaultKind::Unavailable, ": the system that it runs on failed; look at its log"),
    ("XX", FaultKind::Config, ": it is damaged; look at its log, and restore a backup"),
    ("22P05", FaultKind::Config, ": its encoding lacks a character; it must be UTF8"),
];
