use serde_json::{Value, json};

use super::parse_event;

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
fn state_change_is_parsed() {
    let snapshot = parse_event(&state_change().to_string()).unwrap();
    assert_eq!((snapshot.version, snapshot.last_status.as_str()), (4, "STOPPED"));
    assert_eq!(snapshot.started_by.as_deref(), Some("ecs-scheduler/job"));
    assert_eq!(snapshot.containers[0].exit_code, Some(3));
    assert_eq!(snapshot.stopped_at, Some("2026-01-01T10:00:05Z".parse().unwrap()));
}

#[test]
fn sns_envelope_is_removed() {
    let envelope = json!({
        "Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:eu-central-1:123456789012:events",
        "Message": state_change().to_string(), "Timestamp": "2026-01-01T10:00:06Z",
    });
    assert_eq!(parse_event(&envelope.to_string()), parse_event(&state_change().to_string()));
    let other = json!({"Type": "Notification", "Message": "hello"});
    assert!(parse_event(&other.to_string()).unwrap_err().contains("SNS"));
}

#[test]
fn other_messages_are_described_by_their_shape() {
    let mut bare = state_change()["detail"].clone();
    assert!(
        parse_event(&bare.to_string()).unwrap_err().contains("taskArn"),
        "the input path of a rule left the detail only"
    );
    bare.as_object_mut().unwrap().remove("containers");
    let transformed = json!({"detail-type": "ECS Task State Change", "detail": bare});
    assert!(parse_event(&transformed.to_string()).unwrap_err().contains("missing fields"));
    let other = json!({"detail-type": "ECS Container Instance State Change", "detail": {"taskArn": "a"}});
    assert!(parse_event(&other.to_string()).unwrap_err().contains("ECS Container Instance State Change"));
    assert_eq!(parse_event("rubbish").unwrap_err(), "text that is not JSON");
    assert_eq!(parse_event("[1]").unwrap_err(), "JSON that is not an object");
    let shape = parse_event("{\"\\u001b[2J\": 1}").unwrap_err();
    assert!(!shape.contains('\u{1b}'), "{shape}");
}
