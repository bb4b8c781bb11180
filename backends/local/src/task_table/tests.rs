use std::sync::LazyLock;

use super::*;

fn id(number: usize) -> TaskId {
    TaskId::new(format!("task-{number}"))
}

/// The start of the test.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn at(hours: u64) -> Instant {
    *START + Duration::from_hours(hours)
}

fn insert_and_end(table: &mut TaskTable, number: usize, when: Instant) {
    let job = JobId::new("job").unwrap();
    table.insert(&number.to_string(), &job, TaskState::pending(id(number), None), when);
    table.update(&id(number), when, |state| state.phase = TaskPhase::Stopped);
}

#[test]
fn capacity_is_reserved_before_tasks_are_inserted_and_released_after() {
    let mut table = TaskTable::default();
    assert_eq!(table.reserve_capacity(3, 5), 3);
    assert_eq!(table.reserve_capacity(3, 5), 2);
    assert_eq!(table.reserve_capacity(1, 5), 0);
    table.release_capacity(5);
    let job = JobId::new("job").unwrap();
    table.insert("1", &job, TaskState::pending(id(1), None), at(0));
    assert_eq!(table.reserve_capacity(9, 5), 4);
    table.release_capacity(4);
    table.update(&id(1), at(0), |state| state.phase = TaskPhase::Stopped);
    assert_eq!(table.reserve_capacity(9, 5), 5);
}

#[test]
fn excess_ended_tasks_are_pruned_once_their_end_is_observed() {
    let mut table = TaskTable::default();
    for number in 0..5 {
        insert_and_end(&mut table, number, at(0));
    }
    let day = Duration::from_hours(24);
    assert_eq!(table.prune_tasks(at(0), 2, day), Vec::<String>::new(), "no end is observed yet");
    assert_eq!(table.observe(&[id(0), id(1)]).len(), 2);
    assert_eq!(table.prune_tasks(at(0), 2, day), ["0", "1"]);
    assert_eq!(table.prune_tasks(at(1), 2, day), ["2"], "unobserved tasks are kept for an hour");
    assert_eq!(table.prune_tasks(at(23), 2, day), Vec::<String>::new());
    assert_eq!(table.prune_tasks(at(24), 2, day), ["3", "4"]);
    assert_eq!(table.observe(&[id(0), id(4)]), []);
}

#[test]
fn live_tasks_are_never_pruned() {
    let mut table = TaskTable::default();
    let job = JobId::new("job").unwrap();
    table.insert("1", &job, TaskState::pending(id(1), None), at(0));
    assert_eq!(table.prune_tasks(at(1_000), 0, Duration::ZERO), Vec::<String>::new());
    assert_eq!(table.population(&job), [id(1)]);
}

#[test]
fn token_is_kept_until_it_expires_and_as_long_as_its_tasks() {
    let mut table = TaskTable::default();
    insert_and_end(&mut table, 1, at(0));
    let report = table.report_cell("with task", at(0));
    table.bind_token("with task", &report, at(2), vec![id(1)]);
    drop(table.report_cell("without", at(0)));
    assert_eq!(table.prune_tokens(at(23)), Vec::<String>::new());
    assert_eq!(table.prune_tokens(at(24)), ["without"]);
    table.prune_tasks(at(24), 0, TOKEN_TTL);
    assert_eq!(table.prune_tokens(at(24)), Vec::<String>::new(), "a call holds the report");
    drop(report);
    assert_eq!(table.prune_tokens(at(24)), ["with task"]);
}

#[test]
fn token_is_kept_while_another_call_waits_for_it() {
    let mut table = TaskTable::default();
    let (first, second) = (table.report_cell("token", at(0)), table.report_cell("token", at(0)));
    table.remove_unused_token("token", &first);
    assert!(Arc::ptr_eq(&table.report_cell("token", at(0)), &second), "both calls share one report");
    drop(first);
    table.remove_unused_token("token", &second);
    assert!(!Arc::ptr_eq(&table.report_cell("token", at(0)), &second));
}

#[test]
fn first_stop_request_wins() {
    let mut table = TaskTable::default();
    let request = |reason: &str| StopMarker { code: "UserInitiated".to_owned(), reason: reason.to_owned() };
    let requests = table.insert("1", &JobId::new("job").unwrap(), TaskState::pending(id(1), None), at(0));
    assert!(table.can_stop(&id(1)));
    table.request_stop(&id(1), request("first"));
    table.request_stop(&id(1), request("second"));
    assert!(!table.can_stop(&id(1)));
    assert_eq!(requests.borrow().as_ref().unwrap().reason, "first");
}
