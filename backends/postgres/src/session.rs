//! Whether a connection is one session of the server, or a pool between us gives each transaction another one.
//!
//! Settings, prepared statements and the time-outs that others rely on belong to a session. Without them the scheduler would start,
//! and look at no tick.

use ecs_scheduler_core::{FaultKind, StoreError};
use tokio_postgres::{Error, SimpleQueryMessage};

use crate::error::fault;
use crate::pool::{Line, Lines};

/// Compares the server's processes behind two connections, of which one is within a transaction.
///
/// # Errors
///
/// Fails when a pool gives each transaction another session, and when the server does not answer.
pub(crate) async fn probe(lines: &Lines) -> Result<(), StoreError> {
    if lines.is_single() {
        return Ok(());
    }
    let one = lines.take("open").await?;
    // Where no second connection is to be had, there is nothing to be told.
    let Ok(other) = lines.take("open").await else {
        one.done();
        return Ok(());
    };
    let kept = lines.within("open", keeps_sessions(&one, &other)).await?;
    if kept.map_err(|error| fault("open", lines.name(), error))? {
        one.done();
        other.done();
        return Ok(());
    }
    let message = format!(
        "could not open the PostgreSQL database {}: a pool between us gives each transaction another session; set pool_mode = session \
         for this database in PgBouncer, or connect to the server directly",
        lines.name()
    );
    Err(StoreError::fault(FaultKind::Config, message))
}

/// Tells whether each connection has a process of its own, which stays. A pool that does not keep sessions gives the second
/// connection the process that the first has just used, or gives the first another one.
async fn keeps_sessions(one: &Line, other: &Line) -> Result<bool, Error> {
    let (first, again) = (process(one).await?, process(one).await?);
    other.client().batch_execute("BEGIN").await?;
    let second = process(other).await?;
    let kept = first == again && first != second && process(one).await? == first;
    other.client().batch_execute("ROLLBACK").await?;
    Ok(kept)
}

/// Asks for the number of the server's process, by a statement that is not prepared.
async fn process(line: &Line) -> Result<Option<String>, Error> {
    let messages = line.client().simple_query("SELECT pg_backend_pid()").await?;
    Ok(messages.iter().find_map(|message| {
        let SimpleQueryMessage::Row(row) = message else { return None };
        row.get(0).map(str::to_owned)
    }))
}
