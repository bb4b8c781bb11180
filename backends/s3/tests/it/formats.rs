//! Objects that released versions wrote, and whether the present code still writes the same.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ecs_scheduler_backend_log_store::LogStore;
use ecs_scheduler_backend_s3::S3Options;
use ecs_scheduler_core::{Store as _, Timestamp};
use ecs_scheduler_testing::ManualClock;
use ecs_scheduler_testing::format_fixture::{
    assert_content, assert_same_lines, is_updating, mask, write_content, write_fixture,
};
use serde_json::{Value, json};

use crate::bucket::TestBucket;
use crate::emulator::moto;

/// The newest format of the log, which the present code writes.
const FORMAT: u32 = 3;

fn fixture(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/format-{format}/objects.jsonl"))
}

async fn open(bucket: &TestBucket) -> LogStore {
    let clock = ManualClock::at(Timestamp::from_second(1_800_000_000).unwrap());
    let options = S3Options::new(&bucket.name, bucket.prefix, Arc::new(clock));
    ecs_scheduler_backend_s3::open(&bucket.aws, options).await.unwrap()
}

/// Lists every object with its key.
async fn lines(bucket: &TestBucket) -> Vec<String> {
    let listing = bucket.client().await.list_objects_v2().bucket(&bucket.name).send().await.unwrap();
    assert_ne!(listing.is_truncated(), Some(true), "the content has fewer objects than a page");
    let mut lines = Vec::new();
    for object in listing.contents() {
        let key = object.key().unwrap();
        lines.push(json!({ "key": key, "body": bucket.get(key).await }).to_string());
    }
    lines
}

#[tokio::test]
async fn objects_of_the_format_read_as_the_content() {
    let bucket = TestBucket::at(moto().await);
    bucket.create().await;
    let text = std::fs::read_to_string(fixture(FORMAT)).expect("UPDATE_FIXTURES=1 writes it");
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        bucket.put(line["key"].as_str().unwrap(), line["body"].as_str().unwrap()).await;
    }
    assert_content(&open(&bucket).await).await;
}

#[tokio::test]
async fn the_present_code_writes_the_objects_of_the_newest_format() {
    let bucket = TestBucket::at(moto().await);
    bucket.create().await;
    let store = open(&bucket).await;
    write_content(&store).await;
    store.close().await.unwrap();
    let found = lines(&bucket).await;
    if is_updating() {
        write_fixture(&fixture(FORMAT), found.join("\n") + "\n");
    }
    let text = std::fs::read_to_string(fixture(FORMAT)).expect("UPDATE_FIXTURES=1 writes it");
    let pinned: Vec<String> = text.lines().map(str::to_owned).collect();
    let drawn = ["writer", "process"];
    assert_same_lines(&mask(&found, &drawn), &mask(&pinned, &drawn));
}
