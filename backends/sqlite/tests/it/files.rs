//! Files that are damaged, newer, taken, moved away, or rebuilt by another program, and who may read them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ecs_scheduler_backend_sqlite::{SqliteOptions, SqliteStore, backup, restore};
use ecs_scheduler_core::{FaultKind, JobStore, ListFrom, Store, StoreError};

use crate::support::{Place, name, new_job};

/// A place with a closed store of some jobs.
async fn written() -> Place {
    let place = Place::new();
    let store = place.store().await;
    for number in 0..200 {
        store.create(new_job(&format!("job-{number}"), r#"{"taskCount": 1}"#)).await.unwrap();
    }
    store.close().await.unwrap();
    place
}

#[tokio::test]
async fn a_file_that_is_cut_off_is_refused() {
    let place = written().await;
    let file = std::fs::OpenOptions::new().write(true).open(place.path()).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let message = place.refusal().await;
    assert!(message.contains("its end is missing") && message.contains("restore a backup"), "{message}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let place = Place::new();
    for text in ["short", &"[jobs]\n".repeat(1000)] {
        std::fs::write(place.path(), text).unwrap();
        let message = place.refusal().await;
        assert!(
            message.contains("is no SQLite database") && message.contains("restore a backup"),
            "{message}"
        );
        assert_eq!(std::fs::read_to_string(place.path()).unwrap(), *text);
    }
}

#[tokio::test]
async fn a_file_with_garbage_in_its_tables_is_refused() {
    let place = written().await;
    let mut bytes = std::fs::read(place.path()).unwrap();
    bytes[16 * 1024..].fill(0x5a);
    std::fs::write(place.path(), &bytes).unwrap();
    let message = place.refusal().await;
    assert!(message.contains("damaged") && message.contains("restore a backup"), "{message}");
}

#[tokio::test]
async fn a_file_of_a_newer_format_is_refused_and_left_alone() {
    let place = written().await;
    place.connection().pragma_update(None, "user_version", 99).unwrap();
    let before = std::fs::read(place.path()).unwrap();
    let message = place.refusal().await;
    assert!(message.contains("format 99") && message.contains("use the newer version"), "{message}");
    assert_eq!(std::fs::read(place.path()).unwrap(), before);
}

#[tokio::test]
async fn a_second_scheduler_is_refused_while_the_first_has_the_file() {
    let place = Place::new();
    let store = place.store().await;
    let message = place.refusal().await;
    let holder = format!("(process {})", std::process::id());
    assert!(message.contains("in use by another scheduler") && message.contains(&holder), "{message}");
    assert!(message.contains("stop it, or configure another file"), "{message}");
    store.check().await.unwrap();
    store.close().await.unwrap();
    place.store().await.check().await.unwrap();
    place.store().await.check().await.unwrap();
}

/// Asserts that a scheduler that opens the file by another name is refused; returns the message.
async fn refused_at(path: &Path) -> String {
    let opened = SqliteStore::open(path, SqliteOptions::default()).await;
    let message = opened.expect_err("another scheduler has the file").to_string();
    assert!(message.contains("in use by another scheduler"), "{message}");
    message
}

#[tokio::test]
async fn a_second_scheduler_is_refused_that_opens_the_file_through_a_link() {
    let (place, folder) = (Place::new(), tempfile::tempdir().unwrap());
    let [symbolic, of_folder, hard] =
        ["symbolic.db", "folder", "hard.db"].map(|name| folder.path().join(name));
    let store = place.store().await;
    std::os::unix::fs::symlink(place.path(), &symbolic).unwrap();
    std::os::unix::fs::symlink(place.path().parent().unwrap(), &of_folder).unwrap();
    std::fs::hard_link(place.path(), &hard).unwrap();
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
    place.refusal().await;
}

#[tokio::test]
async fn a_link_that_leads_nowhere_is_refused() {
    let place = Place::new();
    std::os::unix::fs::symlink(place.path().with_file_name("missing"), place.path()).unwrap();
    let message = place.refusal().await;
    assert!(message.contains("a link that leads nowhere"), "{message}");
}

/// Asserts that a store writes nothing because a file of it is not where it was.
async fn assert_lost(store: &SqliteStore, file: &str, what: &str) {
    let created = store.create(new_job("late", "{}")).await.map(drop);
    for refused in [store.check().await, created] {
        let error = refused.expect_err("the store writes nothing");
        assert!(matches!(error, StoreError::Fault { kind: FaultKind::Unavailable, .. }), "{error:?}");
        let message = error.to_string();
        assert!(
            message.contains(file) && message.contains(what) && message.contains("move it back"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_store_whose_file_is_deleted_moved_or_replaced_writes_nothing_until_it_is_back() {
    let place = Place::new();
    let store = place.store().await;
    store.create(new_job("a", "{}")).await.unwrap();
    for file in ["jobs.db", "jobs.db-wal", "jobs.db-shm"] {
        let (path, away) = (place.path().with_file_name(file), place.path().with_file_name("away"));
        std::fs::rename(&path, &away).unwrap();
        assert_lost(&store, file, "deleted or moved away").await;
        std::fs::copy(&away, &path).unwrap();
        assert_lost(&store, file, "replaced").await;
        std::fs::rename(&away, &path).unwrap();
        store.check().await.unwrap();
    }
    store.create(new_job("b", "{}")).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    assert_eq!(place.store().await.get(&[name("a"), name("b")]).await.unwrap().len(), 2);
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn nobody_else_may_read_a_store_or_a_copy_of_it() {
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
async fn a_missing_folder_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/jobs.db");
    let store = ecs_scheduler_backend_sqlite::SqliteStore::open(&path, Default::default()).await.unwrap();
    store.check().await.unwrap();
    assert!(path.is_file());
}

#[tokio::test]
async fn a_file_whose_rows_were_renumbered_keeps_what_is_known_of_its_jobs() {
    let place = written().await;
    let before = place.store().await.list(ListFrom::Skip(0), 1000.try_into().unwrap()).await.unwrap();
    let connection = place.connection();
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
    let store = place.store().await;
    let after = store.list(ListFrom::Skip(0), 1000.try_into().unwrap()).await.unwrap();
    assert_eq!(after.total, 199);
    let kept = before.jobs.iter().filter(|job| job.id != name("job-7"));
    assert!(kept.zip(&after.jobs).all(|(then, now)| then.id == now.id && then.uid == now.uid));
    store.create(new_job("job-7", "{}")).await.unwrap();
    let last = store.list(ListFrom::Skip(199), 1.try_into().unwrap()).await.unwrap();
    assert_eq!(last.jobs[0].id, name("job-7"));
}

#[tokio::test]
async fn a_backup_made_while_the_store_is_open_is_a_store() {
    let place = Place::new();
    let store = place.store().await;
    for id in ["a", "b", "c"] {
        store.create(new_job(id, "{}")).await.unwrap();
    }
    store.remove(&name("a"), None).await.unwrap();
    let copy = Place::new();
    let path = copy.path();
    place.connection().execute("VACUUM INTO ?1", [path.to_str().unwrap()]).unwrap();
    let restored = copy.store().await;
    let ids = [name("b"), name("c")];
    let (then, now) = (store.get(&ids).await.unwrap(), restored.get(&ids).await.unwrap());
    assert_eq!(now.len(), 2);
    assert!(then.iter().zip(&now).all(|(then, now)| then.uid == now.uid && then.created == now.created));
}
