//! What rows of the journal look like, and which are read.

use ecs_scheduler_backend_sqlite::{SqliteOptions, SqliteStore};
use ecs_scheduler_core::testing::sample;
use ecs_scheduler_core::{
    Firing, FiringQuery, JobStore as _, Journal as _, Outcome, Settlement, Store as _, Timestamp,
};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Place, new_job};

/// Every column that says something of a firing.
const NAMED: [&str; 5] = ["id", "job", "uid", "decision", "state"];

async fn fired(store: &SqliteStore) -> Firing {
    let job = store.create(new_job("report", "{}")).await.unwrap();
    let tick = Timestamp::from_second(1_800_000_000).unwrap();
    let firing = sample::firing(&job.id, job.uid, tick);
    let settlement = sample::settlement(&job, vec![sample::draft(Outcome::Pending, tick)]);
    store.settle(vec![Settlement { firing: Some(firing), ..settlement }]).await.unwrap();
    only(store).await
}

async fn only(store: &SqliteStore) -> Firing {
    let query = FiringQuery { id: None, job: None, state: None, before: None, limit: 2.try_into().unwrap() };
    let mut firings = store.firings(&query).await.unwrap();
    assert_eq!(firings.len(), 1);
    firings.remove(0)
}

fn body(connection: &Connection) -> Value {
    let text: String = connection.query_row("SELECT body FROM journal", [], |row| row.get(0)).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn a_body_says_nothing_that_a_column_says() {
    let place = Place::new();
    let store = place.store().await;
    let firing = fired(&store).await;
    let body = body(&place.connection());
    let mut whole = serde_json::to_value(&firing).unwrap();
    for name in NAMED {
        assert!(body.get(name).is_none(), "{name} is in {body}");
        whole.as_object_mut().unwrap().remove(name).unwrap();
    }
    assert_eq!(body, whole, "and everything else");
}

#[tokio::test]
async fn a_body_that_says_all_is_read_by_its_columns() {
    let place = Place::new();
    let store = place.store().await;
    let firing = fired(&store).await;
    store.close().await.unwrap();
    drop(store);
    let mut whole = serde_json::to_value(&firing).unwrap();
    whole["state"] = json!("launching");
    whole["decision"] = json!(0);
    let connection = place.connection();
    connection.execute("UPDATE journal SET body = ?1", [whole.to_string()]).unwrap();
    connection.close().unwrap();
    assert_eq!(only(&place.store().await).await, firing);
}

fn page(place: &Place) -> i64 {
    place.connection().pragma_query_value(None, "page_size", |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_new_file_has_large_pages_and_one_that_is_there_keeps_its_own() {
    let place = Place::new();
    place.store().await.close().await.unwrap();
    assert_eq!(page(&place), 8 * 1024);
    let other = Place::new();
    let connection = other.connection();
    connection.execute_batch("PRAGMA page_size = 1024; CREATE TABLE jobs(id TEXT PRIMARY KEY NOT NULL, data JSONTEXT NOT NULL)").unwrap();
    connection.close().unwrap();
    let store = other.try_open(SqliteOptions::default()).await.unwrap();
    let firing = fired(&store).await;
    assert_eq!(only(&store).await, firing);
    store.check().await.unwrap();
    store.close().await.unwrap();
    assert_eq!(page(&other), 1024);
}
