use std::collections::HashSet;
use std::time::Duration;

use ecs_scheduler_core::TaskId;
use tokio::time::Instant;

use super::{ClusterCopy, Found, LAG};

const EVERY: Duration = Duration::from_mins(5);

fn ids(names: &[&str]) -> HashSet<TaskId> {
    names.iter().map(|name| TaskId::new(*name)).collect()
}

fn found(names: &[&str]) -> Found {
    let own = names.iter().map(|name| (TaskId::new(*name), "test/job".into())).collect();
    Found { own, foreign: Vec::new() }
}

fn live(copy: &ClusterCopy) -> HashSet<TaskId> {
    copy.tasks_of("test/job").into_iter().collect()
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_not_listed_any_more_leaves_and_a_new_one_stays_while_listings_lag() {
    let copy = ClusterCopy::default();
    copy.replace(Instant::now(), EVERY, ids(&["a", "b"]), found(&["a", "b"]));
    tokio::time::advance(LAG * 3).await;
    copy.started("test/job", [TaskId::new("new")].into_iter());
    copy.replace(Instant::now(), EVERY, ids(&["b"]), Found::default());
    assert_eq!(live(&copy), ids(&["b", "new"]));
    tokio::time::advance(LAG * 2).await;
    copy.replace(Instant::now(), EVERY, ids(&["b"]), Found::default());
    assert_eq!(live(&copy), ids(&["b"]));
}

#[tokio::test(start_paused = true)]
async fn an_ended_task_leaves_at_once_and_a_late_listing_does_not_revive_it() {
    let copy = ClusterCopy::default();
    copy.replace(Instant::now(), EVERY, ids(&["a"]), found(&["a"]));
    copy.ended(&TaskId::new("a"));
    assert_eq!(live(&copy), ids(&[]));
    copy.replace(Instant::now(), EVERY, ids(&["a"]), found(&["a"]));
    assert_eq!(live(&copy), ids(&[]));
}

#[tokio::test(start_paused = true)]
async fn the_tasks_of_a_job_are_its_own() {
    let copy = ClusterCopy::default();
    copy.started("test/job", [TaskId::new("a")].into_iter());
    copy.started("test/job-2", [TaskId::new("b")].into_iter());
    assert_eq!(live(&copy), ids(&["a"]));
}
