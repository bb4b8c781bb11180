use std::num::NonZeroU32;
use std::time::Duration;

use super::*;
use crate::decide::DecisionId;
use crate::diagnosis::Diagnosis;
use crate::firing::{FiringState, Origin};
use crate::job::JobId;
use crate::task::{TaskPhase, TaskSpec, TaskState};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn uid() -> JobUid {
    JobUid::derived("ledger", &JobId::new("job").unwrap())
}

fn firing(observed: i64, requested: u32, state: FiringState, tasks: Vec<TaskState>) -> Firing {
    let task = TaskSpec {
        definition: "worker".to_owned(),
        overrides: Vec::new(),
        options: serde_json::Map::new(),
        succeeds_by: None,
    };
    Firing {
        id: FiringId::for_tick(&uid(), at(observed)),
        job: JobId::new("job").unwrap(),
        uid: uid(),
        revision: Revision::FIRST,
        origin: Origin::Tick,
        nominal: at(observed),
        observed: at(observed),
        decision: DecisionId::default(),
        state,
        requested,
        task: Arc::new(task),
        definition: "worker:7".to_owned(),
        deadline: at(observed) + SignedDuration::from_mins(10),
        replace: false,
        replaces: Vec::new(),
        timeout_secs: None,
        start_timeout_secs: None,
        budgets: Vec::new(),
        size: crate::task::TaskSize::default(),
        retry: crate::firing::FiringRetry::default(),
        attempts: Vec::new(),
        tasks,
        explanation: String::new(),
        note: None,
    }
}

fn task(name: &str, started: Option<i64>, ended: Option<(i64, i32)>) -> TaskState {
    let mut task = TaskState::pending(TaskId::new(name), None);
    task.started_at = started.map(at);
    if started.is_some() {
        task.phase = TaskPhase::Running;
    }
    if let Some((second, code)) = ended {
        (task.phase, task.stopped_at, task.exit_code) = (TaskPhase::Stopped, Some(at(second)), Some(code));
    }
    task
}

/// Samples a queue of this many visible messages, one per task, whose counts lag by a minute at most.
fn sample(tracker: &TaskTracker, revision: Revision, now: i64, visible: u64) -> (QueueFacts, u32) {
    sample_with(tracker, revision, now, visible, SETTLE, true)
}

const SETTLE: SignedDuration = SignedDuration::from_secs(60);
const HIDDEN: SignedDuration = SignedDuration::from_secs(300);

/// Records a sample with this settle time, which a dry run does not remember.
fn sample_with(
    tracker: &TaskTracker,
    revision: Revision,
    now: i64,
    visible: u64,
    settle: SignedDuration,
    remember: bool,
) -> (QueueFacts, u32) {
    let reading = QueueReading::new(visible, 0, Duration::from_secs(300), NonZeroU32::MIN);
    tracker.record_sample(&QueueSample {
        uid: &uid(),
        revision,
        asked: at(now),
        now: at(now),
        settle,
        reading: &reading,
        reported: &Population::default(),
        remember,
    })
}

#[test]
fn reserved_starting_and_running_tasks_are_counted_separately() {
    let tracker = TaskTracker::default();
    tracker.start_launch_history(&uid(), &[], at(0));
    tracker.record_firing(&firing(0, 4, FiringState::Planned, Vec::new()), at(0));
    let (facts, busy) = sample(&tracker, Revision::FIRST, 0, 9);
    assert_eq!((facts.not_started, busy), (4, 4));
    let tasks = vec![task("a", Some(20), None), task("b", Some(29), None), task("c", None, None)];
    tracker.record_firing(&firing(0, 4, FiringState::Launching, tasks), at(30));
    let (facts, busy) = sample(&tracker, Revision::FIRST, 30, 9);
    assert_eq!(
        (facts.not_started, busy),
        (3, 4),
        "one is reserved, one starts, one has run for a second only"
    );
}

