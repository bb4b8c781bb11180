//! The whole state space, in forms that are small enough for every run of the tests. `make model` runs the large ones.

use ecs_scheduler_model::{CatchUp, Config, Faults, search};

/// Searches every state. `floor` keeps the model from becoming smaller unnoticed.
fn holds(config: Config, floor: usize) {
    let found = search(config, 2, None);
    assert!(found.counterexamples.is_empty(), "{:#?}", found.counterexamples);
    assert!(found.states >= floor, "only {} states; there were more than {floor}", found.states);
}

#[test]
fn every_tick_has_one_outcome_when_replicas_crash_freeze_and_the_schedule_is_edited() {
    holds(Config::REPLICAS.with_edits(true, false), 300_000);
}

#[test]
fn every_tick_has_one_outcome_when_two_edits_meet_at_a_take_over() {
    holds(Config::REPLICAS.until(3), 300_000);
}

#[test]
fn every_tick_that_is_caught_up_has_one_outcome_when_all_of_them_are() {
    holds(Config { catch_up: CatchUp::All, ..Config::REPLICAS.until(3).with_edits(true, false) }, 40_000);
}

#[test]
fn late_messages_after_a_failover_launch_nothing_twice() {
    holds(Config::REPLICAS.until(3).with_edits(false, false).with_faults(Faults::ALL), 45_000);
}

#[test]
fn every_tick_has_one_outcome_when_the_only_process_restarts_between_two_edits() {
    holds(Config::ALONE, 200_000);
}

#[test]
fn late_calls_after_a_restart_launch_nothing_twice() {
    holds(Config::ALONE.until(3).with_faults(Faults::ALL), 150_000);
}
