use std::num::NonZeroU32;
use std::time::Duration;

use jiff::SignedDuration;

use super::*;
use crate::policy::Mode;

fn reading(visible: u64, in_flight: u64, per_task: u32) -> QueueReading {
    QueueReading::new(visible, in_flight, Duration::from_secs(300), NonZeroU32::new(per_task).unwrap())
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// Records a sample of a queue whose counts lag by at most a minute.
fn record(history: &mut QueueHistory, second: i64, reading: &QueueReading, tasks: &OwnTasks) -> QueueFacts {
    history.record(&HistorySample {
        requested: at(second),
        reading,
        tasks,
        settle: SignedDuration::from_secs(60),
    })
}

fn demand(mode: Mode, facts: &QueueFacts, busy: u32) -> u32 {
    TaskDemand::new(mode, facts, busy).unwrap().tasks
}

#[test]
fn one_shot_launches_for_proven_messages_that_no_task_has_taken() {
    let mut history = QueueHistory::default();
    let facts = record(&mut history, 0, &reading(60, 0, 1), &OwnTasks::default());
    assert_eq!(demand(Mode::OneShot, &facts, 0), 60);
    let busy = OwnTasks { busy: 60, not_started: 60, ..OwnTasks::default() };
    let facts = record(&mut history, 30, &reading(60, 0, 1), &busy);
    assert_eq!(demand(Mode::OneShot, &facts, 60), 0, "each message has its task");
    let done = OwnTasks { busy: 20, completed: 40, completed_before: 0, ..OwnTasks::default() };
    let facts = record(&mut history, 60, &reading(60, 0, 1), &done);
    assert_eq!(demand(Mode::OneShot, &facts, 20), 0, "the counts are old: forty messages are done");
    let facts = record(&mut history, 90, &reading(65, 0, 1), &done);
    assert_eq!(demand(Mode::OneShot, &facts, 20), 5, "five more have arrived, whatever else is true");
}

#[test]
fn a_failed_tasks_message_gets_another_task_once_it_is_visible() {
    let mut history = QueueHistory::default();
    record(&mut history, 0, &reading(2, 0, 1), &OwnTasks::default());
    let failed = OwnTasks { completed: 1, failed_lately: 1, ..OwnTasks::default() };
    let facts = record(&mut history, 30, &reading(2, 0, 1), &failed);
    assert_eq!((facts.outstanding, facts.still_invisible, demand(Mode::OneShot, &facts, 0)), (1, 1, 0));
    let later = OwnTasks { completed: 1, completed_before: 1, failed_before: 1, ..OwnTasks::default() };
    let facts = record(&mut history, 120, &reading(0, 1, 1), &later);
    assert_eq!((facts.still_invisible, demand(Mode::OneShot, &facts, 0)), (1, 0));
    let visible = OwnTasks { failed_before: 0, ..later };
    let facts = record(&mut history, 360, &reading(1, 0, 1), &visible);
    assert_eq!(demand(Mode::OneShot, &facts, 0), 1);
}

#[test]
fn a_task_that_failed_without_a_message_hides_none() {
    let mut history = QueueHistory::default();
    let failed = OwnTasks { failed_before: 3, ..OwnTasks::default() };
    let facts = record(&mut history, 0, &reading(1, 0, 1), &failed);
    assert_eq!((facts.still_invisible, demand(Mode::OneShot, &facts, 0)), (0, 1));
}

#[test]
fn failed_tasks_with_many_messages_do_not_hide_visible_ones() {
    let mut history = QueueHistory::default();
    let failed = OwnTasks { failed_before: 3, ..OwnTasks::default() };
    let facts = record(&mut history, 0, &reading(1, 3, 10), &failed);
    assert_eq!(
        (facts.still_invisible, demand(Mode::OneShot, &facts, 0)),
        (3, 1),
        "one each, which is all that is in flight"
    );
    let lately = OwnTasks { failed_lately: 2, ..OwnTasks::default() };
    let facts = record(&mut history, 30, &reading(25, 0, 10), &lately);
    assert_eq!(
        (facts.still_invisible, demand(Mode::OneShot, &facts, 0)),
        (20, 1),
        "the counts may be older than the failures"
    );
}

#[test]
fn a_purged_queue_resets_the_lower_bound_after_twice_the_lag() {
    let mut history = QueueHistory::default();
    let none = OwnTasks::default();
    record(&mut history, 0, &reading(500, 0, 1), &none);
    for second in [30, 60, 90, 120, 150] {
        assert_eq!(record(&mut history, second, &reading(0, 0, 1), &none).outstanding, 500);
    }
    assert_eq!(record(&mut history, 180, &reading(3, 0, 1), &none).outstanding, 3);
}

#[test]
fn a_continuously_drained_queue_loses_no_remaining_message() {
    let mut history = QueueHistory::default();
    for done in 0..10 {
        let own =
            OwnTasks { completed: done, completed_before: done.saturating_sub(2), ..OwnTasks::default() };
        let second = 30 * i64::try_from(done).unwrap();
        assert_eq!(record(&mut history, second, &reading(10 - done, 0, 1), &own).outstanding, 10 - done);
    }
}

#[test]
fn a_clean_exit_makes_drain_count_only_growth_until_the_counts_are_new() {
    let mut history = QueueHistory::default();
    let last_empty = |launched_since| OwnTasks {
        completed: 1,
        last_empty: Some(at(10)),
        launched_since,
        ..OwnTasks::default()
    };
    let facts = record(&mut history, 30, &reading(80, 0, 10), &last_empty(0));
    assert_eq!(demand(Mode::Drain, &facts, 0), 0, "80 messages were there before the queue was empty");
    let facts = record(&mut history, 50, &reading(105, 0, 10), &last_empty(0));
    assert_eq!((facts.since_empty.unwrap().growth, demand(Mode::Drain, &facts, 0)), (25, 3));
    let facts = record(&mut history, 60, &reading(105, 0, 10), &last_empty(3));
    assert_eq!(demand(Mode::Drain, &facts, 3), 0);
    let facts = record(&mut history, 70, &reading(105, 0, 10), &last_empty(3));
    assert_eq!((facts.since_empty, demand(Mode::Drain, &facts, 3)), (None, 8), "a minute after the exit");
}

#[test]
fn an_exit_at_the_moment_of_the_counts_does_not_date_them() {
    let mut history = QueueHistory::default();
    let last_empty = OwnTasks { completed: 1, last_empty: Some(at(30)), ..OwnTasks::default() };
    let facts = record(&mut history, 30, &reading(20, 0, 10), &last_empty);
    assert_eq!((facts.since_empty, demand(Mode::Drain, &facts, 0)), (None, 2));
}

#[test]
fn an_old_count_after_a_new_one_is_no_growth() {
    let mut history = QueueHistory::default();
    record(&mut history, 0, &reading(60, 0, 10), &OwnTasks { busy: 6, ..OwnTasks::default() });
    let last_empty = OwnTasks { completed: 1, last_empty: Some(at(20)), ..OwnTasks::default() };
    record(&mut history, 30, &reading(0, 0, 10), &last_empty);
    let facts = record(&mut history, 60, &reading(50, 10, 10), &last_empty);
    assert_eq!(demand(Mode::Drain, &facts, 0), 0, "it may be the queue as it was 60 s ago");
    let facts = record(&mut history, 70, &reading(75, 0, 10), &last_empty);
    assert_eq!((facts.since_empty.unwrap().growth, demand(Mode::Drain, &facts, 0)), (15, 2));
}

#[test]
fn growth_counts_from_the_lowest_count_since_the_exit() {
    let mut history = QueueHistory::default();
    let last_empty = OwnTasks { completed: 1, last_empty: Some(at(10)), ..OwnTasks::default() };
    let growth = [(30, 80), (40, 50), (50, 90)].map(|(second, visible)| {
        record(&mut history, second, &reading(visible, 0, 10), &last_empty).since_empty.unwrap().growth
    });
    assert_eq!(growth, [0, 0, 40]);
}

#[test]
fn drain_reserves_waiting_messages_for_starting_tasks() {
    let mut history = QueueHistory::default();
    let starting = OwnTasks { busy: 5, not_started: 4, ..OwnTasks::default() };
    let facts = record(&mut history, 0, &reading(60, 20, 10), &starting);
    assert_eq!(demand(Mode::Drain, &facts, 5), 2, "six for those that wait, less four");
    assert!(TaskDemand::new(Mode::Total, &facts, 5).is_none());
}

#[test]
fn counts_that_fall_while_nothing_runs_measure_the_lag() {
    let mut history = QueueHistory::default();
    let ended = OwnTasks { last_end: Some(at(0)), ..OwnTasks::default() };
    for (second, left) in [(30, 9), (80, 4), (110, 0)] {
        assert!(record(&mut history, second, &reading(left, 0, 1), &ended).slow.is_none() || second > 80);
    }
    let known = history.convergence().unwrap();
    assert_eq!((known.took, known.at), (SignedDuration::from_secs(80), at(110)));
    let facts = record(&mut history, 140, &reading(0, 0, 1), &ended);
    assert_eq!(facts.slow, Some(known), "80 s are more than settle");
    let text = TaskDemand::new(Mode::OneShot, &facts, 0).unwrap().to_string();
    assert!(text.ends_with("(settle is too short: counts took 80 s or more to converge)"), "{text}");
}

#[test]
fn counts_that_converge_within_settle_give_no_remark() {
    let mut history = QueueHistory::default();
    let ended = OwnTasks { last_end: Some(at(0)), ..OwnTasks::default() };
    for (second, left) in [(60, 4), (90, 0)] {
        assert_eq!(record(&mut history, second, &reading(left, 0, 1), &ended).slow, None);
    }
    assert_eq!(history.convergence().map(|known| known.took), Some(SignedDuration::from_secs(60)));
}

#[test]
fn a_slow_convergence_time_is_kept_for_a_day() {
    let mut history = QueueHistory::default();
    for end in [0, 100] {
        let ended = OwnTasks { last_end: Some(at(end)), ..OwnTasks::default() };
        record(&mut history, end + 30, &reading(9, 0, 1), &ended);
        record(&mut history, end + 60, &reading(5, 0, 1), &ended);
    }
    let took = SignedDuration::from_secs(30);
    assert_eq!(history.convergence(), Some(Convergence { took, at: at(160) }));
    let ended = OwnTasks { last_end: Some(at(100)), ..OwnTasks::default() };
    record(&mut history, 160 + 86_400, &reading(5, 0, 1), &ended);
    assert!(history.convergence().is_some());
    record(&mut history, 161 + 86_400, &reading(5, 0, 1), &ended);
    assert_eq!(history.convergence(), None);
}

#[test]
fn counts_that_fall_more_than_15_minutes_after_the_end_are_not_lag() {
    let ended = OwnTasks { last_end: Some(at(0)), ..OwnTasks::default() };
    for (second, took) in [(900, Some(SignedDuration::from_mins(15))), (901, None)] {
        let mut history = QueueHistory::default();
        record(&mut history, second, &reading(5, 0, 1), &ended);
        record(&mut history, 930, &reading(0, 0, 1), &ended);
        assert_eq!(history.convergence().map(|known| known.took), took);
    }
}

#[test]
fn counts_that_fall_while_tasks_run_or_long_after_measure_nothing() {
    let mut history = QueueHistory::default();
    let busy = OwnTasks { busy: 1, last_end: Some(at(0)), ..OwnTasks::default() };
    let idle = OwnTasks { busy: 0, ..busy.clone() };
    record(&mut history, 30, &reading(9, 0, 1), &busy);
    record(&mut history, 60, &reading(5, 0, 1), &idle);
    record(&mut history, 4_000, &reading(5, 0, 1), &idle);
    record(&mut history, 4_030, &reading(0, 0, 1), &idle);
    assert_eq!(history.convergence(), None);
}

#[test]
fn the_explanation_shows_the_arithmetic() {
    let mut history = QueueHistory::default();
    let tasks = OwnTasks { busy: 12, failed_lately: 1, ..OwnTasks::default() };
    let facts = record(&mut history, 0, &reading(40, 17, 1), &tasks);
    assert_eq!(
        TaskDemand::new(Mode::OneShot, &facts, 12).unwrap().to_string(),
        "oneShot: 57 known to be left, less 1 that failed tasks may keep invisible, ÷ 1 per task, less 12 pending or \
         running, at most 40 visible ÷ 1"
    );
    assert_eq!(
        TaskDemand::new(Mode::Drain, &facts, 12).unwrap().to_string(),
        "drain: 40 visible and 17 in flight ÷ 1 per task, less 12 pending or running, at most 40 visible ÷ 1 less 0 \
         not yet at work"
    );
    let facts = record(&mut history, 30, &reading(40, 17, 1), &OwnTasks { failed_lately: 0, ..tasks });
    assert_eq!(
        TaskDemand::new(Mode::OneShot, &facts, 12).unwrap().to_string(),
        "oneShot: 57 known to be left ÷ 1 per task, less 12 pending or running, at most 40 visible ÷ 1"
    );
}

/// Lets work end so many times, an hour apart at most, and the counts show it after this many seconds each.
fn drained(history: &mut QueueHistory, every: i64, seconds: &[i64]) -> QueueFacts {
    let mut facts = None;
    for (index, took) in seconds.iter().enumerate() {
        let ended = i64::try_from(index).unwrap() * every;
        let own = OwnTasks { last_end: Some(at(ended)), ..OwnTasks::default() };
        for second in [ended + took - 1, ended + took, ended + took + 30] {
            let left = u64::from(second < ended + took);
            facts = Some(record(history, second, &reading(0, left, 1), &own));
        }
    }
    facts.unwrap()
}

#[test]
fn many_quick_convergence_times_suggest_a_shorter_settle() {
    let seconds: Vec<i64> = (0..20).map(|n| 12 + n % 5).collect();
    let mut history = QueueHistory::default();
    let facts = drained(&mut history, 300, &seconds);
    let slowest = Convergence { took: SignedDuration::from_secs(16), at: at(19 * 300 + 16) };
    assert_eq!(facts.quick, Some(slowest), "the last time that they took so long");
    let text = TaskDemand::new(Mode::OneShot, &facts, 0).unwrap().to_string();
    assert!(text.ends_with("(settle could be shorter: counts took 16 s at most to converge)"), "{text}");
    assert_eq!(drained(&mut QueueHistory::default(), 300, &seconds[1..]).quick, None, "too few to be sure");
}

#[test]
fn one_slow_convergence_time_among_many_suggests_nothing() {
    let mut seconds = vec![5; 30];
    seconds[7] = 51;
    assert_eq!(drained(&mut QueueHistory::default(), 300, &seconds).quick, None, "60 s are hardly more");
    seconds[7] = 50;
    let quick = drained(&mut QueueHistory::default(), 300, &seconds).quick;
    assert_eq!(quick.map(|quick| quick.took), Some(SignedDuration::from_secs(50)));
    seconds[7] = 200;
    let facts = drained(&mut QueueHistory::default(), 300, &seconds);
    assert!(facts.slow.is_some() && facts.quick.is_none(), "{facts:?}");
}

#[test]
fn quick_convergence_times_expire_after_a_day() {
    let mut history = QueueHistory::default();
    assert!(drained(&mut history, 4_000, &[5; 20]).quick.is_some());
    let own = OwnTasks { last_end: Some(at(19 * 4_000)), ..OwnTasks::default() };
    assert!(record(&mut history, 86_405, &reading(0, 0, 1), &own).quick.is_some());
    assert_eq!(record(&mut history, 86_406, &reading(0, 0, 1), &own).quick, None);
}

#[test]
fn a_count_at_the_moment_of_the_end_does_not_show_that_end() {
    let mut history = QueueHistory::default();
    let mut quick = None;
    for n in 0..20 {
        let own = OwnTasks { last_end: Some(at(n * 300)), ..OwnTasks::default() };
        for after in [0, 20] {
            quick = record(&mut history, n * 300 + after, &reading(0, 0, 1), &own).quick;
        }
    }
    assert_eq!(quick.map(|quick| quick.took), Some(SignedDuration::from_secs(20)));
}

#[test]
fn an_empty_queue_measures_nothing_while_tasks_are_working() {
    let mut history = QueueHistory::default();
    for n in 0..40 {
        let own = OwnTasks { busy: 1, last_end: Some(at(n * 60)), ..OwnTasks::default() };
        assert_eq!(record(&mut history, n * 60 + 5, &reading(0, 0, 1), &own).quick, None);
    }
}
