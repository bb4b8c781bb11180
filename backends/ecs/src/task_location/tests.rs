use ecs_scheduler_core::TaskId;

use super::{TaskLocation, cluster_name};

fn location(task: &str) -> (Option<String>, String) {
    let location = TaskLocation::from_task_id(&TaskId::new(task), "default");
    (location.region, location.cluster)
}

#[test]
fn arn_gives_the_task_location() {
    let region = Some("eu-central-1".to_owned());
    let of = |arn| location(arn);
    assert_eq!(
        of("arn:aws:ecs:eu-central-1:123456789012:task/batch/0123"),
        (region.clone(), "batch".to_owned())
    );
    assert_eq!(of("arn:aws:ecs:eu-central-1:123456789012:task/0123"), (region, "default".to_owned()));
    assert_eq!(of("0123"), (None, "default".to_owned()));
}

#[test]
fn cluster_arn_and_name_give_the_same_name() {
    assert_eq!(cluster_name("batch"), "batch");
    assert_eq!(cluster_name("arn:aws:ecs:eu-central-1:123456789012:cluster/batch"), "batch");
}
