use std::collections::BTreeSet;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{key, sort_keys};
use crate::help::{Rig, with};

impl Rig {
    /// A fake with ten items of one partition, of which the even ones are in the index.
    async fn with_ten() -> Self {
        let rig = Self::with_things().await;
        for number in 0..10 {
            let age = json!({ "a": { "S": "old" }, "t": { "N": (100 - number).to_string() } });
            let more = if number % 2 == 0 { age } else { json!({}) };
            rig.put("p", &number.to_string(), with(more, json!({ "x": { "S": "x".repeat(100) } })))
                .await
                .good();
        }
        rig
    }

    /// Reads all pages, and returns the sort keys of each.
    async fn pages(&self, operation: &str, call: Value) -> Vec<String> {
        let mut pages = Vec::new();
        let mut call = with(json!({ "TableName": "things" }), call);
        loop {
            let answer = self.dynamodb(operation, call.clone()).await.good();
            pages.push(sort_keys(&answer).concat());
            let next = answer["LastEvaluatedKey"].clone();
            if next.is_null() {
                return pages;
            }
            call["ExclusiveStartKey"] = next;
        }
    }
}

fn of_partition(keys: &str, more: Value) -> Value {
    let words: BTreeSet<&str> =
        keys.split([' ', ',', '(', ')']).filter(|word| word.starts_with(':')).collect();
    let value = |word: &str| json!({ "S": &word[1..] });
    let values: Value = words.into_iter().map(|word| (word.to_owned(), value(word))).collect();
    with(json!({ "KeyConditionExpression": keys, "ExpressionAttributeValues": values }), more)
}

#[tokio::test]
async fn query_reads_a_partition_in_sort_key_order() {
    let rig = Rig::with_ten().await;
    rig.put("other", "5", json!({})).await.good();
    for (keys, expected) in [
        ("pk = :p", "0123456789"),
        ("pk = :p AND sk = :3", "3"),
        ("sk < :3 AND pk = :p", "012"),
        ("pk = :p AND sk <= :3", "0123"),
        ("pk = :p AND sk > :7", "89"),
        ("pk = :p AND sk >= :7", "789"),
        ("pk = :p AND sk BETWEEN :3 AND :5", "345"),
        ("pk = :p AND begins_with(sk, :4)", "4"),
        ("pk = :nobody", ""),
    ] {
        for forward in [true, false] {
            let expected: String =
                if forward { expected.to_owned() } else { expected.chars().rev().collect() };
            for limit in [json!(null), json!(2)] {
                let call = of_partition(keys, json!({ "ScanIndexForward": forward, "Limit": limit }));
                assert_eq!(rig.pages("Query", call).await.concat(), expected, "{keys}");
            }
        }
    }
}

#[tokio::test]
async fn key_conditions_must_use_the_key() {
    let rig = Rig::with_things().await;
    for (keys, part) in [
        ("sk = :1", "missed key schema element: pk"),
        ("pk > :a", "Query key condition not supported"),
        ("pk = :a AND x = :b", "Query key condition not supported"),
        ("pk = :a AND sk <> :b", "Invalid operator used in KeyConditionExpression: <>"),
        ("pk = :a OR sk = :b", "Invalid operator used in KeyConditionExpression: OR"),
        ("pk = :a AND contains(sk, :b)", "Invalid operator used in KeyConditionExpression: contains"),
    ] {
        rig.query(of_partition(keys, json!({}))).await.invalid(part);
    }
    let number = json!({ "ExpressionAttributeValues": { ":a": { "N": "1" } } });
    rig.query(of_partition("pk = :a", number)).await.invalid("does not match schema type");
    rig.query(of_partition("pk = :a", json!({ "Limit": 0 }))).await.invalid("greater than or equal to 1");
    let nowhere = json!({ "ExclusiveStartKey": { "pk": { "S": "a" } } });
    rig.query(of_partition("pk = :a", nowhere)).await.invalid("starting key is invalid");
    let outside = json!({ "ExclusiveStartKey": key("b", "1") });
    rig.query(of_partition("pk = :a", outside)).await.invalid("outside query boundaries");
    rig.query(of_partition("pk = :a", json!({ "IndexName": "none" })))
        .await
        .invalid("the specified index: none");
}

#[tokio::test]
async fn page_ends_at_its_limits() {
    let rig = Rig::with_ten().await;
    let call = of_partition("pk = :p", json!({ "Limit": 5 }));
    assert_eq!(rig.pages("Query", call).await, ["01234", "56789", ""], "a full page names a next one");
    rig.fake.configure(|settings| settings.dynamodb.page_bytes = 250);
    let bounded = rig.pages("Query", of_partition("pk = :p", json!({}))).await;
    assert_eq!(bounded, ["01", "23", "45", "67", "89"]);
    let filter = json!({
        "FilterExpression": "attribute_exists(a)", "ProjectionExpression": "sk",
    });
    assert_eq!(rig.pages("Query", of_partition("pk = :p", filter)).await, ["0", "2", "4", "6", "8"]);
}

