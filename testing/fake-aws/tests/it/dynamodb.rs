//! The fake DynamoDB.

mod expressions;
mod injected_faults;
mod pages;
mod tables;
mod transactions;
mod writes;

use ecs_scheduler_fake_aws::Service;
use serde_json::{Value, json};

use crate::help::{Answer, Rig, SIGNED};

impl Answer {
    /// Asserts that DynamoDB refused the call with this error.
    #[track_caller]
    fn refused(&self, code: &str, part: &str) {
        let name = self.error().rsplit('#').next().unwrap();
        assert_eq!((name, self.status), (code, 400), "{}", self.body);
        assert!(self.error().starts_with("com.amazon"), "{}", self.body);
        assert!(self.message().contains(part), "{}", self.body);
    }

    /// Asserts that the parameters were refused.
    #[track_caller]
    fn invalid(&self, part: &str) {
        self.refused("ValidationException", part);
    }
}

impl Rig {
    async fn dynamodb(&self, operation: &str, body: Value) -> Answer {
        self.call(Service::DynamoDb, operation, &body, SIGNED).await.unwrap()
    }

    /// A fake with the table `things`: the key `pk` and `sk`, and the index `by-age` on `a` and `t`.
    async fn with_things() -> Self {
        let rig = Self::new().await;
        rig.dynamodb("CreateTable", things()).await.good();
        rig
    }

    async fn put(&self, pk: &str, sk: &str, more: Value) -> Answer {
        let item = crate::help::with(key(pk, sk), more);
        self.dynamodb("PutItem", json!({ "TableName": "things", "Item": item })).await
    }

    /// Reads the present item.
    async fn item(&self, pk: &str, sk: &str) -> Value {
        self.read(pk, sk, true).await
    }

    async fn read(&self, pk: &str, sk: &str, consistent: bool) -> Value {
        let asked = json!({ "Keys": [key(pk, sk)], "ConsistentRead": consistent });
        let answer = self.dynamodb("BatchGetItem", json!({ "RequestItems": { "things": asked } })).await;
        answer.good()["Responses"]["things"][0].clone()
    }

    async fn query(&self, more: Value) -> Answer {
        self.dynamodb("Query", crate::help::with(json!({ "TableName": "things" }), more)).await
    }
}

fn things() -> Value {
    let attribute = |name: &str, kind: &str| json!({ "AttributeName": name, "AttributeType": kind });
    json!({
        "TableName": "things",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions":
            [attribute("pk", "S"), attribute("sk", "S"), attribute("a", "S"), attribute("t", "N")],
        "KeySchema": schema("pk", "sk"),
        "GlobalSecondaryIndexes": [
            { "IndexName": "by-age", "KeySchema": schema("a", "t"), "Projection": { "ProjectionType": "KEYS_ONLY" } },
        ],
    })
}

fn schema(hash: &str, range: &str) -> Value {
    json!([{ "AttributeName": hash, "KeyType": "HASH" }, { "AttributeName": range, "KeyType": "RANGE" }])
}

fn key(pk: &str, sk: &str) -> Value {
    json!({ "pk": { "S": pk }, "sk": { "S": sk } })
}

/// Returns the sort keys of an answer's items.
fn sort_keys(answer: &Value) -> Vec<String> {
    let items = answer["Items"].as_array().unwrap().iter();
    items.map(|item| item["sk"]["S"].as_str().unwrap().to_owned()).collect()
}
