//! Files that released versions wrote, and whether the present code still writes the same rows.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use ecs_scheduler_backend_sqlite::{SqliteOptions, SqliteStore};
use ecs_scheduler_core::{Store as _, StoreMaintenance as _};
use ecs_scheduler_testing::format_fixture::{
    assert_content, assert_same_lines, is_updating, write_content, write_fixture,
};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use tempfile::TempDir;

/// The newest format, which the present code writes.
const FORMAT: u32 = 2;

fn fixture(format: u32) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    folder.join(format!("format-{format}/store.db.gz"))
}

/// Unpacks the file of a format into a folder of its own.
fn unpack(format: u32) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let mut bytes = Vec::new();
    let packed = std::fs::read(fixture(format)).expect("UPDATE_FIXTURES=1 writes it");
    GzDecoder::new(&*packed).read_to_end(&mut bytes).unwrap();
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// Writes the content with the present code.
async fn written() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store = SqliteStore::open(&path, SqliteOptions::default()).await.unwrap();
    write_content(&store).await;
    store.close().await.unwrap();
    drop(store);
    assert!(!path.with_file_name("jobs.db-wal").metadata().is_ok_and(|log| log.len() > 0));
    if is_updating() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&std::fs::read(&path).unwrap()).unwrap();
        write_fixture(&fixture(FORMAT), encoder.finish().unwrap());
    }
    (folder, path)
}

fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => format!("{:?}", String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => format!("{bytes:02x?}"),
    }
}

/// Lists the format's number, every table, index and trigger, and every row with the names of its columns.
fn rows(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let format: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    let mut lines = vec![format!("format {format}")];
    let query = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let rows = statement.query_map([], |row| {
            let cell =
                |(index, name): (usize, &String)| Ok(format!("{name} = {}", text(row.get_ref(index)?)));
            names.iter().enumerate().map(cell).collect::<Result<Vec<_>, _>>()
        });
        let rows: Vec<Vec<String>> = rows.unwrap().collect::<Result<_, _>>().unwrap();
        rows.into_iter().map(|cells| cells.join(", ")).collect()
    };
    lines.extend(query("SELECT type, name, sql FROM sqlite_schema ORDER BY name"));
    for table in ["jobs", "marks", "departed", "journal", "registers", "keeper"] {
        let rows = query(&format!("SELECT * FROM {table} ORDER BY 1"));
        assert!(!rows.is_empty(), "the content has rows for {table}");
        lines.extend(rows.into_iter().map(|row| format!("{table}: {row}")));
    }
    lines
}

#[tokio::test]
async fn a_file_of_each_format_reads_as_the_content() {
    for format in 1..=FORMAT {
        let (_folder, path) = unpack(format);
        let store = SqliteStore::open(&path, SqliteOptions::default()).await.unwrap();
        assert_content(&store).await;
        store.health_check().await.unwrap();
    }
}

#[tokio::test]
async fn the_present_code_writes_the_rows_of_the_newest_format() {
    let (_folder, path) = written().await;
    let (_other, pinned) = unpack(FORMAT);
    assert_same_lines(&rows(&path), &rows(&pinned));
}
