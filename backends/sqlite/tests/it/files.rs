//! Files that are damaged, newer, taken, or rebuilt by another program.

use ecs_scheduler_core::{JobStore, ListFrom, Store};

use crate::help::{Place, name, new_job};

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