#[test]
fn messages_of_ended_tasks_are_no_longer_outstanding() {
    let tracker = TaskTracker::default();
    tracker.start_launch_history(&uid(), &[], at(0));
    sample(&tracker, Revision::FIRST, 0, 3);
    let live = |name| task(name, Some(10), None);
    tracker
        .record_firing(&firing(0, 3, FiringState::Launched, vec![live("a"), live("b"), live("c")]), at(10));
    let ended = vec![task("a", Some(10), Some((25, 0))), task("b", Some(10), Some((25, 1))), live("c")];
    tracker.record_firing(&firing(0, 3, FiringState::Launched, ended), at(30));
    let (facts, busy) = sample(&tracker, Revision::FIRST, 30, 3);
    assert_eq!((facts.outstanding, facts.still_invisible, busy), (2, 1, 1));
}

#[test]
fn exit_lies_between_launch_and_observation() {
    let tracker = TaskTracker::default();
    tracker.start_launch_history(&uid(), &[], at(0));
    tracker.record_firing(
        &firing(100, 2, FiringState::Launched, vec![task("a", None, None), task("b", None, None)]),
        at(100),
    );
    let fast = task("a", Some(110), Some((5_000, 0)));
    let slow = task("b", Some(110), Some((-5_000, 0)));
    tracker.record_firing(&firing(100, 2, FiringState::Finished, vec![fast, slow]), at(130));
    let (facts, _) = sample(&tracker, Revision::FIRST, 131, 2);
    assert_eq!(facts.outstanding, 0, "both ended within the last minute, as far as can be");
    let (facts, _) = sample(&tracker, Revision::FIRST, 165, 2);
    assert_eq!(facts.outstanding, 1, "one was seen to end 35 s ago, the other was launched 65 s ago");
}

#[test]
fn restart_reads_exits_from_the_journal_and_counts_each_once() {
    let tracker = TaskTracker::default();
    let journalled = [
        firing(0, 1, FiringState::Finished, vec![task("a", Some(10), Some((50, 0)))]),
        firing(
            30,
            2,
            FiringState::Launched,
            vec![task("b", Some(40), Some((55, 1))), task("c", Some(40), None)],
        ),
    ];
    tracker.record_firing(&journalled[1], at(60));
    let ended = vec![task("b", Some(40), Some((55, 1))), task("c", Some(40), Some((61, 0)))];
    tracker.record_firing(&firing(30, 2, FiringState::Finished, ended), at(62));
    tracker.start_launch_history(&uid(), &journalled, at(63));
    let (facts, busy) = sample(&tracker, Revision::FIRST, 63, 5);
    assert_eq!(
        (facts.outstanding, facts.still_invisible, busy),
        (3, 1, 0),
        "two of five are done, and one is hidden"
    );
    assert!(facts.since_empty.is_some());
}

#[test]
fn edit_of_the_job_resets_the_queue_memory() {
    let tracker = TaskTracker::default();
    tracker.start_launch_history(&uid(), &[], at(0));
    sample(&tracker, Revision::FIRST, 0, 500);
    assert_eq!(sample(&tracker, Revision::FIRST, 30, 2).0.outstanding, 500);
    assert_eq!(sample(&tracker, Revision::FIRST.next(), 60, 2).0.outstanding, 2);
}

#[test]
fn history_is_read_again_when_an_edit_lengthens_settle() {
    let tracker = TaskTracker::default();
    tracker.start_launch_history(&uid(), &[], at(0));
    sample(&tracker, Revision::FIRST, 0, 5);
    let second = SignedDuration::from_secs(1);
    tracker.require_launch_history(&uid(), SETTLE - second, HIDDEN);
    assert!(tracker.has_launch_history(&uid()), "shorter");
    tracker.require_launch_history(&uid(), SETTLE + second, HIDDEN);
    assert!(!tracker.has_launch_history(&uid()), "exits were summed that count as new again");
    tracker.start_launch_history(&uid(), &[], at(10));
    tracker.require_launch_history(&uid(), SETTLE + second, HIDDEN);
    assert!(tracker.has_launch_history(&uid()));
}

