//! The layout of the tables: made when missing, brought up to date when older, refused when newer.

use std::time::Duration;

use ecs_scheduler_core::{FaultKind, StoreError};
use tokio_postgres::{Client, Error};

use crate::error::{fault, late};
use crate::pool::Lines;

/// The steps from one layout to the next; `ecss_layout.version` says how many of them the tables have seen.
const STEPS: [&str; 1] = [include_str!("schema/0001.sql")];
/// The oldest server that is known to understand our statements: 12, as the server counts.
const OLDEST: i32 = 120_000;
/// How long a step may take, and how long one waits for another process that takes it.
const STEP: Duration = Duration::from_secs(600);
/// The first half of the key of our advisory locks; the second is the number of what is locked.
pub(crate) const LOCKS: i32 = 0x6563_7373;

/// What becomes of a database without tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Make,
    Refuse,
}

/// Updates the tables, if that is needed, and makes them if that is wanted.
///
/// # Errors
///
/// Fails when the tables are of a newer layout, when permissions are missing, when the server is too old or of
/// another encoding than UTF-8, and with [`FaultKind::NotFound`] when tables are missing that are not to be made.
pub(crate) async fn prepare(lines: &Lines, missing: Missing) -> Result<(), StoreError> {
    let line = lines.take("open").await?;
    let client: &Client = line.client();
    let word = |error| fault("open", lines.name(), error);
    lines.within("open", examine(client, lines.name())).await??;
    let version = lines.within("open", version(client)).await?.map_err(word)?;
    if version.is_none() && missing == Missing::Refuse {
        let message = format!("the PostgreSQL database {} has no tables of a scheduler", lines.name());
        return Err(StoreError::fault(FaultKind::NotFound, message));
    }
    if version != Some(newest()) {
        refuse_newer(version.unwrap_or(0), lines.name())?;
        let making = tokio::time::timeout(STEP, make(client, lines.name()));
        making.await.map_err(|_| late("make the tables in", lines.name()))??;
    }
    line.done();
    Ok(())
}

/// The layout that this program writes.
pub(crate) fn newest() -> i32 {
    i32::try_from(STEPS.len()).expect("there are few steps")
}

/// Says that the tables were made by a newer program, if they were.
pub(crate) fn refuse_newer(version: i32, place: &str) -> Result<(), StoreError> {
    if version <= newest() {
        return Ok(());
    }
    let message = format!(
        "the PostgreSQL database {place} has layout {version}, and this program knows {}; start a newer program, or \
         restore a backup from before the update",
        newest()
    );
    Err(StoreError::fault(FaultKind::Config, message))
}

async fn examine(client: &Client, place: &str) -> Result<(), StoreError> {
    let sql = "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), \
               current_setting('server_version'), current_setting('synchronous_commit')";
    let row = client.query_one(sql, &[]).await.map_err(|error| fault("open", place, error))?;
    let (number, encoding, version, commit): (i32, &str, &str, &str) =
        (row.get(0), row.get(1), row.get(2), row.get(3));
    let refuse = |why: String| {
        Err(StoreError::fault(FaultKind::Config, format!("the PostgreSQL database {place} {why}")))
    };
    if number < OLDEST {
        return refuse(format!("is of version {version}; 12 is the oldest that will do"));
    }
    if encoding != "UTF8" {
        return refuse(format!("is encoded in {encoding}; make one with createdb --encoding UTF8"));
    }
    if commit == "off" {
        let remedy = "add ?options=-c%20synchronous_commit%3Don to ECSS_POSTGRES_URL";
        return refuse(format!(
            "answers before what it was told is on disk (synchronous_commit is off); {remedy}"
        ));
    }
    Ok(())
}

/// Reads the layout's number; absent when there are no tables.
async fn version(client: &Client) -> Result<Option<i32>, Error> {
    let there: bool = client.query_one("SELECT to_regclass('ecss_layout') IS NOT NULL", &[]).await?.get(0);
    if !there {
        return Ok(None);
    }
    let row = client.query_opt("SELECT version FROM ecss_layout", &[]).await?;
    Ok(row.map(|row| row.get(0)))
}

/// Takes the steps that are missing, in one transaction. Of several processes the first does it, the others wait.
async fn make(client: &Client, place: &str) -> Result<(), StoreError> {
    let word = |error| fault("make the tables in", place, error);
    client
        .batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = 0")
        .await
        .map_err(word)?;
    let lock = "SELECT pg_advisory_xact_lock($1, hashtext(coalesce(current_schema(), '')))";
    client.execute(lock, &[&LOCKS]).await.map_err(word)?;
    make_schema(client, place).await?;
    let version = version(client).await.map_err(word)?.unwrap_or(0);
    refuse_newer(version, place)?;
    let seen = usize::try_from(version).unwrap_or(0);
    for step in STEPS.iter().skip(seen) {
        client.batch_execute(step).await.map_err(word)?;
    }
    let note = "INSERT INTO ecss_layout(version) VALUES ($1) ON CONFLICT (one) DO UPDATE SET version = $1";
    client.execute(note, &[&newest()]).await.map_err(word)?;
    client.batch_execute("COMMIT").await.map_err(word)
}

/// Makes the schema that the search path names first, if none of those that it names exists.
async fn make_schema(client: &Client, place: &str) -> Result<(), StoreError> {
    let word = |error| fault("make the schema in", place, error);
    let sql = "SELECT current_schema()::text, current_setting('search_path')";
    let row = client.query_one(sql, &[]).await.map_err(word)?;
    let (current, path): (Option<&str>, &str) = (row.get(0), row.get(1));
    if current.is_some() {
        return Ok(());
    }
    let names = path.split(',').map(|name| name.trim().trim_matches('"'));
    let Some(name) = names.into_iter().find(|name| !name.is_empty() && *name != "$user") else {
        let message = format!(
            "the search path \"{path}\" of the PostgreSQL database {place} names no schema; add \
             ?options=-c%20search_path%3Dscheduler to ECSS_POSTGRES_URL"
        );
        return Err(StoreError::fault(FaultKind::Config, message));
    };
    let sql = format!("CREATE SCHEMA IF NOT EXISTS \"{}\"", name.replace('"', "\"\""));
    client.batch_execute(&sql).await.map_err(word)
}
