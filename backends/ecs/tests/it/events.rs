//! A scheduler with an event queue, and one whose events do not arrive.

use std::time::Duration;

use ecs_scheduler_backend_ecs::{EcsLauncher, EcsOptions};
use ecs_scheduler_core::{LaunchDiagnosis as _, Launcher as _, TaskId, TaskPhase};
use ecs_scheduler_fake_aws::{EventFeed, EventForm, Service};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::help::{Rig, aws, ids, work};

/// Makes an event queue, a feed that fills it if `form` is given, and a launcher that listens to it.
fn listening(rig: &Rig, form: Option<EventForm>) -> EcsLauncher {
    rig.fake.call(Service::Sqs, "CreateQueue", &json!({"QueueName": "events"})).expect("it is made");
    rig.fake.configure(|settings| {
        let feed = form.map(|form| EventFeed { queue: "events".to_owned(), form, ..EventFeed::default() });
        settings.ecs.events.extend(feed.map(|feed| ("batch".to_owned(), feed)));
    });
    let mut options = EcsOptions::new("batch", "test", rig.clock.clone());
    options.events_queue = Some("events".to_owned());
    EcsLauncher::new(aws(&rig.fake.url(), rig.clock.clone()), options)
}

/// Runs the fake and the listener until this many batches of messages are deleted.
async fn deleted(rig: &Rig, batches: u64) {
    while rig.fake.calls(Service::Sqs, "DeleteMessageBatch").calls < batches {
        tokio::task::yield_now().await;
    }
}

/// Lets time pass for the launcher.
async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

async fn phase(launcher: &EcsLauncher, task: &TaskId) -> TaskPhase {
    launcher.observe(std::slice::from_ref(task)).await.expect("it answers").states[0].phase
}

#[tokio::test]
async fn sns_events_report_task_end_without_a_call() {
    let rig = Rig::new().await;
    let launcher = listening(&rig, Some(EventForm::Notification));
    let task = ids(&launcher.launch(&work("a", 1)).await.unwrap()).remove(0);
    assert_eq!(phase(&launcher, &task).await, TaskPhase::Pending);
    deleted(&rig, 1).await;
    let asked = rig.calls("DescribeTasks");
    rig.pass(SignedDuration::from_secs(10));
    assert!(rig.fake.ecs().finish(task.as_str(), 0));
    while phase(&launcher, &task).await != TaskPhase::Stopped {
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.calls("DescribeTasks"), asked);
}

#[tokio::test]
async fn task_end_is_polled_while_no_events_arrive() {
    for form in [None, Some(EventForm::Transformed)] {
        let rig = Rig::new().await;
        let launcher = listening(&rig, form);
        let task = ids(&launcher.launch(&work("a", 1)).await.unwrap()).remove(0);
        assert_eq!(phase(&launcher, &task).await, TaskPhase::Pending);
        if form.is_some() {
            deleted(&rig, 1).await;
        }
        rig.pass(SignedDuration::from_secs(10));
        assert!(rig.fake.ecs().finish(task.as_str(), 0));
        pass(10).await;
        assert_eq!(phase(&launcher, &task).await, TaskPhase::Stopped, "{form:?}");
    }
}

#[tokio::test]
async fn pending_task_that_was_not_read_now_is_marked_as_cached() {
    let rig = Rig::new().await;
    let launcher = listening(&rig, Some(EventForm::Whole));
    let tasks = ids(&launcher.launch(&work("a", 1)).await.unwrap());
    phase(&launcher, &tasks[0]).await;
    deleted(&rig, 1).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let observed = launcher.observe(&tasks).await.unwrap();
        seen.push((rig.calls("DescribeTasks"), observed.states[0].phase, observed.cached == tasks));
        pass(9).await;
    }
    let pending = |calls, cached| (calls, TaskPhase::Pending, cached);
    let first = seen[0].0;
    assert_eq!(seen, [pending(first, true), pending(first, true), pending(first + 1, false)]);
}

#[tokio::test]
async fn missing_events_are_noticed_within_20_s_of_a_launch() {
    let rig = Rig::new().await;
    let launcher = listening(&rig, Some(EventForm::Whole));
    let first = ids(&launcher.launch(&work("a", 1)).await.unwrap()).remove(0);
    phase(&launcher, &first).await;
    deleted(&rig, 1).await;
    rig.fake.configure(|settings| settings.ecs.events.clear());
    pass(1).await;
    let second = ids(&launcher.launch(&work("b", 1)).await.unwrap()).remove(0);
    phase(&launcher, &second).await;
    rig.pass(SignedDuration::from_secs(10));
    assert!(rig.fake.ecs().finish(second.as_str(), 0));
    pass(20).await;
    assert_eq!(phase(&launcher, &second).await, TaskPhase::Stopped);
}

