//! The tables: creates them when they are missing, migrates older layouts, refuses newer ones, and the health check.
//!
//! The version of the tables is called their *layout*, since a *schema* is a namespace in PostgreSQL.

use std::time::Duration;

use ecs_scheduler_core::{FaultKind, StoreError};
use tokio_postgres::{Client, Error};

use crate::error::{corrupt_row, database_error, timed_out};
use crate::pool::Pool;

/// The migrations from one layout to the next; `ecss_layout.version` is the number of those that were applied.
const MIGRATIONS: [&str; 2] = [include_str!("schema/0001.sql"), include_str!("schema/0002.sql")];
/// The oldest supported server, as the server numbers its versions: 12.
const MIN_SERVER_VERSION: i32 = 120_000;
/// How long a migration may take, and how long a process waits for another one that migrates.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(600);
/// The first half of the key of the advisory locks; the second half is the number of the locked object.
pub(crate) const LOCK_NAMESPACE: i32 = 0x6563_7373;
/// Proves that the database can be written, and reads the layout.
const HEALTH_CHECK: &str = "UPDATE ecss_layout SET beat = beat + 1 RETURNING version";

/// The action for a database without tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MissingTables {
    Create,
    Refuse,
}

/// Checks the server, and creates or migrates the tables as needed.
///
/// # Errors
///
/// Fails when the tables are of a newer layout, when permissions are missing, when the server is too old or its encoding
/// is not UTF-8, and with [`FaultKind::NotFound`] when tables are missing and must not be created.
pub(crate) async fn prepare(pool: &Pool, missing: MissingTables) -> Result<(), StoreError> {
    let conn = pool.acquire("open").await?;
    let client: &Client = conn.client();
    let map_error = |error| database_error("open", pool.name(), error);
    pool.with_timeout("open", check_server(client, pool.name())).await??;
    let version = pool.with_timeout("open", read_version(client)).await?.map_err(map_error)?;
    if version.is_none() && missing == MissingTables::Refuse {
        let message = format!("the PostgreSQL database {} has no tables of ECS Scheduler", pool.name());
        return Err(StoreError::fault(FaultKind::NotFound, message));
    }
    if version != Some(newest_version()) {
        refuse_newer(version.unwrap_or(0), pool.name())?;
        let migration = tokio::time::timeout(MIGRATION_TIMEOUT, migrate(client, pool.name()));
        migration.await.map_err(|_| timed_out("create the tables in", pool.name()))??;
    }
    conn.mark_clean();
    Ok(())
}

/// Returns the layout that this program writes.
pub(crate) fn newest_version() -> i32 {
    i32::try_from(MIGRATIONS.len()).expect("there are few migrations")
}

/// Fails when a newer program created the tables.
fn refuse_newer(version: i32, database: &str) -> Result<(), StoreError> {
    if version <= newest_version() {
        return Ok(());
    }
    let message = format!(
        "the PostgreSQL database {database} has layout {version}, and this program supports layouts up to {}; start a \
         newer program, or restore a backup from before the update",
        newest_version()
    );
    Err(StoreError::fault(FaultKind::Config, message))
}

async fn check_server(client: &Client, database: &str) -> Result<(), StoreError> {
    let sql = "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), \
               current_setting('server_version'), current_setting('synchronous_commit')";
    let row = client.query_one(sql, &[]).await.map_err(|error| database_error("open", database, error))?;
    let (number, encoding, version, commit): (i32, &str, &str, &str) =
        (row.get(0), row.get(1), row.get(2), row.get(3));
    let refuse = |reason: String| {
        Err(StoreError::fault(FaultKind::Config, format!("the PostgreSQL database {database} {reason}")))
    };
    if number < MIN_SERVER_VERSION {
        return refuse(format!("runs PostgreSQL {version}; 12 or later is required"));
    }
    if encoding != "UTF8" {
        return refuse(format!(
            "has the encoding {encoding}; create a database with createdb --encoding UTF8"
        ));
    }
    if commit == "off" {
        let remedy = "add ?options=-c%20synchronous_commit%3Don to its URL";
        return refuse(format!(
            "acknowledges commits before they are durable (synchronous_commit is off); {remedy}"
        ));
    }
    Ok(())
}

/// Reads the layout; absent when there are no tables.
async fn read_version(client: &Client) -> Result<Option<i32>, Error> {
    let exists: bool = client.query_one("SELECT to_regclass('ecss_layout') IS NOT NULL", &[]).await?.get(0);
    if !exists {
        return Ok(None);
    }
    let row = client.query_opt("SELECT version FROM ecss_layout", &[]).await?;
    Ok(row.map(|row| row.get(0)))
}

/// Applies the missing migrations in one transaction. The first of several processes does it, the others wait.
async fn migrate(client: &Client, database: &str) -> Result<(), StoreError> {
    let map_error = |error| database_error("create the tables in", database, error);
    client
        .batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = 0")
        .await
        .map_err(map_error)?;
    let lock = "SELECT pg_advisory_xact_lock($1, hashtext(coalesce(current_schema(), '')))";
    client.execute(lock, &[&LOCK_NAMESPACE]).await.map_err(map_error)?;
    create_namespace(client, database).await?;
    let version = read_version(client).await.map_err(map_error)?.unwrap_or(0);
    refuse_newer(version, database)?;
    let applied = usize::try_from(version).unwrap_or(0);
    for migration in MIGRATIONS.iter().skip(applied) {
        client.batch_execute(migration).await.map_err(map_error)?;
    }
    let record = "INSERT INTO ecss_layout(version) VALUES ($1) ON CONFLICT (one) DO UPDATE SET version = $1";
    client.execute(record, &[&newest_version()]).await.map_err(map_error)?;
    client.batch_execute("COMMIT").await.map_err(map_error)
}

/// Creates the first schema of the search path if none of its schemas exists.
async fn create_namespace(client: &Client, database: &str) -> Result<(), StoreError> {
    let map_error = |error| database_error("create the schema in", database, error);
    let sql = "SELECT current_schema()::text, current_setting('search_path')";
    let row = client.query_one(sql, &[]).await.map_err(map_error)?;
    let (current, path): (Option<&str>, &str) = (row.get(0), row.get(1));
    if current.is_some() {
        return Ok(());
    }
    let names = path.split(',').map(|name| name.trim().trim_matches('"'));
    let Some(name) = names.into_iter().find(|name| !name.is_empty() && *name != "$user") else {
        let message = format!(
            "the search path \"{path}\" of the PostgreSQL database {database} names no schema; add \
             ?options=-c%20search_path%3Dscheduler to its URL"
        );
        return Err(StoreError::fault(FaultKind::Config, message));
    };
    let sql = format!("CREATE SCHEMA IF NOT EXISTS \"{}\"", name.replace('"', "\"\""));
    client.batch_execute(&sql).await.map_err(map_error)
}

impl Pool {
    /// Checks that the database can be written and that no newer program has migrated the tables.
    pub(crate) async fn health_check(&self) -> Result<(), StoreError> {
        let rows = self.write("write to", HEALTH_CHECK, &[]).await?;
        let version = rows.first().ok_or_else(|| corrupt_row("the number of the layout", "no row"))?;
        refuse_newer(version.get(0), self.name())
    }
}
