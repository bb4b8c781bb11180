use serde_json::{Value, json};

use super::{lets_events_in, read};

fn state_change() -> Value {
    json!({
        "version": "0", "source": "aws.ecs", "detail-type": "ECS Task State Change",
        "detail": {
            "taskArn": "arn:aws:ecs:eu-central-1:123456789012:task/batch/1",
            "clusterArn": "arn:aws:ecs:eu-central-1:123456789012:cluster/batch",
            "startedBy": "ecs-scheduler/job", "version": 4, "lastStatus": "STOPPED", "desiredStatus": "STOPPED",
            "stopCode": "EssentialContainerExited", "stoppedReason": "Essential container in task exited",
            "createdAt": "2026-01-01T10:00:00.123Z", "stoppedAt": "2026-01-01T10:00:05Z",
            "containers": [{"name": "main", "exitCode": 3, "lastStatus": "STOPPED"}],
        }
    })
}

#[test]
fn a_state_change_is_read() {
    let view = read(&state_change().to_string()).unwrap();
    assert_eq!((view.version, view.last_status.as_str()), (4, "STOPPED"));
    assert_eq!(view.started_by.as_deref(), Some("ecs-scheduler/job"));
    assert_eq!(view.containers[0].exit_code, Some(3));
    assert_eq!(view.stopped_at, Some("2026-01-01T10:00:05Z".parse().unwrap()));
}

#[test]
fn the_envelope_of_sns_is_taken_off() {
    let envelope = json!({
        "Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:eu-central-1:123456789012:events",
        "Message": state_change().to_string(), "Timestamp": "2026-01-01T10:00:06Z",
    });
    assert_eq!(read(&envelope.to_string()), read(&state_change().to_string()));
    let other = json!({"Type": "Notification", "Message": "hello"});
    assert!(read(&other.to_string()).unwrap_err().contains("SNS"));
}

#[test]
fn what_is_no_state_change_is_described_by_its_shape() {
    let mut bare = state_change()["detail"].clone();
    assert!(
        read(&bare.to_string()).unwrap_err().contains("taskArn"),
        "the input path of a rule left the detail only"
    );
    bare.as_object_mut().unwrap().remove("containers");
    let transformed = json!({"detail-type": "ECS Task State Change", "detail": bare});
    assert!(read(&transformed.to_string()).unwrap_err().contains("parts are missing"));
    let other = json!({"detail-type": "ECS Container Instance State Change", "detail": {"taskArn": "a"}});
    assert!(read(&other.to_string()).unwrap_err().contains("ECS Container Instance State Change"));
    assert_eq!(read("rubbish").unwrap_err(), "text that is not JSON");
    assert_eq!(read("[1]").unwrap_err(), "JSON that is not an object");
    let shape = read("{\"\\u001b[2J\": 1}").unwrap_err();
    assert!(!shape.contains('\u{1b}'), "{shape}");
}

#[test]
fn a_policy_lets_events_in_by_eventbridge_or_sns_or_for_everybody() {
    let policy = |effect: &str, principal: Value| {
        let statement = json!({"Effect": effect, "Principal": principal, "Action": "sqs:SendMessage"});
        lets_events_in(&json!({"Statement": [statement]}).to_string())
    };
    assert!(policy("Allow", json!({"Service": "events.amazonaws.com"})));
    assert!(policy("Allow", json!({"Service": ["sns.amazonaws.com"]})));
    assert!(policy("Allow", json!("*")) && policy("Allow", json!({"AWS": "*"})));
    assert!(!policy("Deny", json!("*")));
    assert!(!policy("Allow", json!({"AWS": "arn:aws:iam::123456789012:root"})));
    assert!(!lets_events_in("") && !lets_events_in("{}"));
}