#[tokio::test]
async fn index_holds_items_with_its_key_and_only_keys() {
    let rig = Rig::with_ten().await;
    let call = of_partition("a = :old", json!({ "IndexName": "by-age", "Limit": 2 }));
    assert_eq!(rig.pages("Query", call.clone()).await, ["86", "42", "0"], "by number, not by text");
    let answer = rig.query(call.clone()).await.good();
    let keys = with(key("p", "8"), json!({ "a": { "S": "old" }, "t": { "N": "92" } }));
    assert_eq!(answer["Items"][0], keys);
    assert_eq!(answer["LastEvaluatedKey"]["t"], json!({ "N": "94" }));
    let consistent = with(call.clone(), json!({ "ConsistentRead": true }));
    rig.query(consistent).await.invalid("Consistent reads are not supported on global secondary indexes");
    let lacking = with(call.clone(), json!({ "ProjectionExpression": "x" }));
    rig.query(lacking).await.invalid("by-age does not project [x]");
    rig.put("p", "8", json!({})).await.good();
    assert_eq!(rig.pages("Query", call).await, ["64", "20", ""], "an item that lost the key is not there");
}

#[tokio::test]
async fn scan_segments_have_each_item_once() {
    let rig = Rig::with_things().await;
    for number in 0..40 {
        rig.put(&format!("p{number}"), &format!("{number:02};"), json!({})).await.good();
    }
    let mut all = Vec::new();
    for segment in 0..4 {
        let call = json!({ "Segment": segment, "TotalSegments": 4, "Limit": 3, "ConsistentRead": true });
        let found = rig.pages("Scan", call).await.concat();
        assert!(!found.is_empty(), "every segment has some of forty partitions");
        all.extend(found.split_terminator(';').map(str::to_owned).collect::<Vec<_>>());
    }
    assert!(!all.is_sorted(), "nobody may rely on the order");
    let expected: BTreeSet<String> = (0..40).map(|number| format!("{number:02}")).collect();
    assert_eq!((all.len(), all.into_iter().collect::<BTreeSet<_>>()), (40, expected));
    let scan = |more: Value| rig.dynamodb("Scan", with(json!({ "TableName": "things" }), more));
    scan(json!({ "Segment": 4, "TotalSegments": 4 }))
        .await
        .invalid("must be less than parameter TotalSegments");
    scan(json!({ "Segment": 0 })).await.invalid("TotalSegments parameter is required");
    scan(json!({ "TotalSegments": 2 })).await.invalid("Segment parameter is required");
    let filter = json!({ "FilterExpression": "begins_with(sk, :s)", "ExpressionAttributeValues": { ":s": { "S": "39" } } });
    let found = scan(filter).await;
    assert_eq!(sort_keys(&found.good()), ["39;"], "a scan may filter by keys");
}

#[tokio::test]
async fn recent_write_is_hidden_from_stale_reads() {
    let rig = Rig::with_things().await;
    rig.fake.configure(|settings| settings.dynamodb.lag = SignedDuration::from_secs(2));
    rig.put("p", "1", json!({ "a": { "S": "old" }, "t": { "N": "1" } })).await.good();
    let index = of_partition("a = :old", json!({ "IndexName": "by-age" }));
    let stale = async || {
        let items = rig.pages("Query", index.clone()).await.concat();
        (rig.read("p", "1", false).await.is_null(), items)
    };
    assert!(!rig.item("p", "1").await.is_null());
    assert_eq!(stale().await, (true, String::new()));
    rig.pass(2);
    assert_eq!(stale().await, (false, "1".to_owned()));
    rig.dynamodb("DeleteItem", json!({ "TableName": "things", "Key": key("p", "1") })).await.good();
    assert!(rig.item("p", "1").await.is_null());
    assert_eq!(stale().await, (false, "1".to_owned()));
}

#[tokio::test]
async fn batch_is_limited_and_returns_the_rest() {
    let rig = Rig::with_ten().await;
    let batch = |keys: Vec<Value>| {
        rig.dynamodb(
            "BatchGetItem",
            json!({ "RequestItems": { "things": { "Keys": keys, "ConsistentRead": true } } }),
        )
    };
    let all = |count: usize| (0..count).map(|number| key("p", &number.to_string())).collect::<Vec<_>>();
    let answer = batch(all(12)).await.good();
    assert_eq!(answer["Responses"]["things"].as_array().unwrap().len(), 10, "two are not there");
    assert_eq!(answer["UnprocessedKeys"], json!({}));
    rig.fake.configure(|settings| settings.dynamodb.batch_bytes = 350);
    let answer = batch(all(10)).await.good();
    let (told, left) = (&answer["Responses"]["things"], &answer["UnprocessedKeys"]["things"]);
    assert_eq!((told.as_array().unwrap().len(), left["Keys"].as_array().unwrap().len()), (3, 7));
    assert_eq!(left["ConsistentRead"], true, "what is given back can be sent again");
    batch(all(101)).await.invalid("Too many items requested");
    batch(vec![key("p", "1"), key("p", "1")]).await.invalid("contains duplicates");
    batch(Vec::new()).await.invalid("greater than or equal to 1");
    rig.dynamodb("BatchGetItem", json!({ "RequestItems": {} })).await.invalid("greater than or equal to 1");
}
