use std::time::Duration;

use ecs_scheduler_fake_aws::{FaultRule, InjectedFault, Service};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::help::{Rig, with};

/// Returns visible, in-flight and delayed messages.
pub(crate) async fn counts(rig: &Rig, url: &str) -> [u32; 3] {
    let names = ["", "NotVisible", "Delayed"].map(|tail| format!("ApproximateNumberOfMessages{tail}"));
    let answer =
        rig.sqs("GetQueueAttributes", json!({ "QueueUrl": url, "AttributeNames": names })).await.good();
    names.map(|name| answer["Attributes"][name].as_str().unwrap().parse().unwrap())
}

pub(crate) async fn receive(rig: &Rig, url: &str, more: Value) -> Vec<Value> {
    let answer = rig.sqs("ReceiveMessage", with(json!({ "QueueUrl": url }), more)).await.good();
    answer["Messages"].as_array().cloned().unwrap_or_default()
}

#[tokio::test]
async fn message_is_visible_then_in_flight_then_deleted() {
    let rig = Rig::new().await;
    let url = rig.fake.sqs().create_queue("orders");
    let sent = rig.sqs("SendMessage", json!({ "QueueUrl": url, "MessageBody": "hello" })).await.good();
    assert_eq!(sent["MD5OfMessageBody"], "5d41402abc4b2a76b9719d911017c592");
    rig.sqs("SendMessage", json!({ "QueueUrl": url, "MessageBody": "later", "DelaySeconds": 10 }))
        .await
        .good();
    assert_eq!(counts(&rig, &url).await, [1, 0, 1]);
    let received = receive(&rig, &url, json!({ "MaxNumberOfMessages": 10, "AttributeNames": ["All"] })).await;
    assert_eq!((received.len(), &received[0]["Body"]), (1, &json!("hello")));
    assert_eq!(received[0]["Attributes"]["ApproximateReceiveCount"], "1");
    assert_eq!(counts(&rig, &url).await, [0, 1, 1]);
    rig.pass(10);
    assert_eq!(counts(&rig, &url).await, [1, 1, 0]);
    let handle = &received[0]["ReceiptHandle"];
    rig.sqs("DeleteMessage", json!({ "QueueUrl": url, "ReceiptHandle": handle })).await.good();
    assert_eq!(counts(&rig, &url).await, [1, 0, 0]);
}

#[tokio::test]
async fn message_reappears_after_the_visibility_timeout() {
    let rig = Rig::new().await;
    let url = rig.fake.sqs().create_queue("orders");
    rig.fake.sqs().send(&url, "hello");
    let first = receive(&rig, &url, json!({})).await;
    let change =
        json!({ "QueueUrl": url, "ReceiptHandle": first[0]["ReceiptHandle"], "VisibilityTimeout": 40 });
    rig.sqs("ChangeMessageVisibility", change.clone()).await.good();
    rig.pass(39);
    assert_eq!(counts(&rig, &url).await, [0, 1, 0]);
    rig.pass(1);
    assert_eq!(counts(&rig, &url).await, [1, 0, 0]);
    let late = rig.sqs("ChangeMessageVisibility", change).await;
    late.is("com.amazonaws.sqs#MessageNotInflight", "in flight");
    let second = receive(&rig, &url, json!({})).await;
    let outdated = json!({ "QueueUrl": url, "ReceiptHandle": first[0]["ReceiptHandle"] });
    rig.sqs("DeleteMessage", outdated).await.good();
    assert_eq!(counts(&rig, &url).await, [0, 1, 0]);
    let valid = json!({ "QueueUrl": url, "ReceiptHandle": second[0]["ReceiptHandle"] });
    rig.sqs("DeleteMessage", valid).await.good();
    assert_eq!(counts(&rig, &url).await, [0, 0, 0]);
}

#[tokio::test]
async fn counts_lag_if_configured() {
    let rig = Rig::new().await;
    let url = rig.fake.sqs().create_queue("orders");
    rig.fake.configure(|settings| settings.sqs.counts_lag = SignedDuration::from_secs(60));
    rig.pass(100);
    rig.fake.sqs().fill(&url, 3);
    rig.pass(30);
    assert_eq!(receive(&rig, &url, json!({ "MaxNumberOfMessages": 2 })).await.len(), 2);
    assert_eq!(counts(&rig, &url).await, [0, 0, 0]);
    rig.pass(30);
    assert_eq!(counts(&rig, &url).await, [3, 0, 0]);
    rig.pass(29);
    assert_eq!(counts(&rig, &url).await, [3, 0, 0]);
    rig.pass(1);
    assert_eq!(counts(&rig, &url).await, [1, 2, 0]);
    rig.pass(30);
    assert_eq!(counts(&rig, &url).await, [3, 0, 0]);
    rig.fake.configure(|settings| settings.sqs.counts_lag = SignedDuration::ZERO);
    assert_eq!(receive(&rig, &url, json!({ "MaxNumberOfMessages": 10 })).await.len(), 3);
    assert_eq!(counts(&rig, &url).await, [0, 3, 0]);
}

