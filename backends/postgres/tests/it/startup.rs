//! Opening: refused servers, databases and permissions, and their error messages.

use ecs_scheduler_backend_postgres::{PostgresOptions, PostgresStore};
use ecs_scheduler_core::{FaultKind, JobStore, StoreError, StoreMaintenance as _};
use ecs_scheduler_test_support::free_port;

use crate::fixture::{TestSchema, connect, new_job, open_error};
use crate::server::{in_schema, server, unique_name};

async fn open(url: &str) -> Result<PostgresStore, StoreError> {
    PostgresStore::open(url, PostgresOptions::default()).await
}

/// Creates a user that may log in, and executes the SQL, in which `USER` is its name. Returns its URL.
async fn create_user(sql: &str) -> String {
    let user = unique_name();
    let sql = sql.replace("USER", &user);
    let raw = connect(&server().url()).await;
    raw.batch_execute(&format!("CREATE ROLE {user} LOGIN PASSWORD 'fine'; {sql}"))
        .await
        .expect("the SQL is executed");
    server().url_at(server().port, &user, "fine")
}

#[tokio::test]
async fn newer_layout_is_refused_with_the_remedy_and_left_unchanged() {
    let schema = TestSchema::new();
    let store = schema.store().await;
    schema.execute("UPDATE ecss_layout SET version = 99").await;
    let error = store.health_check().await.expect_err("a newer program has migrated the tables");
    assert!(matches!(error, StoreError::Fault { kind: FaultKind::Config, .. }), "{error:?}");
    let message = open_error(schema.try_open().await);
    assert!(message.contains("layout 99") && message.contains("newer program"), "{message}");
    let version: i32 = schema
        .raw_client()
        .await
        .query_one("SELECT version FROM ecss_layout", &[])
        .await
        .expect("the layout is read")
        .get(0);
    assert_eq!(version, 99);
}

#[tokio::test]
async fn wrong_password_is_reported_as_such() {
    let url = server().url_at(server().port, "scheduler", "wrong");
    let message = open_error(open(&url).await);
    assert!(
        message.contains("password is wrong") && message.contains("\"postgres\" at 127.0.0.1"),
        "{message}"
    );
}

#[tokio::test]
async fn missing_database_is_reported_with_the_remedy() {
    let url = server().url();
    let url = url.strip_suffix("postgres").expect("the URL ends with the database");
    let message = open_error(open(&format!("{url}nowhere")).await);
    assert!(message.contains("createdb"), "{message}");
}

#[tokio::test]
async fn missing_server_is_a_transient_error() {
    let error = open(&server().url_at(free_port(), "scheduler", "x")).await.expect_err("no server listens");
    assert!(error.is_transient() && error.to_string().contains("check that it runs"), "{error:?}");
}

#[tokio::test]
async fn missing_permission_to_create_tables_is_reported_with_the_remedy() {
    let schema = unique_name();
    let url = create_user(&format!("CREATE SCHEMA {schema}; GRANT USAGE ON SCHEMA {schema} TO USER")).await;
    let message = open_error(open(&in_schema(&url, &schema)).await);
    assert!(message.contains("GRANT") || message.contains("grant it USAGE and CREATE"), "{message}");
}

#[tokio::test]
async fn missing_permission_to_create_a_schema_is_reported_with_the_remedy() {
    let url = create_user("").await;
    let message = open_error(open(&in_schema(&url, &unique_name())).await);
    assert!(message.contains("AUTHORIZATION"), "{message}");
}

#[tokio::test]
async fn existing_tables_can_be_used_without_permission_to_create_tables() {
    let schema = TestSchema::new();
    drop(schema.store().await);
    let name = &schema.name;
    let url = create_user(&format!(
        "GRANT USAGE ON SCHEMA {name} TO USER; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {name} TO USER; \
         GRANT USAGE, UPDATE ON ALL SEQUENCES IN SCHEMA {name} TO USER"
    ))
    .await;
    let store = open(&in_schema(&url, name)).await.expect("the store opens");
    store.create(new_job("a")).await.expect("a job is stored");
}

#[tokio::test]
async fn foreign_tables_are_refused_and_left_unchanged() {
    let schema = TestSchema::new();
    let name = &schema.name;
    schema.execute(&format!("CREATE SCHEMA {name}; CREATE TABLE {name}.ecss_jobs(mine int)")).await;
    let message = open_error(schema.try_open().await);
    assert!(message.contains("schema of its own"), "{message}");
    let left = schema.raw_client().await.query("SELECT mine FROM ecss_jobs", &[]).await;
    assert!(left.expect("the table is there").is_empty());
}

#[tokio::test]
async fn schema_with_an_unusual_name_is_created() {
    let schema = TestSchema { name: format!("%22Odd%C3%BC{}%22", unique_name()) };
    let store = schema.store().await;
    store.create(new_job("a")).await.expect("a job is stored");
}

#[tokio::test]
async fn database_with_another_encoding_is_refused() {
    let name = unique_name();
    let raw = connect(&server().url()).await;
    let sql = format!("CREATE DATABASE {name} ENCODING 'LATIN1' TEMPLATE template0");
    raw.batch_execute(&sql).await.expect("the SQL is executed");
    let url = server().url();
    let url = url.strip_suffix("postgres").expect("the URL ends with the database");
    let message = open_error(open(&format!("{url}{name}")).await);
    assert!(message.contains("LATIN1") && message.contains("--encoding UTF8"), "{message}");
}

#[tokio::test]
async fn server_that_acknowledges_before_commits_are_durable_is_refused() {
    let url = format!("{}?options=-c%20synchronous_commit%3Doff", server().url());
    let message = open_error(open(&url).await);
    assert!(message.contains("synchronous_commit%3Don"), "{message}");
}

#[tokio::test]
async fn concurrent_opens_create_the_tables_once() {
    let schema = TestSchema::new();
    let opened = futures::future::join_all((0..8).map(|_| schema.try_open())).await;
    for store in opened {
        store.expect("the store opens").health_check().await.expect("the store can be written");
    }
}

#[tokio::test]
async fn sslmode_determines_the_verification_of_certificates() {
    let server = server();
    let root = server.folder.join("server.crt");
    let root = root.display();
    for (host, query, accepted) in [
        ("127.0.0.1", "sslmode=disable".to_owned(), true),
        ("127.0.0.1", "sslmode=require".to_owned(), true),
        ("127.0.0.1", "sslmode=verify-ca".to_owned(), false),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={root}"), true),
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={root}"), false),
        ("localhost", format!("sslmode=verify-full&sslrootcert={root}"), true),
    ] {
        let schema = unique_name();
        let url = format!("{}&{query}", server.url_of(&schema)).replace("127.0.0.1", host);
        match open(&url).await {
            Ok(store) => {
                assert!(accepted, "{host} {query}");
                store.create(new_job("a")).await.expect("a job is stored");
            }
            Err(error) => {
                let message = ecs_scheduler_core::fault::chain(&error);
                assert!(!accepted && message.contains("sslrootcert"), "{host} {query}: {message}");
            }
        }
    }
}
