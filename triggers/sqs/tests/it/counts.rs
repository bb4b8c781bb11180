use ecs_scheduler_core::Demand;
use serde_json::json;

use crate::help::{Rig, moment};

#[tokio::test]
async fn messages_are_counted_in_all_states() {
    let rig = Rig::new().await;
    let url = rig.queue("orders", 7);
    rig.call("SetQueueAttributes", &json!({"QueueUrl": url, "Attributes": {"VisibilityTimeout": "45"}}));
    rig.call("ReceiveMessage", &json!({"QueueUrl": url, "MaxNumberOfMessages": 2}));
    for _ in 0..3 {
        rig.call("SendMessage", &json!({"QueueUrl": url, "MessageBody": "later", "DelaySeconds": 300}));
    }
    let evaluation = rig.evaluate(json!({"queueName": "orders", "messagesPerTask": 2})).await.unwrap();
    assert_eq!(evaluation.demand.tasks(std::num::NonZeroU32::MIN), 3);
    assert_eq!(evaluation.reason, "5 messages ÷ 2 per task, rounded up");
    let counts: Vec<f64> = evaluation.observations.iter().map(|observation| observation.value).collect();
    assert_eq!(counts, [5.0, 2.0, 3.0]);
    assert_eq!(moment(&evaluation), "2026-11-22T12:00:00Z".parse().unwrap());
    let queue = evaluation.queue.unwrap();
    assert_eq!((queue.visible, queue.in_flight, queue.visibility_timeout.as_secs()), (5, 2, 45));

    let all = json!({"queueUrl": url, "messagesPerTask": 2, "countInFlight": true, "countDelayed": true});
    let evaluation = rig.evaluate(all).await.unwrap();
    assert_eq!(evaluation.reason, "10 messages (5 visible, 2 in flight, 3 delayed) ÷ 2 per task");
}

#[tokio::test]
async fn empty_queue_is_idle_and_reports_counts() {
    let rig = Rig::new().await;
    rig.queue("orders", 0);
    let trigger = rig.trigger(json!({"queueName": "orders"}));
    assert!(trigger.reports_queue_depth() && !trigger.is_time_based());
    let evaluation = rig.evaluate(json!({"queueName": "orders"})).await.unwrap();
    assert_eq!((evaluation.demand, evaluation.reason.as_str()), (Demand::Idle, "no messages"));
    assert_eq!(evaluation.queue.unwrap().per_task.get(), 1);
}