#[tokio::test]
async fn errors_have_query_names_in_a_header() {
    let rig = Rig::new().await;
    let missing = rig.sqs("GetQueueUrl", json!({ "QueueName": "none" })).await;
    missing.is("com.amazonaws.sqs#QueueDoesNotExist", "The specified queue does not exist.");
    assert_eq!(missing.query_error.as_deref(), Some("AWS.SimpleQueueService.NonExistentQueue;Sender"));
    let url = rig.fake.sqs().create_queue("orders");
    for (operation, more, code) in [
        ("ReceiveMessage", json!({ "MaxNumberOfMessages": 11 }), "InvalidParameterValue"),
        ("ReceiveMessage", json!({ "MaxNumberOfMessages": 0 }), "InvalidParameterValue"),
        ("ReceiveMessage", json!({ "WaitTimeSeconds": 21 }), "InvalidParameterValue"),
        ("ReceiveMessage", json!({ "VisibilityTimeout": 43_201 }), "InvalidParameterValue"),
        ("SendMessage", json!({ "MessageBody": "x", "DelaySeconds": 901 }), "InvalidParameterValue"),
        ("SendMessage", json!({ "MessageBody": "x".repeat(1_048_577) }), "InvalidParameterValue"),
        ("SendMessage", json!({}), "MissingParameter"),
        ("DeleteMessage", json!({ "ReceiptHandle": "x" }), "ReceiptHandleIsInvalid"),
        ("GetQueueAttributes", json!({ "AttributeNames": ["Length"] }), "InvalidAttributeName"),
        (
            "SetQueueAttributes",
            json!({ "Attributes": { "VisibilityTimeout": "-1" } }),
            "InvalidAttributeValue",
        ),
        ("SendMessageBatch", json!({ "Entries": [] }), "AWS.SimpleQueueService.EmptyBatchRequest"),
    ] {
        let answer = rig.sqs(operation, with(json!({ "QueueUrl": url }), more)).await;
        assert_eq!(answer.query_error, Some(format!("{code};Sender")), "{operation}: {}", answer.body);
    }
}

#[tokio::test]
async fn queue_of_another_account_is_found_by_owner() {
    let rig = Rig::new().await;
    let theirs = crate::help::SIGNED.replace("AKIDEXAMPLE", "000000000001");
    let create = json!({ "QueueName": "shared" });
    let created = rig.call(Service::Sqs, "CreateQueue", &create, &theirs).await.unwrap().good();
    let named = json!({ "QueueName": "shared", "QueueOwnerAWSAccountId": "000000000001" });
    let found = rig.sqs("GetQueueUrl", named).await.good();
    assert_eq!(found["QueueUrl"], created["QueueUrl"]);
    assert_eq!(rig.sqs("GetQueueUrl", create).await.status, 400);
    assert_eq!(counts(&rig, found["QueueUrl"].as_str().unwrap()).await, [0, 0, 0]);
}

#[tokio::test]
async fn attributes_are_set_and_returned() {
    let rig = Rig::new().await;
    let create = json!({ "QueueName": "orders", "Attributes": { "VisibilityTimeout": "5" } });
    let url = rig.sqs("CreateQueue", create.clone()).await.good()["QueueUrl"].clone();
    assert_eq!(rig.sqs("CreateQueue", create).await.good()["QueueUrl"], url);
    let other = json!({ "QueueName": "orders", "Attributes": { "VisibilityTimeout": "6" } });
    rig.sqs("CreateQueue", other).await.is("com.amazonaws.sqs#QueueNameExists", "");
    let set = json!({ "QueueUrl": url, "Attributes": { "DelaySeconds": "7" } });
    rig.sqs("SetQueueAttributes", set).await.good();
    let answer =
        rig.sqs("GetQueueAttributes", json!({ "QueueUrl": url, "AttributeNames": ["All"] })).await.good();
    let told = &answer["Attributes"];
    assert_eq!((&told["VisibilityTimeout"], &told["DelaySeconds"]), (&json!("5"), &json!("7")));
    assert_eq!(told["QueueArn"], "arn:aws:sqs:eu-central-1:123456789012:orders");
    assert_eq!(rig.sqs("GetQueueAttributes", json!({ "QueueUrl": url })).await.good(), json!({}));
}

