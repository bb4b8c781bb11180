//! Documents that released versions wrote, and whether the present code still writes the same.

use std::path::{Path, PathBuf};

use ecs_scheduler_core::Store as _;
use ecs_scheduler_testing::format_fixture::{
    assert_content, assert_same_lines, is_updating, mask, write_content, write_fixture,
};
use serde_json::{Value, json};

use crate::fixture::TestCluster;

/// The newest format of the log, which the present code writes.
const FORMAT: u32 = 3;

fn fixture(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/format-{format}/documents.jsonl"))
}

/// Lists the mappings of each index and each of its documents.
fn lines(cluster: &TestCluster) -> Vec<String> {
    cluster.fake.with_state(|state| {
        let names: Vec<String> = state.names().into_iter().map(str::to_owned).collect();
        let mut lines = Vec::new();
        for name in names {
            let index = state.index(&name);
            lines.push(json!({ "index": name, "mappings": index.mappings }).to_string());
            let docs = index.docs().iter();
            lines.extend(
                docs.map(|(id, doc)| json!({ "index": name, "id": id, "source": doc.source }).to_string()),
            );
        }
        lines
    })
}

/// Makes the indexes and puts the documents of a fixture into them.
async fn restore(format: u32) -> TestCluster {
    let cluster = TestCluster::new().await;
    cluster.store().await.close().await.unwrap();
    let text = std::fs::read_to_string(fixture(format)).expect("UPDATE_FIXTURES=1 writes it");
    cluster.fake.with_state(|state| {
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let field = |name: &str| line[name].as_str();
            if let (Some(id), Some(source)) = (field("id"), field("source")) {
                state.index(field("index").unwrap()).restore(id, source);
            }
        }
    });
    cluster
}

#[tokio::test]
async fn documents_of_the_format_read_as_the_content() {
    let cluster = restore(FORMAT).await;
    assert_content(&cluster.store().await).await;
}

#[tokio::test]
async fn the_present_code_writes_the_documents_of_the_newest_format() {
    let cluster = TestCluster::new().await;
    let store = cluster.store().await;
    write_content(&store).await;
    store.close().await.unwrap();
    let found = lines(&cluster);
    if is_updating() {
        write_fixture(&fixture(FORMAT), found.join("\n") + "\n");
    }
    let text = std::fs::read_to_string(fixture(FORMAT)).expect("UPDATE_FIXTURES=1 writes it");
    let pinned: Vec<String> = text.lines().map(str::to_owned).collect();
    let drawn = ["writer", "process"];
    assert_same_lines(&mask(&found, &drawn), &mask(&pinned, &drawn));
}
