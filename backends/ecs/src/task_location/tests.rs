use ecs_scheduler_core::TaskId;

use super::{Somewhere, cluster_name};

fn somewhere(task: &str) -> (Option<String>, String) {
    let place = Somewhere::of(&TaskId::new(task), "default");
    (place.region, place.cluster)
}

#[test]
fn an_arn_says_where_its_task_is() {
    let region = Some("eu-central-1".to_owned());
    let of = |arn| somewhere(arn);
    assert_eq!(
        of("arn:aws:ecs:eu-central-1:123456789012:task/batch/0123"),
        (region.clone(), "batch".to_owned())
    );
    assert_eq!(of("arn:aws:ecs:eu-central-1:123456789012:task/0123"), (region, "default".to_owned()));
    assert_eq!(of("0123"), (None, "default".to_owned()));
}

#[test]
fn a_cluster_has_the_same_name_however_it_is_given() {
    assert_eq!(cluster_name("batch"), "batch");
    assert_eq!(cluster_name("arn:aws:ecs:eu-central-1:123456789012:cluster/batch"), "batch");
}
