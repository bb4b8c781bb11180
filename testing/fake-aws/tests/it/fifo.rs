use serde_json::{Value, json};

use crate::help::{Rig, with};
use crate::queues::{counts, receive};

/// Makes a FIFO queue and returns its URL.
async fn queue(rig: &Rig, more: Value) -> String {
    let attributes = with(json!({ "FifoQueue": "true" }), more);
    let create = json!({ "QueueName": "orders.fifo", "Attributes": attributes });
    let created = rig.sqs("CreateQueue", create).await.good();
    created["QueueUrl"].as_str().unwrap().to_owned()
}

async fn send(rig: &Rig, url: &str, group: &str, body: &str) -> Value {
    let call = json!({
        "QueueUrl": url, "MessageBody": body, "MessageGroupId": group, "MessageDeduplicationId": body,
    });
    rig.sqs("SendMessage", call).await.good()
}

fn bodies(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["Body"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn fifo_queue_needs_both_name_and_attribute() {
    let rig = Rig::new().await;
    let url = queue(&rig, json!({})).await;
    assert!(url.ends_with("/123456789012/orders.fifo"), "{url}");
    let named = json!({ "QueueName": "orders.fifo" });
    assert_eq!(rig.sqs("GetQueueUrl", named).await.good()["QueueUrl"], url);
    let all = json!({ "QueueUrl": url, "AttributeNames": ["All"] });
    let attributes = &rig.sqs("GetQueueAttributes", all).await.good()["Attributes"];
    assert_eq!(
        (&attributes["FifoQueue"], &attributes["DeduplicationScope"]),
        (&json!("true"), &json!("queue"))
    );
    for (name, attributes, code) in [
        ("orders.fifo", json!({}), "InvalidParameterValue"),
        ("orders", json!({ "FifoQueue": "true" }), "InvalidParameterValue"),
        ("a.b.fifo", json!({ "FifoQueue": "true" }), "InvalidParameterValue"),
        (".fifo", json!({ "FifoQueue": "true" }), "InvalidParameterValue"),
        ("orders", json!({ "FifoQueue": "false" }), "InvalidAttributeName"),
        ("plain", json!({ "ContentBasedDeduplication": "true" }), "InvalidAttributeName"),
        ("b.fifo", json!({ "FifoQueue": "true", "DeduplicationScope": "all" }), "InvalidAttributeValue"),
        (
            "b.fifo",
            json!({ "FifoQueue": "true", "FifoThroughputLimit": "perMessageGroupId" }),
            "InvalidAttributeValue",
        ),
    ] {
        let create = json!({ "QueueName": name, "Attributes": attributes });
        let refused = rig.sqs("CreateQueue", create).await;
        assert_eq!(refused.query_error, Some(format!("{code};Sender")), "{name} {attributes}");
    }
    let set = json!({ "QueueUrl": url, "Attributes": { "FifoQueue": "true" } });
    rig.sqs("SetQueueAttributes", set).await.is("com.amazonaws.sqs#InvalidAttributeValue", "FifoQueue");
}

#[tokio::test]
async fn fifo_message_needs_group_and_deduplication() {
    let rig = Rig::new().await;
    let url = queue(&rig, json!({})).await;
    let plain = rig.fake.sqs().create_queue("plain");
    let grouped = json!({ "MessageGroupId": "g" });
    for (url, more, code) in [
        (&url, json!({ "MessageDeduplicationId": "1" }), "MissingParameter"),
        (&url, grouped.clone(), "InvalidParameterValue"),
        (&url, json!({ "MessageGroupId": "", "MessageDeduplicationId": "1" }), "InvalidParameterValue"),
        (
            &url,
            json!({ "MessageGroupId": "g", "MessageDeduplicationId": "1", "DelaySeconds": 5 }),
            "InvalidParameterValue",
        ),
        (&plain, json!({ "MessageDeduplicationId": "1" }), "InvalidParameterValue"),
    ] {
        let call = with(json!({ "QueueUrl": url, "MessageBody": "x" }), more);
        let refused = rig.sqs("SendMessage", call.clone()).await;
        assert_eq!(refused.query_error, Some(format!("{code};Sender")), "{call}");
    }
    let fair = with(json!({ "QueueUrl": plain, "MessageBody": "x" }), grouped);
    rig.sqs("SendMessage", fair).await.good();
    assert_eq!((counts(&rig, &url).await, counts(&rig, &plain).await), ([0, 0, 0], [1, 0, 0]));
}

#[tokio::test]
async fn duplicate_is_dropped_for_five_minutes() {
    let rig = Rig::new().await;
    let url = queue(&rig, json!({})).await;
    let first = send(&rig, &url, "a", "1").await;
    rig.pass(299);
    assert_eq!(send(&rig, &url, "b", "1").await, first, "the id counts in the whole queue");
    assert_eq!(counts(&rig, &url).await, [1, 0, 0]);
    rig.pass(1);
    let second = send(&rig, &url, "a", "1").await;
    assert!(second["SequenceNumber"].as_str() > first["SequenceNumber"].as_str(), "{second}");
    let by_group = json!({ "QueueUrl": url, "Attributes": { "DeduplicationScope": "messageGroup" } });
    rig.sqs("SetQueueAttributes", by_group).await.good();
    for (group, left) in [("a", 3), ("b", 4), ("b", 4)] {
        send(&rig, &url, group, "2").await;
        assert_eq!(counts(&rig, &url).await, [left, 0, 0]);
    }
}

#[tokio::test]
async fn group_waits_for_its_message_in_flight() {
    let rig = Rig::new().await;
    let url = queue(&rig, json!({})).await;
    for (group, body) in [("a", "1"), ("a", "2"), ("b", "3"), ("a", "4")] {
        send(&rig, &url, group, body).await;
    }
    let first = receive(&rig, &url, json!({ "AttributeNames": ["All"] })).await;
    assert_eq!((bodies(&first), &first[0]["Attributes"]["MessageGroupId"]), (vec!["1"], &json!("a")));
    let many = json!({ "MaxNumberOfMessages": 10 });
    assert_eq!(bodies(&receive(&rig, &url, many.clone()).await), ["3"]);
    assert_eq!(counts(&rig, &url).await, [2, 2, 0]);
    rig.pass(30);
    let expired = json!({ "QueueUrl": url, "ReceiptHandle": first[0]["ReceiptHandle"] });
    rig.sqs("DeleteMessage", expired).await.is("com.amazonaws.sqs#InvalidParameterValueException", "expired");
    let again = receive(&rig, &url, many.clone()).await;
    assert_eq!(bodies(&again), ["1", "2", "3", "4"]);
    for message in &again[..2] {
        let done = json!({ "QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"] });
        rig.sqs("DeleteMessage", done).await.good();
    }
    assert_eq!(counts(&rig, &url).await, [0, 2, 0]);
    send(&rig, &url, "a", "5").await;
    assert_eq!(receive(&rig, &url, many).await.len(), 0, "4 is still in flight");
}
