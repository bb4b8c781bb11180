//! What is refused at the start, and what the message tells.

use ecs_scheduler_backend_postgres::{PostgresOptions, PostgresStore};
use ecs_scheduler_core::{FaultKind, JobStore, Store, StoreError};

use crate::fixture::{Place, connect, message, new_job};
use crate::server::{fresh_schema, in_schema, server};

async fn open(url: &str) -> Result<PostgresStore, StoreError> {
    PostgresStore::open(url, PostgresOptions::default()).await
}

/// Makes a user that may log in, and whatever else the SQL says of `user`.
async fn user(sql: &str) -> String {
    let user = fresh_schema();
    let sql = sql.replace("USER", &user);
    let beside = connect(&server().url()).await;
    beside
        .batch_execute(&format!("CREATE ROLE {user} LOGIN PASSWORD 'fine'; {sql}"))
        .await
        .expect("it is made");
    server().url_at(server().port, &user, "fine")
}

#[tokio::test]
async fn a_newer_layout_is_refused_with_the_remedy_and_left_as_it_is() {
    let place = Place::new();
    let store = place.store().await;
    place.change("UPDATE ecss_layout SET version = 99").await;
    let error = store.check().await.expect_err("the running store notices");
    assert!(matches!(error, StoreError::Fault { kind: FaultKind::Config, .. }), "{error:?}");
    let message = message(place.try_open().await);
    assert!(message.contains("layout 99") && message.contains("newer program"), "{message}");
    let version: i32 = place
        .beside()
        .await
        .query_one("SELECT version FROM ecss_layout", &[])
        .await
        .expect("it is read")
        .get(0);
    assert_eq!(version, 99);
}

#[tokio::test]
async fn a_wrong_password_is_told_as_one() {
    let url = server().url_at(server().port, "scheduler", "wrong");
    let message = message(open(&url).await);
    assert!(
        message.contains("password is wrong") && message.contains("\"postgres\" at 127.0.0.1"),
        "{message}"
    );
}

#[tokio::test]
async fn a_database_that_is_missing_is_told_with_the_remedy() {
    let url = server().url();
    let url = url.strip_suffix("postgres").expect("it ends with the database");
    let message = message(open(&format!("{url}nowhere")).await);
    assert!(message.contains("createdb"), "{message}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_transient() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = free.local_addr().expect("it is bound").port();
    drop(free);
    let error = open(&server().url_at(port, "scheduler", "x")).await.expect_err("nobody is there");
    assert!(error.is_transient() && error.to_string().contains("check that it runs"), "{error:?}");
}

#[tokio::test]
async fn without_permission_to_make_tables_the_remedy_is_told() {
    let schema = fresh_schema();
    let url = user(&format!("CREATE SCHEMA {schema}; GRANT USAGE ON SCHEMA {schema} TO USER")).await;
    let message = message(open(&in_schema(&url, &schema)).await);
    assert!(message.contains("GRANT") || message.contains("grant it USAGE and CREATE"), "{message}");
}

#[tokio::test]
async fn without_permission_to_make_a_schema_the_remedy_is_told() {
    let url = user("").await;
    let message = message(open(&in_schema(&url, &fresh_schema())).await);
    assert!(message.contains("AUTHORIZATION"), "{message}");
}

#[tokio::test]
async fn tables_that_others_made_can_be_used_without_permission_to_make_any() {
    let place = Place::new();
    drop(place.store().await);
    let schema = &place.schema;
    let url = user(&format!(
        "GRANT USAGE ON SCHEMA {schema} TO USER; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO USER; \
         GRANT USAGE, UPDATE ON ALL SEQUENCES IN SCHEMA {schema} TO USER"
    ))
    .await;
    let store = open(&in_schema(&url, schema)).await.expect("the store opens");
    store.create(new_job("a")).await.expect("a job is stored");
}

#[tokio::test]
async fn tables_that_are_not_ours_are_left_alone() {
    let place = Place::new();
    let schema = &place.schema;
    place.change(&format!("CREATE SCHEMA {schema}; CREATE TABLE {schema}.ecss_jobs(mine int)")).await;
    let message = message(place.try_open().await);
    assert!(message.contains("schema of its own"), "{message}");
    let left = place.beside().await.query("SELECT mine FROM ecss_jobs", &[]).await;
    assert!(left.expect("the table is there").is_empty());
}

#[tokio::test]
async fn a_schema_is_made_whatever_its_name() {
    let place = Place { schema: format!("%22Odd%C3%BC{}%22", fresh_schema()) };
    let store = place.store().await;
    store.create(new_job("a")).await.expect("a job is stored");
}

#[tokio::test]
async fn a_database_of_another_encoding_is_refused() {
    let name = fresh_schema();
    let beside = connect(&server().url()).await;
    let sql = format!("CREATE DATABASE {name} ENCODING 'LATIN1' TEMPLATE template0");
    beside.batch_execute(&sql).await.expect("it is made");
    let url = server().url();
    let url = url.strip_suffix("postgres").expect("it ends with the database");
    let message = message(open(&format!("{url}{name}")).await);
    assert!(message.contains("LATIN1") && message.contains("--encoding UTF8"), "{message}");
}

#[tokio::test]
async fn a_server_that_answers_before_it_has_written_is_refused() {
    let url = format!("{}?options=-c%20synchronous_commit%3Doff", server().url());
    let message = message(open(&url).await);
    assert!(message.contains("synchronous_commit%3Don"), "{message}");
}

#[tokio::test]
async fn many_processes_that_start_at_once_make_the_tables_once() {
    let place = Place::new();
    let opened = futures::future::join_all((0..8).map(|_| place.try_open())).await;
    for store in opened {
        store.expect("the store opens").check().await.expect("it can be written");
    }
}

#[tokio::test]
async fn certificates_are_checked_as_sslmode_says() {
    let server = server();
    let root = server.folder.join("server.crt");
    let root = root.display();
    for (host, query, fine) in [
        ("127.0.0.1", "sslmode=disable".to_owned(), true),
        ("127.0.0.1", "sslmode=require".to_owned(), true),
        ("127.0.0.1", "sslmode=verify-ca".to_owned(), false),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={root}"), true),
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={root}"), false),
        ("localhost", format!("sslmode=verify-full&sslrootcert={root}"), true),
    ] {
        let schema = fresh_schema();
        let url = format!("{}&{query}", server.url_of(&schema)).replace("127.0.0.1", host);
        match open(&url).await {
            Ok(store) => {
                assert!(fine, "{host} {query}");
                store.create(new_job("a")).await.expect("a job is stored");
            }
            Err(error) => {
                let message = ecs_scheduler_core::fault::chain(&error);
                assert!(!fine && message.contains("sslrootcert"), "{host} {query}: {message}");
            }
        }
    }
}
