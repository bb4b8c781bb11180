use serde_json::{Value, json};

use super::key;
use crate::help::{Answer, Rig, with};

impl Rig {
    async fn transact(&self, token: Option<&str>, members: Vec<Value>) -> Answer {
        let call = json!({ "TransactItems": members, "ClientRequestToken": token });
        self.dynamodb("TransactWriteItems", with(call, json!({}))).await
    }
}

fn put(sk: &str) -> Value {
    json!({ "Put": { "TableName": "things", "Item": key("a", sk) } })
}

fn create(sk: &str) -> Value {
    let condition = "attribute_not_exists(pk)";
    json!({ "Put": { "TableName": "things", "Item": key("a", sk), "ConditionExpression": condition } })
}

fn count(sk: &str) -> Value {
    let one = json!({ ":one": { "N": "1" } });
    json!({ "Update": {
        "TableName": "things", "Key": key("a", sk), "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": one,
    } })
}

fn check(sk: &str) -> Value {
    let condition = "attribute_exists(pk)";
    json!({ "ConditionCheck": { "TableName": "things", "Key": key("a", sk), "ConditionExpression": condition } })
}

fn delete(sk: &str) -> Value {
    json!({ "Delete": { "TableName": "things", "Key": key("a", sk) } })
}

/// Returns the codes of the reasons for a cancellation.
fn reasons(answer: &Answer) -> Vec<&str> {
    let reasons = answer.body["CancellationReasons"].as_array().unwrap();
    reasons.iter().map(|reason| reason["Code"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn transaction_is_done_completely_or_not_at_all() {
    let rig = Rig::with_things().await;
    rig.put("a", "1", json!({})).await.good();
    rig.put("a", "2", json!({})).await.good();
    let failed = rig.transact(None, vec![create("3"), create("1"), delete("2"), check("9")]).await;
    failed.refused(
        "TransactionCanceledException",
        "[None, ConditionalCheckFailed, None, ConditionalCheckFailed]",
    );
    assert_eq!(reasons(&failed), ["None", "ConditionalCheckFailed", "None", "ConditionalCheckFailed"]);
    assert!(rig.item("a", "3").await.is_null() && !rig.item("a", "2").await.is_null());
    rig.transact(None, vec![create("3"), count("1"), delete("2"), check("1").clone()])
        .await
        .invalid("one item");
    rig.transact(None, vec![create("3"), count("4"), delete("2"), check("1")]).await.good();
    assert_eq!(rig.item("a", "4").await["n"], json!({ "N": "1" }));
    assert!(!rig.item("a", "3").await.is_null() && rig.item("a", "2").await.is_null());
}

#[tokio::test]
async fn found_item_is_returned_on_request() {
    let rig = Rig::with_things().await;
    rig.put("a", "1", json!({ "n": { "N": "5" } })).await.good();
    let mut member = create("1");
    member["Put"]["ReturnValuesOnConditionCheckFailure"] = json!("ALL_OLD");
    let failed = rig.transact(None, vec![member]).await;
    assert_eq!(failed.body["CancellationReasons"][0]["Item"]["n"], json!({ "N": "5" }));
}

#[tokio::test]
async fn token_runs_a_transaction_once_for_ten_minutes() {
    let rig = Rig::with_things().await;
    for _ in 0..3 {
        rig.transact(Some("t"), vec![count("1")]).await.good();
    }
    assert_eq!(rig.item("a", "1").await["n"], json!({ "N": "1" }));
    let other = rig.transact(Some("t"), vec![count("2")]).await;
    other.refused("IdempotentParameterMismatchException", "not the same");
    rig.pass(599);
    rig.transact(Some("t"), vec![count("1")]).await.good();
    assert_eq!(rig.item("a", "1").await["n"], json!({ "N": "1" }));
    rig.pass(1);
    rig.transact(Some("t"), vec![count("1")]).await.good();
    assert_eq!(rig.item("a", "1").await["n"], json!({ "N": "2" }));
}

#[tokio::test]
async fn refused_transaction_may_reuse_its_token() {
    let rig = Rig::with_things().await;
    let members = || vec![check("1"), count("2")];
    rig.transact(Some("t"), members()).await.refused("TransactionCanceledException", "");
    rig.put("a", "1", json!({})).await.good();
    rig.transact(Some("t"), members()).await.good();
    assert_eq!(rig.item("a", "2").await["n"], json!({ "N": "1" }));
}

#[tokio::test]
async fn transactions_beyond_the_limits_are_refused() {
    let rig = Rig::with_things().await;
    let many = |count: usize| (0..count).map(|number| put(&number.to_string())).collect::<Vec<_>>();
    rig.transact(None, many(101)).await.invalid("less than or equal to 100");
    rig.transact(None, Vec::new()).await.invalid("greater than or equal to 1");
    rig.transact(Some(&"t".repeat(37)), many(1)).await.invalid("less than or equal to 36");
    rig.transact(None, vec![json!({})]).await.invalid("can only contain one of");
    let both = with(put("1"), json!({ "Delete": delete("2")["Delete"] }));
    rig.transact(None, vec![both]).await.invalid("can only contain one of");
    let large = |number: usize| {
        let mut member = put(&number.to_string());
        member["Put"]["Item"]["x"] = json!({ "S": "x".repeat(400_000) });
        member
    };
    rig.transact(None, (0..11).map(large).collect()).await.invalid("4 MB");
    rig.transact(None, many(100)).await.good();
}

#[tokio::test]
async fn impossible_member_is_named_among_the_reasons() {
    let rig = Rig::with_things().await;
    let mut large = count("1");
    large["Update"]["ExpressionAttributeValues"] = json!({ ":one": { "SS": ["x".repeat(500_000)] } });
    let failed = rig.transact(None, vec![put("2"), large]).await;
    assert_eq!(reasons(&failed), ["None", "ValidationError"]);
    let words = &failed.body["CancellationReasons"][1]["Message"];
    assert_eq!(words, "Item size to update has exceeded the maximum allowed size");
    assert!(rig.item("a", "2").await.is_null());
}
