use serde_json::json;

use super::parse;

#[test]
fn a_state_change_is_read() {
    let event = json!({
        "version": "0", "source": "aws.ecs", "detail-type": "ECS Task State Change",
        "detail": {
            "taskArn": "arn:aws:ecs:eu-central-1:123456789012:task/batch/1",
            "clusterArn": "arn:aws:ecs:eu-central-1:123456789012:cluster/batch",
            "startedBy": "ecs-scheduler/job", "version": 4, "lastStatus": "STOPPED", "desiredStatus": "STOPPED",
            "stopCode": "EssentialContainerExited", "stoppedReason": "Essential container in task exited",
            "createdAt": "2026-01-01T10:00:00.123Z", "stoppedAt": "2026-01-01T10:00:05Z",
            "containers": [{"name": "main", "exitCode": 3, "lastStatus": "STOPPED"}],
        }
    });
    let view = parse(&event.to_string()).unwrap();
    assert_eq!((view.version, view.last_status.as_str()), (4, "STOPPED"));
    assert_eq!(view.started_by.as_deref(), Some("ecs-scheduler/job"));
    assert_eq!(view.containers[0].exit_code, Some(3));
    assert_eq!(view.stopped_at, Some("2026-01-01T10:00:05Z".parse().unwrap()));
}

#[test]
fn other_events_and_rubbish_are_passed_over() {
    let other = json!({"detail-type": "ECS Container Instance State Change", "detail": {"taskArn": "a"}});
    assert_eq!(parse(&other.to_string()), None);
    assert_eq!(parse(&json!({"detail-type": "ECS Task State Change", "detail": {}}).to_string()), None);
    assert_eq!(parse("rubbish"), None);
}
