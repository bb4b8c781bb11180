use ecs_scheduler_fake_aws::{FaultRule, InjectedFault, Service};
use serde_json::{Value, json};

use super::key;
use crate::help::{Rig, SIGNED};

impl Rig {
    fn once(&self, operation: &str, fault: InjectedFault) {
        self.fake.faults().add(FaultRule::once(Service::DynamoDb, operation, fault));
    }
}

fn transaction() -> Value {
    let put = |sk: &str| json!({ "Put": { "TableName": "things", "Item": key("a", sk) } });
    json!({ "TransactItems": [put("1"), put("2")], "ClientRequestToken": "t" })
}

#[tokio::test]
async fn transaction_conflicts_with_others_itself_or_capacity() {
    let rig = Rig::with_things().await;
    for (fault, reason) in
        [(InjectedFault::Conflict, "TransactionConflict"), (InjectedFault::Exceeded, "ThrottlingError")]
    {
        rig.once("TransactWriteItems", fault);
        let failed = rig.dynamodb("TransactWriteItems", transaction()).await;
        failed.refused("TransactionCanceledException", &format!("[None, {reason}]"));
        assert_eq!(failed.body["CancellationReasons"][1]["Code"], reason);
    }
    rig.once("TransactWriteItems", InjectedFault::InProgress);
    let failed = rig.dynamodb("TransactWriteItems", transaction()).await;
    failed.refused("TransactionInProgressException", "already in progress");
    assert!(rig.item("a", "1").await.is_null(), "nothing of it was done");
    rig.dynamodb("TransactWriteItems", transaction()).await.good();
    assert!(!rig.item("a", "2").await.is_null());
}

#[tokio::test]
async fn lost_answer_of_a_transaction_is_repeated_for_its_token() {
    let rig = Rig::with_things().await;
    rig.once("TransactWriteItems", InjectedFault::LostAfterEffect);
    let lost = rig.call(Service::DynamoDb, "TransactWriteItems", &transaction(), SIGNED).await;
    assert!(lost.is_err(), "{lost:?}");
    assert!(!rig.item("a", "1").await.is_null(), "it was done");
    rig.dynamodb("DeleteItem", json!({ "TableName": "things", "Key": key("a", "1") })).await.good();
    rig.dynamodb("TransactWriteItems", transaction()).await.good();
    assert!(rig.item("a", "1").await.is_null(), "it was not done again");
}

#[tokio::test]
async fn single_writes_and_reads_conflict_and_are_throttled() {
    let rig = Rig::with_things().await;
    rig.once("PutItem", InjectedFault::Conflict);
    rig.put("a", "1", json!({})).await.refused("TransactionConflictException", "Transaction is ongoing");
    rig.once("PutItem", InjectedFault::Exceeded);
    let refused = rig.put("a", "1", json!({})).await;
    refused.refused("ProvisionedThroughputExceededException", "provisioned throughput");
    rig.once("PutItem", InjectedFault::Throttled);
    rig.put("a", "1", json!({})).await.refused("ThrottlingException", "Rate exceeded");
    assert!(rig.item("a", "1").await.is_null());
    assert_eq!(rig.fake.calls(Service::DynamoDb, "PutItem").throttled, 2);
    rig.once("PutItem", InjectedFault::ServerError { status: 500 });
    let failed = rig.put("a", "1", json!({})).await;
    assert_eq!(
        (failed.status, failed.error()),
        (500, "com.amazonaws.dynamodb.v20120810#InternalServerError")
    );
}

#[tokio::test]
async fn half_of_a_batch_is_returned_unprocessed() {
    let rig = Rig::with_things().await;
    let keys: Vec<Value> = (0..5).map(|number| key("a", &number.to_string())).collect();
    for number in 0..5 {
        rig.put("a", &number.to_string(), json!({})).await.good();
    }
    rig.once("BatchGetItem", InjectedFault::Unprocessed);
    let call = json!({ "RequestItems": { "things": { "Keys": keys, "ConsistentRead": true } } });
    let answer = rig.dynamodb("BatchGetItem", call).await.good();
    assert_eq!(answer["Responses"]["things"].as_array().unwrap().len(), 3);
    let rest =
        rig.dynamodb("BatchGetItem", json!({ "RequestItems": answer["UnprocessedKeys"] })).await.good();
    assert_eq!(rest["Responses"]["things"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn operation_specific_fault_hits_no_other_call() {
    let rig = Rig::with_things().await;
    for fault in [
        InjectedFault::Conflict,
        InjectedFault::Exceeded,
        InjectedFault::InProgress,
        InjectedFault::Unprocessed,
    ] {
        rig.fake.faults().add(FaultRule::every(Service::DynamoDb, fault));
    }
    rig.dynamodb("DescribeTable", json!({ "TableName": "things" })).await.good();
    rig.list(json!({})).await;
}

#[tokio::test]
async fn each_action_of_a_transaction_needs_permission() {
    let rig = Rig::with_things().await;
    rig.fake.configure(|settings| {
        let actions = ["dynamodb:PutItem", "dynamodb:Query", "dynamodb:TransactWriteItems"];
        let table = "arn:aws:dynamodb:*:*:table/things";
        let allowed = json!({ "Effect": "Allow", "Action": actions, "Resource": table });
        settings.permissions.policy = Some(json!({ "Statement": allowed }));
    });
    rig.dynamodb("TransactWriteItems", transaction()).await.good();
    let mut call = transaction();
    call["TransactItems"][1] = json!({ "Delete": { "TableName": "things", "Key": key("a", "2") } });
    let refused = rig.dynamodb("TransactWriteItems", call).await;
    refused.refused("AccessDeniedException", "perform: dynamodb:DeleteItem on resource: arn:aws:dynamodb:");
    let query = json!({
        "IndexName": "by-age", "KeyConditionExpression": "a = :a", "ExpressionAttributeValues": { ":a": { "S": "x" } },
    });
    rig.query(query).await.refused("AccessDeniedException", "table/things/index/by-age");
}
