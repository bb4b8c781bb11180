//! The format of rows of the journal, and of rows that can still be read.

use ecs_scheduler_backend_sqlite::{SqliteOptions, SqliteStore};
use ecs_scheduler_core::{
    Firing, FiringQuery, JobStore as _, Journal as _, Settlement, Store as _, StoreMaintenance as _,
    TickOutcome, Timestamp,
};
use ecs_scheduler_testing::sample;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{StoreFile, new_job};

/// The fields of a firing that have a column.
const COLUMN_FIELDS: [&str; 5] = ["id", "job", "uid", "decision", "state"];

async fn fired(store: &SqliteStore) -> Firing {
    let job = store.create(new_job("report", "{}")).await.unwrap();
    let tick = Timestamp::from_second(1_800_000_000).unwrap();
    let firing = sample::firing(&job.id, job.uid, tick);
    let settlement = sample::settlement(&job, vec![sample::draft(TickOutcome::Pending, tick)]);
    store.settle(vec![Settlement { firing: Some(firing), ..settlement }]).await.unwrap();
    only(store).await
}

async fn only(store: &SqliteStore) -> Firing {
    let query = FiringQuery { limit: 2.try_into().unwrap(), ..FiringQuery::default() };
    let mut firings = store.firings(&query).await.unwrap();
    assert_eq!(firings.len(), 1);
    firings.remove(0)
}

fn body(connection: &Connection) -> Value {
    let text: String = connection.query_row("SELECT body FROM journal", [], |row| row.get(0)).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn body_omits_the_fields_that_have_a_column() {
    let store_file = StoreFile::new();
    let store = store_file.store().await;
    let firing = fired(&store).await;
    let body = body(&store_file.connection());
    let mut whole = serde_json::to_value(&firing).unwrap();
    for name in COLUMN_FIELDS {
        assert!(body.get(name).is_none(), "{name} is in {body}");
        whole.as_object_mut().unwrap().remove(name).unwrap();
    }
    assert_eq!(body, whole, "the body has all other fields");
}

#[tokio::test]
async fn columns_override_the_fields_of_a_complete_body() {
    let store_file = StoreFile::new();
    let store = store_file.store().await;
    let firing = fired(&store).await;
    store.close().await.unwrap();
    drop(store);
    let mut whole = serde_json::to_value(&firing).unwrap();
    whole["state"] = json!("launching");
    whole["decision"] = json!(0);
    let connection = store_file.connection();
    connection.execute("UPDATE journal SET body = ?1", [whole.to_string()]).unwrap();
    connection.close().unwrap();
    assert_eq!(only(&store_file.store().await).await, firing);
}

fn page(store_file: &StoreFile) -> i64 {
    store_file.connection().pragma_query_value(None, "page_size", |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn new_file_has_large_pages_and_an_existing_file_keeps_its_own() {
    let store_file = StoreFile::new();
    store_file.store().await.close().await.unwrap();
    assert_eq!(page(&store_file), 8 * 1024);
    let other = StoreFile::new();
    let connection = other.connection();
    connection.execute_batch("PRAGMA page_size = 1024; CREATE TABLE jobs(id TEXT PRIMARY KEY NOT NULL, data JSONTEXT NOT NULL)").unwrap();
    connection.close().unwrap();
    let store = other.try_open(SqliteOptions::default()).await.unwrap();
    let firing = fired(&store).await;
    assert_eq!(only(&store).await, firing);
    store.health_check().await.unwrap();
    store.close().await.unwrap();
    assert_eq!(page(&other), 1024);
}
