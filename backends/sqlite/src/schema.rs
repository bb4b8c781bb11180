//! The format of the file: its migrations, and the rows that other programs wrote into it.

use std::path::Path;

use ecs_scheduler_core::{FaultKind, JobId, JobUid, StoreError};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use serde::de::IgnoredAny;

/// The migrations from each format to the next; the file's `user_version` is the number of those that were applied.
const MIGRATIONS: [&str; 2] = [include_str!("schema.sql"), include_str!("schema_2.sql")];
/// The namespace of identities that are derived for jobs of other programs.
const UID_NAMESPACE: &str = "sqlite";

/// Refuses a file whose format is newer than the newest migration.
///
/// # Errors
///
/// Fails when the format is newer.
pub(crate) fn refuse_newer_format(path: &Path, version: usize) -> Result<(), StoreError> {
    if version <= MIGRATIONS.len() {
        return Ok(());
    }
    let known = MIGRATIONS.len();
    let message = format!(
        "the store {path:?} has format {version}, and this version knows formats up to {known}; \
         use the newer version that wrote it, or restore a backup"
    );
    Err(StoreError::fault(FaultKind::Config, message))
}

/// Returns the format of the file; 0 is the Python version's.
pub(crate) fn format_version(connection: &Connection) -> rusqlite::Result<usize> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Migrates a file of format `version`, and reconciles what other programs wrote into it.
pub(crate) fn prepare(connection: &mut Connection, version: usize, now: i64) -> rusqlite::Result<()> {
    migrate(connection, version)?;
    probe_tables(connection)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    rebuild_meta(&transaction)?;
    reconcile_external_edits(&transaction, now)?;
    transaction.commit()
}

/// Reads both ends of every table: this finds obvious damage at a cost that does not grow with the file.
pub(crate) fn probe_tables(connection: &Connection) -> rusqlite::Result<()> {
    for (table, key) in [("jobs", "rowid"), ("marks", "no"), ("journal", "seq"), ("registers", "name")] {
        for end in ["ASC", "DESC"] {
            let sql = format!("SELECT * FROM {table} ORDER BY {key} {end} LIMIT 1");
            connection.prepare(&sql)?.query([])?.next()?;
        }
    }
    Ok(())
}

/// Applies the migrations that a file of format `version` lacks.
fn migrate(connection: &mut Connection, version: usize) -> rusqlite::Result<()> {
    for (number, migration) in (1..).zip(MIGRATIONS).skip(version) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Tells whether the file has the newest format, and holds nothing that [`rebuild_meta`] or
/// [`reconcile_external_edits`] would change.
pub(crate) fn is_prepared(connection: &Connection, version: usize) -> rusqlite::Result<bool> {
    if version < MIGRATIONS.len() || !is_meta_current(connection, schema_cookie(connection)?)? {
        return Ok(false);
    }
    let sql = "SELECT NOT EXISTS (SELECT 1 FROM marks INDEXED BY marks_unseen WHERE changed IS NULL)";
    connection.query_row(sql, [], |row| row.get(0))
}

fn schema_cookie(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "schema_version", |row| row.get(0))
}

/// Tells whether `marks` equals `jobs`. They may differ after a vacuum or the restore of a dump: either may give the
/// jobs other rowids. Both change the schema cookie; as long as it is the same, the triggers have kept the tables equal.
fn is_meta_current(connection: &Connection, cookie: i64) -> rusqlite::Result<bool> {
    if connection.query_row("SELECT cookie FROM keeper", [], |row| row.get::<_, i64>(0))? == cookie {
        return Ok(true);
    }
    connection.query_row(
        "SELECT (SELECT count(*) FROM jobs) = (SELECT count(*) FROM marks) AND NOT EXISTS \
         (SELECT 1 FROM jobs j LEFT JOIN marks m ON m.no = j.rowid WHERE m.id IS NOT j.id)",
        [],
        |row| row.get(0),
    )
}

/// Rebuilds `marks` when it differs from `jobs`.
fn rebuild_meta(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let cookie = schema_cookie(transaction)?;
    if !is_meta_current(transaction, cookie)? {
        transaction.execute_batch(
            "CREATE TEMP TABLE known AS SELECT * FROM marks;
             CREATE INDEX temp.known_id ON known(id);
             DELETE FROM marks;
             INSERT INTO marks SELECT j.rowid, j.id, k.uid, coalesce(k.revision, 1), k.created, k.changed,
                 coalesce(k.broken, 0), coalesce(k.head, 0), k.folds, k.settled, k.last_firing, k.last_fired,
                 k.last_run, k.last_run_tasks, coalesce(k.head_firing, 0)
                 FROM jobs j LEFT JOIN known k ON k.id = j.id;
             INSERT OR REPLACE INTO departed
                 SELECT id, head, head_firing FROM known WHERE head > 0 AND id NOT IN (SELECT id FROM jobs);
             DROP TABLE known;",
        )?;
    }
    transaction.execute("UPDATE keeper SET cookie = ?1 WHERE cookie <> ?1", [cookie])?;
    Ok(())
}

/// Gives an identity to each job that another program wrote, and flags those that cannot be read.
fn reconcile_external_edits(transaction: &Transaction<'_>, now: i64) -> rusqlite::Result<()> {
    let mut select = transaction.prepare(
        "SELECT m.no, j.id, j.data FROM marks m INDEXED BY marks_unseen JOIN jobs j ON j.rowid = m.no \
         WHERE m.changed IS NULL",
    )?;
    let mut update = transaction.prepare(
        "UPDATE marks SET uid = coalesce(uid, ?2), created = coalesce(created, ?3), changed = ?3, broken = ?4 \
         WHERE no = ?1",
    )?;
    let mut edited = Vec::new();
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let id = row.get_ref(1)?.as_str().ok().and_then(|id| JobId::new(id).ok());
        let is_json =
            row.get_ref(2)?.as_str().is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
        let uid = id.as_ref().map(|id| *JobUid::derived(UID_NAMESPACE, id).as_uuid().as_bytes());
        edited.push((row.get::<_, i64>(0)?, uid, !is_json || id.is_none()));
    }
    for (no, uid, corrupt) in edited {
        update.execute(params![no, uid, now, corrupt])?;
    }
    Ok(())
}

/// Logs each row that is not listed because it is not a job.
pub(crate) fn warn_corrupt_rows(connection: &Connection, path: &Path) -> rusqlite::Result<()> {
    let mut select = connection.prepare("SELECT id FROM marks INDEXED BY marks_broken WHERE broken <> 0")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let id = row.get_ref(0)?.as_bytes_or_null()?.map(String::from_utf8_lossy).unwrap_or_default();
        tracing::warn!(
            job = %id,
            ?path,
            "skipped a job whose row is not JSON or has no valid name; correct or delete the row and restart"
        );
    }
    Ok(())
}
