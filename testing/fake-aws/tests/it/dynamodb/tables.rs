use jiff::SignedDuration;
use serde_json::json;

use super::{key, schema, things};
use crate::help::{Rig, with};

#[tokio::test]
async fn table_is_described_and_created_only_once() {
    let rig = Rig::with_things().await;
    let table = rig.dynamodb("DescribeTable", json!({ "TableName": "things" })).await.good()["Table"].clone();
    assert_eq!((&table["TableStatus"], &table["KeySchema"]), (&json!("ACTIVE"), &schema("pk", "sk")));
    assert_eq!(table["TableArn"], "arn:aws:dynamodb:eu-central-1:123456789012:table/things");
    assert_eq!(table["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST");
    let index = &table["GlobalSecondaryIndexes"][0];
    assert_eq!((&index["IndexName"], &index["IndexStatus"]), (&json!("by-age"), &json!("ACTIVE")));
    let again = rig.dynamodb("CreateTable", things()).await;
    again.refused("ResourceInUseException", "Table already exists: things");
    let missing = rig.dynamodb("DescribeTable", json!({ "TableName": "other" })).await;
    missing.refused("ResourceNotFoundException", "Table: other not found");
}

#[tokio::test]
async fn table_is_unusable_before_it_is_created() {
    let rig = Rig::new().await;
    rig.put("a", "1", json!({})).await.refused("ResourceNotFoundException", "Requested resource not found");
    rig.fake.configure(|settings| settings.dynamodb.creation = SignedDuration::from_secs(5));
    let made = rig.dynamodb("CreateTable", things()).await.good();
    assert_eq!(made["TableDescription"]["TableStatus"], "CREATING");
    rig.put("a", "1", json!({})).await.refused("ResourceNotFoundException", "Requested resource not found");
    rig.pass(5);
    rig.put("a", "1", json!({})).await.good();
}

#[tokio::test]
async fn contradictory_tables_are_refused() {
    let rig = Rig::new().await;
    let pk = json!([{ "AttributeName": "pk", "AttributeType": "S" }]);
    let hash = json!([{ "AttributeName": "pk", "KeyType": "HASH" }]);
    let throughput = json!({ "ReadCapacityUnits": 1, "WriteCapacityUnits": 1 });
    for (more, part) in [
        (json!({ "TableName": "no" }), "length between 3"),
        (json!({ "TableName": "no blanks" }), "pattern"),
        (json!({ "AttributeDefinitions": pk }), "not defined in AttributeDefinitions"),
        (json!({ "KeySchema": hash }), "not used"),
        (json!({ "KeySchema": schema("pk", "pk") }), "Invalid KeySchema"),
        (json!({ "BillingMode": null }), "when BillingMode is PROVISIONED"),
        (json!({ "BillingMode": "FREE" }), "enum value set"),
        (json!({ "ProvisionedThroughput": throughput }), "when BillingMode is PAY_PER_REQUEST"),
    ] {
        rig.dynamodb("CreateTable", with(things(), more)).await.invalid(part);
    }
}

#[tokio::test]
async fn unknown_members_are_refused() {
    let rig = Rig::with_things().await;
    let unknown = rig.dynamodb("UpdateTimeToLive", json!({})).await;
    unknown.refused("UnknownOperationException", "no DynamoDB operation UpdateTimeToLive");
    let old = json!({ "TableName": "things", "Key": key("a", "1"), "Expected": {} });
    rig.dynamodb("DeleteItem", old).await.refused("SerializationException", "unknown field `Expected`");
    let item = json!({ "TableName": "things", "Key": key("a", "1"), "Item": key("a", "1") });
    rig.dynamodb("DeleteItem", item).await.refused("SerializationException", "unknown field `Item`");
    rig.query(json!({ "Select": "COUNT" })).await.refused("SerializationException", "unknown field `Select`");
}
