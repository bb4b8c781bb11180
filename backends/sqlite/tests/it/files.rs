//! Files that are damaged, newer, locked, moved away, or rebuilt by another program, and their permissions.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ecs_scheduler_backend_sqlite::{SqliteOptions, SqliteStore, backup, restore};
use ecs_scheduler_core::{FaultKind, JobStore, ListFrom, Store, StoreError, StoreMaintenance as _};

use crate::support::{StoreFile, name, new_job};

/// Writes and closes a store of some jobs.
async fn written() -> StoreFile {
    let store_file = StoreFile::new();
    let store = store_file.store().await;
    for number in 0..200 {
        store.create(new_job(&format!("job-{number}"), r#"{"taskCount": 1}"#)).await.unwrap();
    }
    store.close().await.unwrap();
    store_file
}

#[tokio::test]
async fn truncated_file_is_refused() {
    let store_file = written().await;
    let file = std::fs::OpenOptions::new().write(true).open(store_file.path()).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let message = store_file.refusal().await;
    assert!(message.contains("its end is missing") && message.contains("restore a backup"), "{message}");
}

#[tokio::test]
async fn file_that_is_no_database_is_refused_and_unchanged() {
    let store_file = StoreFile::new();
    for text in ["short", &"[jobs]\n".repeat(1000)] {
        std::fs::write(store_file.path(), text).unwrap();
        let message = store_file.refusal().await;
        assert!(
            message.contains("is no SQLite database") && message.contains("restore a backup"),
            "{message}"
        );
        assert_eq!(std::fs::read_to_string(store_file.path()).unwrap(), *text);
    }
}

#[tokio::test]
async fn file_with_garbage_in_its_tables_is_refused() {
    let store_file = written().await;
    let mut bytes = std::fs::read(store_file.path()).unwrap();
    bytes[16 * 1024..].fill(0x5a);
    std::fs::write(store_file.path(), &bytes).unwrap();
    let message = store_file.refusal().await;
    assert!(message.contains("damaged") && message.contains("restore a backup"), "{message}");
}

#[tokio::test]
async fn file_of_a_newer_format_is_refused_and_unchanged() {
    let store_file = written().await;
    store_file.connection().pragma_update(None, "user_version", 99).unwrap();
    let before = std::fs::read(store_file.path()).unwrap();
    let message = store_file.refusal().await;
    assert!(message.contains("format 99") && message.contains("use the newer version"), "{message}");
    assert_eq!(std::fs::read(store_file.path()).unwrap(), before);
}

#[tokio::test]
async fn second_scheduler_is_refused_while_the_first_uses_the_file() {
    let store_file = StoreFile::new();
    let store = store_file.store().await;
    let message = store_file.refusal().await;
    let holder = format!("(process {})", std::process::id());
    assert!(message.contains("in use by another scheduler") && message.contains(&holder), "{message}");
    assert!(message.contains("stop it, or configure another file"), "{message}");
    store.health_check().await.unwrap();
    store.close().await.unwrap();
    store_file.store().await.health_check().await.unwrap();
    store_file.store().await.health_check().await.unwrap();
}

/// Asserts that the file is refused under another name; returns the message.
async fn refused_at(path: &Path) -> String {
    let opened = SqliteStore::open(path, SqliteOptions::default()).await;
    let message = opened.expect_err("another scheduler uses the file").to_string();
    assert!(message.contains("in use by another scheduler"), "{message}");
    message
}

#[tokio::test]
async fn second_scheduler_is_refused_through_a_link() {
    let (store_file, folder) = (StoreFile::new(), tempfile::tempdir().unwrap());
    let [symbolic, of_folder, hard] =
        ["symbolic.db", "folder", "hard.db"].map(|name| folder.path().join(name));
    let store = store_file.store().await;
    std::os::unix::fs::symlink(store_file.path(), &symbolic).unwrap();
    std::os::unix::fs::symlink(store_file.path().parent().unwrap(), &of_folder).unwrap();
    std::fs::hard_link(store_file.path(), &hard).unwrap();
    let holder = format!("(process {})", std::process::id());
    for path in [symbolic.clone(), of_folder.join("jobs.db")] {
        let message = refused_at(&path).await;
        assert!(message.contains(&holder), "{message}");
    }
    let message = refused_at(&hard).await;
    assert!(message.contains("by another name of the file"), "{message}");
    store.create(new_job("a", "{}")).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let through = SqliteStore::open(&symbolic, SqliteOptions::default()).await.unwrap();
    assert_eq!(through.get(&[name("a")]).await.unwrap().len(), 1);
    store_file.refusal().await;
}

#[tokio::test]
async fn link_without_a_target_is_refused() {
    let store_file = StoreFile::new();
    std::os::unix::fs::symlink(store_file.path().with_file_name("missing"), store_file.path()).unwrap();
    let message = store_file.refusal().await;
    assert!(message.contains("a link whose target is missing"), "{message}");
}

/// Asserts that a store writes nothing because one of its files was moved or replaced.
async fn assert_lost(store: &SqliteStore, file: &str, event: &str) {
    let created = store.create(new_job("late", "{}")).await.map(drop);
    for refused in [store.health_check().await, created] {
        let error = refused.expect_err("the store writes nothing");
        assert!(matches!(error, StoreError::Fault { kind: FaultKind::Unavailable, .. }), "{error:?}");
        let message = error.to_string();
        assert!(
            message.contains(file) && message.contains(event) && message.contains("move it back"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn store_with_a_deleted_moved_or_replaced_file_writes_nothing_until_it_is_back() {
    let store_file = StoreFile::new();
    let store = store_file.store().await;
    store.create(new_job("a", "{}")).await.unwrap();
    for file in ["jobs.db", "jobs.db-wal", "jobs.db-shm"] {
        let (path, away) = (store_file.path().with_file_name(file), store_file.path().with_file_name("away"));
        std::fs::rename(&path, &away).unwrap();
        assert_lost(&store, file, "deleted or moved away").await;
        std::fs::copy(&away, &path).unwrap();
        assert_lost(&store, file, "replaced").await;
        std::fs::rename(&away, &path).unwrap();
        store.health_check().await.unwrap();
    }
    store.create(new_job("b", "{}")).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    assert_eq!(store_file.store().await.get(&[name("a"), name("b")]).await.unwrap().len(), 2);
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn store_and_its_copies_are_readable_by_the_owner_only() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("data/inner/jobs.db");
    let store = SqliteStore::open(&path, SqliteOptions::default()).await.unwrap();
    store.create(new_job("a", "{}")).await.unwrap();
    for folder in ["data", "data/inner"] {
        assert_eq!(mode(&root.path().join(folder)), 0o700, "{folder}");
    }
    for file in ["jobs.db", "jobs.db-wal", "jobs.db-shm", "jobs.db.lock"] {
        assert_eq!(mode(&path.with_file_name(file)), 0o600, "{file}");
    }
    let [copy, restored] = ["copy.db", "other/restored.db"].map(|name| root.path().join(name));
    backup(&path, &copy, &|_, _| {}).unwrap();
    assert_eq!(mode(&copy), 0o600);
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o644)).unwrap();
    restore(&copy, &restored, None).unwrap();
    assert_eq!((mode(&restored), mode(restored.parent().unwrap())), (0o600, 0o700));
}

#[tokio::test]
async fn missing_folder_is_created() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/jobs.db");
    let store = ecs_scheduler_backend_sqlite::SqliteStore::open(&path, Default::default()).await.unwrap();
    store.health_check().await.unwrap();
    assert!(path.is_file());
}

#[tokio::test]
async fn file_with_renumbered_rows_keeps_the_metadata_of_its_jobs() {
    let store_file = written().await;
    let before = store_file.store().await.list(ListFrom::Skip(0), 1000.try_into().unwrap()).await.unwrap();
    let connection = store_file.connection();
    let triggers: Vec<(String, String)> = connection
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(triggers.len(), 3);
    for (name, _) in &triggers {
        connection.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    connection
        .execute_batch("UPDATE jobs SET rowid = rowid + 1000; DELETE FROM jobs WHERE id = 'job-7'")
        .unwrap();
    for (_, sql) in &triggers {
        connection.execute_batch(sql).unwrap();
    }
    drop(connection);
    let store = store_file.store().await;
    let after = store.list(ListFrom::Skip(0), 1000.try_into().unwrap()).await.unwrap();
    assert_eq!(after.total, 199);
    let kept = before.jobs.iter().filter(|job| job.id != name("job-7"));
    assert!(kept.zip(&after.jobs).all(|(then, now)| then.id == now.id && then.uid == now.uid));
    store.create(new_job("job-7", "{}")).await.unwrap();
    let last = store.list(ListFrom::Skip(199), 1.try_into().unwrap()).await.unwrap();
    assert_eq!(last.jobs[0].id, name("job-7"));
}

#[tokio::test]
async fn vacuum_into_of_an_open_store_is_a_store() {
    let store_file = StoreFile::new();
    let store = store_file.store().await;
    for id in ["a", "b", "c"] {
        store.create(new_job(id, "{}")).await.unwrap();
    }
    store.remove(&name("a"), None).await.unwrap();
    let copy = StoreFile::new();
    let path = copy.path();
    store_file.connection().execute("VACUUM INTO ?1", [path.to_str().unwrap()]).unwrap();
    let restored = copy.store().await;
    let ids = [name("b"), name("c")];
    let (then, now) = (store.get(&ids).await.unwrap(), restored.get(&ids).await.unwrap());
    assert_eq!(now.len(), 2);
    assert!(then.iter().zip(&now).all(|(then, now)| then.uid == now.uid && then.created == now.created));
}
