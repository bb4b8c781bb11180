//! Items that released versions wrote, and whether the present code still writes the same.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use ecs_scheduler_backend_dynamodb::{DynamoDbOptions, DynamoDbStore};
use ecs_scheduler_core::{Store as _, StoreMaintenance as _};
use ecs_scheduler_fake_aws::{Fake, FakeOptions};
use ecs_scheduler_testing::ManualClock;
use ecs_scheduler_testing::format_fixture::{
    assert_content, assert_same_lines, is_updating, write_content, write_fixture,
};
use serde_json::{Value, json};

use crate::help::{at, aws};

/// The newest format, which the present code writes.
const FORMAT: u32 = 1;
const TABLES: [&str; 2] = ["jobs", "jobs-journal"];
/// The attribute that is drawn for each write.
const DRAWN: &str = "stamp";

fn fixture(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/format-{format}/items.jsonl"))
}

/// A fake of its own, and a client beside the store.
struct Database {
    fake: Fake,
    client: Client,
}

impl Database {
    async fn new() -> Self {
        let fake = Fake::start(FakeOptions::default()).await.unwrap();
        let config = aws(&fake.url()).config(&Default::default()).await.unwrap();
        Self { client: Client::new(&config), fake }
    }

    async fn store(&self) -> DynamoDbStore {
        let clock = Arc::new(ManualClock::at(at(0)));
        let options = DynamoDbOptions { clock, ..DynamoDbOptions::new(TABLES[0]) };
        DynamoDbStore::open(&aws(&self.fake.url()), options).await.unwrap()
    }

    /// Lists every item behind the name of its table, ordered by its key.
    async fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for table in TABLES {
            let mut pages = self.client.scan().table_name(table).into_paginator().items().send();
            let mut items = Vec::new();
            while let Some(item) = pages.try_next().await.unwrap() {
                let item: BTreeMap<String, Value> =
                    item.into_iter().map(|(name, value)| (name, to_json(&value))).collect();
                let key = ["job-id", "pk", "sk"].map(|name| item.get(name).map(Value::to_string));
                items.push((key, json!({ "table": table, "item": item }).to_string()));
            }
            assert!(!items.is_empty(), "the content has items for {table}");
            items.sort();
            lines.extend(items.into_iter().map(|(_, line)| line));
        }
        lines
    }

    /// Makes the tables and puts the items of a fixture into them.
    async fn restore(&self, format: u32) {
        self.store().await.close().await.unwrap();
        let text = std::fs::read_to_string(fixture(format)).expect("UPDATE_FIXTURES=1 writes it");
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let item: HashMap<String, AttributeValue> = line["item"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| (name.clone(), from_json(value)))
                .collect();
            let put = self.client.put_item().table_name(line["table"].as_str().unwrap());
            put.set_item(Some(item)).send().await.unwrap();
        }
    }
}

fn to_json(value: &AttributeValue) -> Value {
    match (value.as_s(), value.as_n()) {
        (Ok(text), _) => json!({ "S": text }),
        (_, Ok(number)) => json!({ "N": number }),
        (Err(_), Err(other)) => panic!("the store writes texts and numbers, not {other:?}"),
    }
}

fn from_json(value: &Value) -> AttributeValue {
    value["S"].as_str().map_or_else(
        || AttributeValue::N(value["N"].as_str().unwrap().to_owned()),
        |text| AttributeValue::S(text.to_owned()),
    )
}

/// Replaces what is drawn.
fn normal(lines: &[String]) -> Vec<String> {
    let clean = |line: &String| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        if let Some(value) = line["item"].get_mut(DRAWN) {
            *value = "drawn".into();
        }
        line.to_string()
    };
    lines.iter().map(clean).collect()
}

#[tokio::test]
async fn items_of_each_format_read_as_the_content() {
    for format in 1..=FORMAT {
        let database = Database::new().await;
        database.restore(format).await;
        let store = database.store().await;
        assert_content(&store).await;
        store.health_check().await.unwrap();
    }
}

#[tokio::test]
async fn the_present_code_writes_the_items_of_the_newest_format() {
    let database = Database::new().await;
    let store = database.store().await;
    write_content(&store).await;
    store.close().await.unwrap();
    let found = database.lines().await;
    if is_updating() {
        write_fixture(&fixture(FORMAT), found.join("\n") + "\n");
    }
    let text = std::fs::read_to_string(fixture(FORMAT)).expect("UPDATE_FIXTURES=1 writes it");
    let pinned: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_same_lines(&normal(&found), &normal(&pinned));
}