#[tokio::test]
async fn doctor_reports_queue_without_events_or_with_others() {
    let rig = Rig::new().await;
    let launcher = listening(&rig, Some(EventForm::Transformed));
    let look = async || {
        let seen = launcher.diagnose(&[]).await;
        seen.into_iter().find(|look| look.what.contains("task events")).expect("it was checked")
    };
    let none = look().await.problem.expect("nothing may send");
    assert!(none.contains("policy"), "{none}");
    let url = rig.fake.call(Service::Sqs, "GetQueueUrl", &json!({"QueueName": "events"})).unwrap();
    let set = |attributes: Value| {
        let call = json!({"QueueUrl": url["QueueUrl"], "Attributes": attributes});
        rig.fake.call(Service::Sqs, "SetQueueAttributes", &call).unwrap();
    };
    let policy = |action: &str, rule: &str| {
        let statement = json!({
            "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": action, "Resource": "*",
            "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
        });
        json!({"Policy": json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()})
    };
    let rule = "arn:aws:events:eu-central-1:123456789012:rule/tasks";
    for (action, source) in [("sqs:GetQueueUrl", rule), ("sqs:SendMessage", "arn:aws:s3:::bucket")] {
        set(policy(action, source));
        let problem = look().await.problem.expect("no rule may send");
        assert!(problem.contains("allow sqs:SendMessage to events.amazonaws.com"), "{problem}");
    }
    set(policy("sqs:SendMessage", rule));
    let allowed = look().await;
    assert_eq!(allowed.problem, None);
    let command =
        "`aws events list-rule-names-by-target --target-arn arn:aws:sqs:eu-central-1:123456789012:events`";
    let state = "`aws events describe-rule --name RULE`";
    for told in [rule, "cannot tell whether a rule sends them", command, state, "within 20 s"] {
        assert!(allowed.what.contains(told), "{}", allowed.what);
    }
    let topic = "arn:aws:sns:eu-central-1:123456789012:tasks";
    let mut by_topic = policy("sqs:SendMessage", topic)["Policy"].as_str().unwrap().to_owned();
    by_topic = by_topic.replace("events.amazonaws.com", "sns.amazonaws.com");
    set(json!({"Policy": by_topic}));
    let target = format!("list-rule-names-by-target --target-arn {topic}`");
    assert!(look().await.what.contains(&target), "the rule sends to the topic, not to the queue");
    set(policy("sqs:SendMessage", rule));
    rig.fake.configure(|settings| {
        settings.permissions.denied.insert("sqs:GetQueueAttributes".to_owned());
    });
    let unread = look().await;
    assert_eq!(unread.problem, None);
    let command = "`aws events list-rule-names-by-target --target-arn ARN`";
    for told in ["cannot tell whether events can reach it", "allow sqs:GetQueueAttributes", command, state] {
        assert!(unread.what.contains(told), "{}", unread.what);
    }
    rig.fake.configure(|settings| settings.permissions.denied.clear());
    set(json!({"KmsMasterKeyId": "alias/aws/sqs"}));
    let encrypted = look().await.problem.expect("EventBridge has no access to this key");
    assert!(encrypted.contains("alias/aws/sqs"), "{encrypted}");
    launcher.launch(&work("a", 1)).await.unwrap();
    let others = look().await.problem.expect("the message is not understood");
    assert!(others.contains("input transformer"), "{others}");
}

#[tokio::test]
async fn doctor_receives_no_message_that_this_could_move_to_a_dead_letter_queue() {
    let rig = Rig::new().await;
    let launcher = listening(&rig, None);
    let url = rig.fake.call(Service::Sqs, "GetQueueUrl", &json!({"QueueName": "events"})).unwrap();
    for (receives, expected) in [(json!(1), 0), (json!("4"), 0), (json!(5), 1)] {
        let dead = "arn:aws:sqs:eu-central-1:123456789012:dead";
        let redrive = json!({"deadLetterTargetArn": dead, "maxReceiveCount": receives}).to_string();
        let call = json!({"QueueUrl": url["QueueUrl"], "Attributes": {"RedrivePolicy": redrive}});
        rig.fake.call(Service::Sqs, "SetQueueAttributes", &call).unwrap();
        let before = rig.fake.calls(Service::Sqs, "ReceiveMessage").calls;
        launcher.diagnose(&[]).await;
        assert_eq!(rig.fake.calls(Service::Sqs, "ReceiveMessage").calls - before, expected, "{receives}");
    }
}