#[test]
fn dry_run_leaves_the_history_as_it_is() {
    let tracker = TaskTracker::default();
    tracker.start_launch_history(&uid(), &[], at(0));
    let launched = firing(100, 1, FiringState::Launched, vec![task("a", None, None)]);
    tracker.record_firing(&launched, at(100));
    let ended = task("a", Some(105), Some((110, 0)));
    tracker.record_firing(&firing(100, 1, FiringState::Finished, vec![ended]), at(110));
    sample_with(&tracker, Revision::FIRST, 131, 1, SignedDuration::from_secs(10), false);
    tracker.require_launch_history(&uid(), SETTLE, HIDDEN);
    assert!(tracker.has_launch_history(&uid()));
    assert_eq!(sample(&tracker, Revision::FIRST, 131, 1).0.outstanding, 0, "it ended within the last minute");
}

#[test]
fn description_of_tasks_is_bounded_in_number_and_length() {
    let tracker = TaskTracker::default();
    let (x, y) = ("x".repeat(40), "y".repeat(63));
    let long = format!("arn:aws:ecs:eu-west-1:123456789012:task/cluster/{x}ö{y}");
    let tasks = ["a", &long, "b", "c", "d"].map(|name| task(name, Some(10), None));
    tracker.record_firing(&firing(0, 5, FiringState::Launched, tasks.to_vec()), at(60));
    let since = format!("running since {:.0}", at(10));
    let expected = format!("task a {since}, task …ö{y} {since}, task b {since}, 2 more");
    assert_eq!(tracker.describe_tasks(&uid(), &Population::default()), expected);
}

#[test]
fn history_without_samples_is_dropped() {
    let tracker = TaskTracker::default();
    tracker.start_launch_history(&uid(), &[], at(0));
    let other = JobUid::derived("ledger", &JobId::new("other").unwrap());
    tracker.start_launch_history(&other, &[], at(3 * 86_400));
    assert!(tracker.has_launch_history(&other) && !tracker.has_launch_history(&uid()));
}

#[test]
fn tasks_that_ended_while_the_clock_was_ahead_are_forgotten_after_ten_minutes() {
    const DAY: i64 = 86_400;
    let tracker = TaskTracker::default();
    let end = |name: &str, at_second: i64| {
        let live = firing(at_second, 1, FiringState::Launched, vec![task(name, Some(at_second), None)]);
        tracker.record_firing(&live, at(at_second));
        let ended = task(name, Some(at_second), Some((at_second + 5, 0)));
        tracker.record_firing(&firing(at_second, 1, FiringState::Finished, vec![ended]), at(at_second + 5));
    };
    end("a", DAY);
    end("b", 0);
    let reported = Population::new(vec![TaskId::new("a"), TaskId::new("b")], None);
    assert_eq!(tracker.busy(&uid(), &reported, at(10)), 0, "a late listing revives none");
    assert_eq!(tracker.busy(&uid(), &reported, at(620)), 2, "the launcher has started them again");
}

#[test]
fn task_that_nobody_saw_end_is_busy_while_the_launcher_lists_it() {
    let tracker = TaskTracker::default();
    let live = firing(0, 1, FiringState::Launched, vec![task("a", Some(0), None)]);
    tracker.record_firing(&live, at(0));
    let mut lost = task("a", Some(0), None);
    (lost.phase, lost.stopped_at, lost.diagnosis) =
        (TaskPhase::Stopped, Some(at(300)), Some(Diagnosis::TASK_LOST));
    tracker.record_firing(&firing(0, 1, FiringState::Finished, vec![lost]), at(300));
    let reported = Population::new(vec![TaskId::new("a")], None);
    assert_eq!(tracker.busy(&uid(), &reported, at(310)), 1);
    assert_eq!(tracker.busy(&uid(), &Population::default(), at(310)), 0, "it is not listed any more");
}

#[test]
fn firing_that_is_about_to_launch_counts_for_an_older_one() {
    let tracker = TaskTracker::default();
    let decided = |observed: i64, decision| Firing {
        decision: DecisionId(decision),
        ..firing(observed, 3, FiringState::Planned, Vec::new())
    };
    let (older, newer) = (decided(0, 1), decided(5, 2));
    tracker.record_firing(&newer, at(5));
    assert_eq!(tracker.reserve(&newer, 4), 0);
    tracker.record_firing(&older, at(6));
    assert_eq!(tracker.reserve(&older, 4), 3, "the newer one has the room");
    assert_eq!(tracker.reserve(&newer, 4), 3, "the older one was decided first");
}
