use std::collections::HashSet;
use std::time::Duration;

use ecs_scheduler_core::TaskId;
use tokio::time::Instant;

use super::{LIST_LAG, NewTasks, TaskListCache};

const EVERY: Duration = Duration::from_mins(5);

fn ids(names: &[&str]) -> HashSet<TaskId> {
    names.iter().map(|name| TaskId::new(*name)).collect()
}

fn found(names: &[&str]) -> NewTasks {
    let own = names.iter().map(|name| (TaskId::new(*name), "test/job".into())).collect();
    NewTasks { own, ..NewTasks::default() }
}

fn live(list: &TaskListCache) -> HashSet<TaskId> {
    list.tasks_of("test/job").into_iter().collect()
}

#[tokio::test(start_paused = true)]
async fn unlisted_task_leaves_and_new_task_stays_while_listings_lag() {
    let list = TaskListCache::default();
    list.replace(Instant::now(), EVERY, ids(&["a", "b"]), found(&["a", "b"]));
    tokio::time::advance(LIST_LAG * 3).await;
    list.record_started("test/job", [TaskId::new("new")].into_iter());
    list.replace(Instant::now(), EVERY, ids(&["b"]), NewTasks::default());
    assert_eq!(live(&list), ids(&["b", "new"]));
    tokio::time::advance(LIST_LAG * 2).await;
    list.replace(Instant::now(), EVERY, ids(&["b"]), NewTasks::default());
    assert_eq!(live(&list), ids(&["b"]));
}

#[tokio::test(start_paused = true)]
async fn ended_task_leaves_at_once_and_late_listing_does_not_restore_it() {
    let list = TaskListCache::default();
    list.replace(Instant::now(), EVERY, ids(&["a"]), found(&["a"]));
    list.record_stopped(&TaskId::new("a"));
    assert_eq!(live(&list), ids(&[]));
    list.replace(Instant::now(), EVERY, ids(&["a"]), found(&["a"]));
    assert_eq!(live(&list), ids(&[]));
}

#[tokio::test(start_paused = true)]
async fn tasks_are_listed_for_their_own_job_only() {
    let list = TaskListCache::default();
    list.record_started("test/job", [TaskId::new("a")].into_iter());
    list.record_started("test/job-2", [TaskId::new("b")].into_iter());
    assert_eq!(live(&list), ids(&["a"]));
}
