//! Tables that released versions made and filled, and whether the present code still makes and fills the same.

use std::path::{Path, PathBuf};

use ecs_scheduler_backend_postgres::{PostgresOptions, PostgresStore};
use ecs_scheduler_core::StoreMaintenance as _;
use ecs_scheduler_testing::format_fixture::{
    assert_content, assert_pinned, assert_same_lines, write_content,
};
use tokio_postgres::{Client, NoTls};

use crate::server::{server, unique_name};

/// The newest layout, which the present code makes.
const FORMAT: u32 = 2;

const TABLES: [&str; 6] =
    ["ecss_edits", "ecss_jobs", "ecss_journal", "ecss_layout", "ecss_registers", "ecss_shards"];
const SEQUENCES: [&str; 2] = ["ecss_jobs_no", "ecss_journal_seq"];

fn fixture(format: u32, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/format-{format}/{name}"))
}

/// A schema of its own, and a connection that works in it.
struct Database {
    schema: String,
    url: String,
    client: Client,
}

impl Database {
    async fn new() -> Self {
        let schema = unique_name();
        let url = server().url_of(&schema);
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.expect("it connects");
        tokio::spawn(connection);
        Self { schema, url, client }
    }

    async fn store(&self) -> PostgresStore {
        PostgresStore::open(&self.url, PostgresOptions::default()).await.expect("the store opens")
    }

    async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.expect("the statements are right");
    }

    async fn texts(&self, sql: &str) -> Vec<String> {
        let rows = self.client.query(sql, &[]).await.expect("the query is right");
        rows.iter().map(|row| row.get::<_, &str>(0).replace(&self.schema, "schema")).collect()
    }

    /// Lists columns and indexes.
    async fn tables(&self) -> Vec<String> {
        let mut lines = self
            .texts(
                "SELECT concat_ws(' ', table_name, ordinal_position, column_name, data_type, collation_name, \
                 is_nullable, column_default) FROM information_schema.columns \
                 WHERE table_schema = current_schema() ORDER BY table_name, ordinal_position",
            )
            .await;
        lines.extend(
            self.texts("SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema() ORDER BY 1")
                .await,
        );
        lines
    }

    /// Lists every row behind the name of its table, and the state of each sequence.
    async fn rows(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for table in TABLES {
            let sql = format!("SELECT row_to_json(t)::text FROM {table} t ORDER BY t");
            let sql = if table == "ecss_jobs" { sql.replace("BY t", "BY no") } else { sql };
            let sql = if table == "ecss_journal" { sql.replace("BY t", "BY seq") } else { sql };
            let rows = self.texts(&sql).await;
            assert!(!rows.is_empty(), "the content has rows for {table}");
            lines.extend(rows.into_iter().map(|row| format!("{table} {row}")));
        }
        for sequence in SEQUENCES {
            let sql = format!("SELECT concat_ws(', ', last_value, is_called::text) FROM {sequence}");
            let state = self.texts(&sql).await.remove(0);
            lines.push(format!("{sequence} {state}"));
        }
        lines
    }

    /// Makes the tables of a format and fills them with its fixture.
    async fn restore(&self, format: u32) {
        let read = |name| std::fs::read_to_string(fixture(format, name)).expect("the fixture is there");
        self.run(&format!("CREATE SCHEMA {}", self.schema)).await;
        self.run(&read("schema.sql")).await;
        for table in TABLES {
            self.run(&format!("DELETE FROM {table}")).await;
        }
        for line in read("rows.txt").lines() {
            let (name, content) = line.split_once(' ').expect("a line begins with a name");
            if SEQUENCES.contains(&name) {
                self.run(&format!("SELECT setval('{name}', {content})")).await;
                continue;
            }
            let insert = format!(
                "INSERT INTO {name} SELECT * FROM json_populate_record(NULL::{name}, $1::text::json)"
            );
            self.client.execute(&insert, &[&content]).await.expect("the row fits the table");
        }
    }
}

#[tokio::test]
async fn tables_of_each_format_read_as_the_content() {
    for format in 1..=FORMAT {
        let database = Database::new().await;
        database.restore(format).await;
        let store = database.store().await;
        assert_content(&store).await;
        store.health_check().await.expect("the store can be written");
    }
}

#[tokio::test]
async fn the_present_code_makes_the_tables_and_writes_the_rows_of_the_newest_format() {
    let database = Database::new().await;
    let store = database.store().await;
    write_content(&store).await;
    assert_pinned(&fixture(FORMAT, "rows.txt"), &database.rows().await);
    let pinned = Database::new().await;
    pinned.restore(FORMAT).await;
    assert_same_lines(&database.tables().await, &pinned.tables().await);
}
