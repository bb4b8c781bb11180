use std::collections::BTreeMap;

use ecs_scheduler_fake_aws::EventFeed;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::help::{Rig, arns};

/// Takes all events out of the queue.
async fn events(rig: &Rig, url: &str) -> Vec<Value> {
    let mut all = Vec::new();
    loop {
        let call = json!({ "QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 43_200 });
        let answer = rig.sqs("ReceiveMessage", call).await.good();
        let Some(messages) = answer["Messages"].as_array() else { return all };
        all.extend(messages.iter().map(|one| serde_json::from_str(one["Body"].as_str().unwrap()).unwrap()));
    }
}

fn feed(rig: &Rig, feed: EventFeed) -> String {
    let url = rig.fake.sqs().create_queue("events");
    rig.fake.configure(|settings| {
        settings.ecs.events =
            BTreeMap::from([("batch".to_owned(), EventFeed { queue: url.clone(), ..feed })]);
    });
    url
}

fn versions(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["detail"]["version"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn each_task_change_sends_one_event_in_order() {
    let rig = Rig::new().await;
    let url = feed(&rig, EventFeed::default());
    let arn = arns(&rig.run(json!({ "startedBy": "me" })).await.good())[0].clone();
    rig.pass(12);
    let told = events(&rig, &url).await;
    let states: Vec<&str> =
        told.iter().map(|event| event["detail"]["lastStatus"].as_str().unwrap()).collect();
    assert_eq!(states, ["PROVISIONING", "PENDING", "RUNNING", "STOPPED"]);
    assert!(versions(&told).is_sorted_by(|a, b| a < b));
    let last = &told[3];
    assert_eq!((&last["detail-type"], &last["source"]), (&json!("ECS Task State Change"), &json!("aws.ecs")));
    assert_eq!(last["resources"], json!([arn]));
    assert_eq!(last["time"], "2026-01-01T00:00:12Z");
    assert_eq!(last["detail"]["stoppedAt"], "2026-01-01T00:00:12Z");
    assert_eq!(last["detail"]["startedBy"], "me");
    assert_eq!(last["detail"]["containers"][0]["exitCode"], 0);
}

#[tokio::test]
async fn events_arrive_late() {
    let rig = Rig::new().await;
    let url = feed(&rig, EventFeed { delay: SignedDuration::from_secs(5), ..EventFeed::default() });
    rig.run(json!({})).await.good();
    rig.pass(4);
    assert_eq!(events(&rig, &url).await.len(), 0);
    rig.pass(1);
    assert_eq!(events(&rig, &url).await.len(), 1);
}

#[tokio::test]
async fn events_arrive_twice_or_never() {
    let rig = Rig::new().await;
    let url = feed(&rig, EventFeed { duplicates: 1.0, ..EventFeed::default() });
    rig.run(json!({})).await.good();
    rig.pass(12);
    let told = events(&rig, &url).await;
    assert_eq!(told.len(), 8);
    assert_eq!(told[0]["id"], told[1]["id"]);
    feed(&rig, EventFeed { losses: 1.0, ..EventFeed::default() });
    rig.run(json!({})).await.good();
    rig.pass(12);
    assert_eq!(events(&rig, &url).await.len(), 0);
}

#[tokio::test]
async fn events_arrive_out_of_order() {
    let rig = Rig::new().await;
    let url =
        feed(&rig, EventFeed { jitter: SignedDuration::from_secs(60), seed: 3, ..EventFeed::default() });
    rig.run(json!({ "count": 10 })).await.good();
    rig.pass(100);
    let told = events(&rig, &url).await;
    assert_eq!(told.len(), 40);
    assert!(!versions(&told).is_sorted());
    let times: Vec<&str> = told.iter().map(|event| event["time"].as_str().unwrap()).collect();
    assert!(!times.is_sorted());
}
