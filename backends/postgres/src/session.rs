//! Checks that a connection is one session of the server, and that no pooler assigns a session to each transaction.
//!
//! Settings, prepared statements and timeouts belong to a session. Behind such a pooler the scheduler would start, and
//! then evaluate no tick.

use ecs_scheduler_core::{FaultKind, StoreError};
use tokio_postgres::{Error, SimpleQueryMessage};

use crate::error::database_error;
use crate::pool::{Pool, PooledConn};

/// Compares the server processes behind two connections, one of which is in a transaction.
///
/// # Errors
///
/// Fails when a pooler gives each transaction another session, and when the server does not answer.
pub(crate) async fn check_sessions(pool: &Pool) -> Result<(), StoreError> {
    if pool.is_single() {
        return Ok(());
    }
    let first = pool.acquire("open").await?;
    // Without a second connection there is nothing to compare.
    let Ok(second) = pool.acquire("open").await else {
        first.mark_clean();
        return Ok(());
    };
    let kept = pool.with_timeout("open", keeps_sessions(&first, &second)).await?;
    if kept.map_err(|error| database_error("open", pool.name(), error))? {
        first.mark_clean();
        second.mark_clean();
        return Ok(());
    }
    let message = format!(
        "could not open the PostgreSQL database {}: a connection pooler gives each transaction another session; set \
         pool_mode = session for this database in PgBouncer, or connect to the server directly",
        pool.name()
    );
    Err(StoreError::fault(FaultKind::Config, message))
}

/// Tells whether each connection keeps a server process of its own. A pooler that does not keep sessions gives the second
/// connection the process that the first has just used, or gives the first another one.
async fn keeps_sessions(first: &PooledConn, second: &PooledConn) -> Result<bool, Error> {
    let (before, again) = (server_process(first).await?, server_process(first).await?);
    second.client().batch_execute("BEGIN").await?;
    let other = server_process(second).await?;
    let kept = before == again && before != other && server_process(first).await? == before;
    second.client().batch_execute("ROLLBACK").await?;
    Ok(kept)
}

/// Reads the id of the server process, by a statement that is not prepared.
async fn server_process(conn: &PooledConn) -> Result<Option<String>, Error> {
    let messages = conn.client().simple_query("SELECT pg_backend_pid()").await?;
    Ok(messages.iter().find_map(|message| {
        let SimpleQueryMessage::Row(row) = message else { return None };
        row.get(0).map(str::to_owned)
    }))
}
