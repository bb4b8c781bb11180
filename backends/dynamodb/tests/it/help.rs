//! A pair of tables for each test.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, KeySchemaElement, KeyType, ProvisionedThroughput,
    ScalarAttributeType,
};
use ecs_scheduler_backend_aws::{AwsContext, AwsSettings};
use ecs_scheduler_backend_dynamodb::{DynamoDbOptions, DynamoDbStore};
use ecs_scheduler_core::{
    Advance, Clock, DecisionDraft, Firing, FiringState, Store, StoreError, StoredJob, SystemClock, TaskId,
    TaskState, TickOutcome, async_trait,
};
use ecs_scheduler_testing::sample;
pub(crate) use ecs_scheduler_testing::sample::{at, count as limit, document, name, new_job, settlement};
use ecs_scheduler_testing::store_suite::StoreFixture;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use uuid::Uuid;

use crate::emulator::EmulatorKind;

/// The region of all tables.
const REGION: &str = "eu-central-1";

/// A pair of tables for one test.
#[derive(Debug)]
pub(crate) struct TestTables {
    kind: EmulatorKind,
    pub(crate) table: String,
}

impl TestTables {
    pub(crate) fn on(kind: EmulatorKind) -> Self {
        Self { kind, table: format!("jobs-{}", Uuid::new_v4().simple()) }
    }

    pub(crate) async fn try_open(&self, clock: Arc<dyn Clock>) -> Result<DynamoDbStore, StoreError> {
        let url = &self.kind.running().await.url;
        let options = DynamoDbOptions { clock, ..DynamoDbOptions::new(self.table.as_str()) };
        DynamoDbStore::open(&aws(url), options).await
    }

    pub(crate) async fn store(&self) -> DynamoDbStore {
        self.try_open(Arc::new(SystemClock)).await.expect("the store opens")
    }
}

/// Returns a context for the emulator at this address.
pub(crate) fn aws(url: &str) -> AwsContext {
    AwsContext::new(AwsSettings {
        region: Some(REGION.to_owned()),
        endpoint: Some(url.to_owned()),
        credentials: Some(("AKIDEXAMPLE".to_owned(), "secret".to_owned())),
        ..AwsSettings::new(Arc::new(SystemClock))
    })
}

#[async_trait]
impl StoreFixture for TestTables {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.store().await)
    }
}

/// Writes of another program, which uses only the Python version's table.
impl TestTables {
    async fn client(&self) -> Client {
        let url = &self.kind.running().await.url;
        let config = aws(url).config(&Default::default()).await.unwrap();
        Client::new(&config)
    }

    /// Creates the table as it is described in a recording.
    pub(crate) async fn create_as_recorded(&self, table: &Value) {
        let units = |name: &str| table["ProvisionedThroughput"][name].as_i64().unwrap();
        let throughput = ProvisionedThroughput::builder()
            .read_capacity_units(units("ReadCapacityUnits"))
            .write_capacity_units(units("WriteCapacityUnits"));
        let key = table["KeySchema"][0]["AttributeName"].as_str().unwrap();
        let definition =
            AttributeDefinition::builder().attribute_name(key).attribute_type(ScalarAttributeType::S);
        let schema = KeySchemaElement::builder().attribute_name(key).key_type(KeyType::Hash);
        let creating = self.client().await.create_table().table_name(&self.table);
        let creating = creating.attribute_definitions(definition.build().unwrap());
        let creating = creating.key_schema(schema.build().unwrap());
        creating.provisioned_throughput(throughput.build().unwrap()).send().await.unwrap();
    }

    /// Writes an item as the Python version does.
    pub(crate) async fn put(&self, id: &str, text: &str) {
        let put = self.client().await.put_item().table_name(&self.table);
        let put = put.item("job-id", AttributeValue::S(id.to_owned()));
        put.item("json-data", AttributeValue::S(text.to_owned())).send().await.unwrap();
    }

    pub(crate) async fn delete(&self, id: &str) {
        let delete = self.client().await.delete_item().table_name(&self.table);
        delete.key("job-id", AttributeValue::S(id.to_owned())).send().await.unwrap();
    }

    /// Overwrites the number of the layout.
    pub(crate) async fn write_layout(&self, format: u64) {
        let put = self.client().await.put_item().table_name(format!("{}-journal", self.table));
        let put = put.item("pk", AttributeValue::S("keeper".to_owned()));
        let put = put.item("sk", AttributeValue::S("format".to_owned()));
        put.item("format", AttributeValue::N(format.to_string())).send().await.unwrap();
    }