#[tokio::test]
async fn batches_report_each_entry() {
    let rig = Rig::new().await;
    let url = rig.fake.sqs().create_queue("orders");
    let entries = json!([
        { "Id": "a", "MessageBody": "1" },
        { "Id": "b", "MessageBody": "2", "DelaySeconds": 901 },
        { "Id": "c", "MessageBody": "3" },
    ]);
    let answer = rig.sqs("SendMessageBatch", json!({ "QueueUrl": url, "Entries": entries })).await.good();
    assert_eq!(answer["Successful"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&answer["Failed"][0]["Id"], &answer["Failed"][0]["SenderFault"]),
        (&json!("b"), &json!(true))
    );
    let received = receive(&rig, &url, json!({ "MaxNumberOfMessages": 10 })).await;
    let entries: Vec<Value> = received
        .iter()
        .enumerate()
        .map(|(index, message)| json!({ "Id": index.to_string(), "ReceiptHandle": message["ReceiptHandle"] }))
        .collect();
    rig.sqs("DeleteMessageBatch", json!({ "QueueUrl": url, "Entries": entries })).await.good();
    assert_eq!(counts(&rig, &url).await, [0, 0, 0]);
}

#[tokio::test]
async fn queue_is_purged_once_a_minute() {
    let rig = Rig::new().await;
    let url = rig.fake.sqs().create_queue("orders");
    rig.fake.sqs().fill(&url, 3);
    rig.sqs("PurgeQueue", json!({ "QueueUrl": url })).await.good();
    assert_eq!(counts(&rig, &url).await, [0, 0, 0]);
    rig.pass(59);
    let again = rig.sqs("PurgeQueue", json!({ "QueueUrl": url })).await;
    again.is("com.amazonaws.sqs#PurgeQueueInProgress", "60 seconds");
    rig.pass(1);
    rig.sqs("PurgeQueue", json!({ "QueueUrl": url })).await.good();
}

#[tokio::test]
async fn messages_expire_after_the_retention_period() {
    let rig = Rig::new().await;
    let url = rig.fake.sqs().create_queue("orders");
    rig.fake.sqs().send(&url, "old");
    rig.pass(345_599);
    assert_eq!(counts(&rig, &url).await, [1, 0, 0]);
    rig.pass(1);
    assert_eq!(counts(&rig, &url).await, [0, 0, 0]);
}

#[tokio::test]
async fn long_poll_ends_with_its_message() {
    let rig = Rig::new().await;
    let url = rig.fake.sqs().create_queue("orders");
    let waiting = receive(&rig, &url, json!({ "WaitTimeSeconds": 20 }));
    let sending = async {
        while rig.fake.calls(Service::Sqs, "ReceiveMessage").calls == 0 {
            tokio::task::yield_now().await;
        }
        rig.fake.sqs().send(&url, "hello");
    };
    let (received, ()) =
        tokio::time::timeout(Duration::from_secs(15), async { tokio::join!(waiting, sending) })
            .await
            .unwrap();
    assert_eq!(received[0]["Body"], "hello");
}

#[tokio::test]
async fn long_poll_sees_reappearing_message_after_clock_move() {
    let rig = Rig::new().await;
    let url = rig.fake.sqs().create_queue("orders");
    rig.fake.sqs().send(&url, "hello");
    assert_eq!(receive(&rig, &url, json!({})).await.len(), 1);
    let waiting = receive(&rig, &url, json!({ "WaitTimeSeconds": 20 }));
    let moving = async {
        while rig.fake.calls(Service::Sqs, "ReceiveMessage").calls < 2 {
            tokio::task::yield_now().await;
        }
        rig.pass(30);
    };
    let (received, ()) =
        tokio::time::timeout(Duration::from_secs(15), async { tokio::join!(waiting, moving) }).await.unwrap();
    assert_eq!(received.len(), 1);
}

#[tokio::test]
async fn empty_long_poll_ends_after_its_wait() {
    let rig = Rig::new().await;
    let url = rig.fake.sqs().create_queue("orders");
    let began = tokio::time::Instant::now();
    assert_eq!(receive(&rig, &url, json!({ "WaitTimeSeconds": 1 })).await.len(), 0);
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn sqs_outage_has_the_error_of_sqs() {
    let rig = Rig::new().await;
    rig.fake.faults().add(FaultRule::every(Service::Sqs, InjectedFault::ServerError { status: 503 }));
    let answer = rig.sqs("GetQueueUrl", json!({ "QueueName": "x" })).await;
    assert_eq!((answer.status, answer.error()), (503, "com.amazonaws.sqs#InternalFailure"));
}