    /// Counts the items of the journal whose partition begins with this.
    pub(crate) async fn count_items(&self, partitions: &str) -> usize {
        let scan = self.client().await.scan().table_name(format!("{}-journal", self.table));
        let scan = scan.projection_expression("pk").into_paginator().items().send();
        let items = scan.collect::<Result<Vec<_>, _>>().await.unwrap();
        items.iter().filter(|item| item["pk"].as_s().unwrap().starts_with(partitions)).count()
    }

    /// Rewrites the row of a large firing as it was stored before lists were split: its compressed JSON begins in the row, and
    /// continues in other items. Returns their number.
    pub(crate) async fn rewrite_in_earlier_layout(&self, firing: &Firing) -> usize {
        let (client, table) = (self.client().await, format!("{}-journal", self.table));
        let (hash, range) = (format!("job#{}", firing.job), format!("{:020}", firing.decision.0));
        let journal = || client.query().table_name(&table).consistent_read(true);
        let get = journal().key_condition_expression("pk = :pk AND sk = :sk");
        let get = get.expression_attribute_values(":pk", AttributeValue::S(hash.clone()));
        let get = get.expression_attribute_values(":sk", AttributeValue::S(range.clone()));
        let mut row = get.send().await.unwrap().items.unwrap().remove(0);
        row.remove("listParts").expect("the lists are split");
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&serde_json::to_vec(firing).unwrap()).unwrap();
        let all = encoder.finish().unwrap();
        let mut parts = all.chunks(300_000).map(|part| AttributeValue::B(Blob::new(part)));
        row.insert("firing".to_owned(), parts.next().unwrap());
        let (parts, partition) = (parts.collect::<Vec<_>>(), format!("part#{hash}#{range}"));
        let items = journal().key_condition_expression("pk = :pk");
        let items = items.expression_attribute_values(":pk", AttributeValue::S(partition.clone()));
        let items = items.projection_expression("pk, sk").into_paginator().items().send();
        for item in items.collect::<Result<Vec<_>, _>>().await.unwrap() {
            client.delete_item().table_name(&table).set_key(Some(item)).send().await.unwrap();
        }
        for (index, part) in parts.iter().enumerate() {
            let put = client.put_item().table_name(&table).item("version", row["version"].clone());
            let put = put.item("pk", AttributeValue::S(partition.clone()));
            let put = put.item("sk", AttributeValue::S(format!("{index:02}")));
            put.item("data", part.clone()).send().await.unwrap();
        }
        if !parts.is_empty() {
            row.insert("parts".to_owned(), AttributeValue::N(parts.len().to_string()));
        }
        client.put_item().table_name(&table).set_item(Some(row)).send().await.unwrap();
        parts.len()
    }

    /// Removes the identity from a job's metadata.
    pub(crate) async fn damage_job_meta(&self, job: &str) {
        let update = self.client().await.update_item().table_name(format!("{}-journal", self.table));
        let update = update.key("pk", AttributeValue::S(format!("job#{job}")));
        let update = update.key("sk", AttributeValue::S("mark".to_owned()));
        update.update_expression("REMOVE uid").send().await.unwrap();
    }

    /// Reads the items as the Python version does; an item with any other attribute fails the test.
    pub(crate) async fn items(&self) -> BTreeMap<String, String> {
        let scan = self.client().await.scan().table_name(&self.table).send().await.unwrap();
        let pair = |mut item: HashMap<String, AttributeValue>| {
            let mut take = |name: &str| item.remove(name).unwrap().as_s().unwrap().clone();
            let pair = (take("job-id"), take("json-data"));
            assert!(item.is_empty(), "{item:?}");
            pair
        };
        scan.items.unwrap().into_iter().map(pair).collect()
    }
}

/// An outcome of one tick.
pub(crate) fn draft(outcome: TickOutcome, tick: i64) -> DecisionDraft {
    sample::draft(outcome, at(tick))
}

pub(crate) fn firing(job: &StoredJob, tick: i64) -> Firing {
    sample::firing(&job.id, job.uid, at(tick))
}

/// Returns a text of random hexadecimal digits, which compress to half of their size.
pub(crate) fn random_text(digits: usize) -> String {
    let mut text: String = (0..digits.div_ceil(32)).map(|_| Uuid::new_v4().simple().to_string()).collect();
    text.truncate(digits);
    text
}

/// Returns the advance of a firing to a state with this many tasks.
pub(crate) fn advance_of(firing: &Firing, state: FiringState, tasks: usize) -> Advance {
    let task = |number: usize| TaskState::pending(TaskId::new(format!("{}-{number}", firing.id)), None);
    let to = Firing { state, tasks: (0..tasks).map(task).collect(), ..firing.clone() };
    let outcome = (state == FiringState::Launched).then_some(TickOutcome::Launched);
    Advance { from: firing.state, to, outcome }
}
