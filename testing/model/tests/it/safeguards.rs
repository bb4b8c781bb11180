//! Properties that break without each safeguard. Searches are breadth first on one thread, so counterexamples are shortest.

use ecs_scheduler_model::{
    Action, Answer, CallAnswer, Config, Faults, Safeguards, SourceRead, Token, property, search, shortest,
};

const CRASHES: Faults = Faults { crashes: true, ..Faults::NONE };
const FREEZES: Faults = Faults { freezes: true, ..Faults::NONE };

/// One tick, nothing edited, and owners that keep their numbers in the counterexample.
fn one_tick(base: Config, faults: Faults, safeguards: Safeguards) -> Config {
    Config {
        symmetric: false,
        ..base.until(1).with_edits(false, false).with_faults(faults).with_safeguards(safeguards)
    }
}

/// Returns the shortest way to a state in which the property does not hold, of at most `most` steps.
fn breaks(config: Config, property: &'static str, most: usize) -> Vec<Action> {
    let actions = shortest(config, property);
    let actions = actions.unwrap_or_else(|| panic!("\"{property}\" holds in every state"));
    assert!(actions.len() <= most, "{} steps: {actions:?}", actions.len());
    actions
}

fn holds(config: Config, property: &'static str) {
    let found = search(config, 2, Some(property));
    let broken = found.counterexamples.get(property);
    assert_eq!(broken, None, "after {} states", found.states);
}

#[test]
fn a_crash_and_an_edit_lose_a_tick_when_the_edit_keeps_no_earlier_schedules() {
    let lossy = Safeguards { keep_earlier_schedules: false, ..Safeguards::ALL };
    let config =
        Config { symmetric: false, ..Config::ALONE.until(3).with_edits(false, true).with_faults(CRASHES) };
    let actions = breaks(config.with_safeguards(lossy), property::COMPLETE, 16);
    for needed in [Action::Crash(0, None), Action::Edit(1), Action::Replace(1)] {
        assert!(actions.contains(&needed), "{needed:?} is not in {actions:?}");
    }
    holds(config, property::COMPLETE);
}

#[test]
fn a_take_over_and_an_edit_lose_a_tick_when_the_edit_keeps_no_earlier_schedules() {
    let lossy = Safeguards { keep_earlier_schedules: false, ..Safeguards::ALL };
    let config =
        Config { symmetric: false, ..Config::REPLICAS.until(3).with_edits(false, true).with_faults(FREEZES) };
    let actions = breaks(config.with_safeguards(lossy), property::COMPLETE, 18);
    let taken_over = actions.iter().any(|action| matches!(action, Action::Claim(_) | Action::Acquire(_)));
    assert!(taken_over && actions.contains(&Action::Replace(1)), "{actions:?}");
    holds(config, property::COMPLETE);
}

#[test]
fn a_tick_of_the_old_version_is_settled_after_the_edit_when_settlements_name_no_revision() {
    let stale = Safeguards { revision_in_settle: false, ..Safeguards::ALL };
    let config = Config {
        symmetric: false,
        ..Config::ALONE.until(3).with_edits(true, false).with_faults(Faults::NONE)
    };
    let actions = breaks(config.with_safeguards(stale), property::OUTCOME, 5);
    assert_eq!(actions.last(), Some(&Action::Settle(0, Answer::Arrives)), "{actions:?}");
    holds(config, property::OUTCOME);
}

#[test]
fn a_passing_fault_ends_a_tick_when_reads_are_not_tried_again() {
    let hasty = Safeguards { retry_reads: false, ..Safeguards::ALL };
    let faults = Faults { read_faults: true, ..Faults::NONE };
    let actions = breaks(one_tick(Config::ALONE, faults, hasty), property::GIVEN_UP, 3);
    assert_eq!(
        actions,
        [Action::Now, Action::EvaluateJob(0, SourceRead::Fails), Action::Settle(0, Answer::Arrives)]
    );
}

#[test]
fn a_launch_is_never_made_when_an_old_owner_may_write() {
    let open = Safeguards { fence: false, ..Safeguards::ALL };
    let actions = breaks(one_tick(Config::REPLICAS, FREEZES, open), property::COMPLETE, 9);
    assert!(actions.contains(&Action::Claim(1)), "{actions:?}");
    holds(one_tick(Config::REPLICAS, FREEZES, Safeguards::ALL), property::COMPLETE);
}

#[test]
fn a_call_is_made_for_an_attempt_that_an_old_owner_has_erased() {
    let open = Safeguards { fence: false, ..Safeguards::ALL };
    let faults = Faults { refusals: true, ..FREEZES };
    breaks(one_tick(Config::REPLICAS, faults, open), property::INTENT, 16);
    holds(one_tick(Config::REPLICAS, faults, Safeguards::ALL), property::INTENT);
}

#[test]
fn a_firing_is_launched_twice_when_an_old_owner_may_write_and_tokens_are_random() {
    let faults = Faults { refusals: true, crashes: true, ..FREEZES };
    let random = Safeguards { token: Token::Recorded, ..Safeguards::ALL };
    let open = Safeguards { fence: false, ..random };
    let actions = breaks(one_tick(Config::REPLICAS, faults, open), property::DOUBLED, 26);
    let calls: Vec<&Action> = actions.iter().filter(|action| matches!(action, Action::Call(..))).collect();
    assert!(matches!(calls[..], [Action::Call(_, _, CallAnswer::Refuses), _, _]), "{actions:?}");
    assert!(actions.iter().any(|action| matches!(action, Action::Claim(_))), "{actions:?}");
    holds(one_tick(Config::REPLICAS, faults, random), property::DOUBLED);
}

/// With [`a_firing_is_launched_twice_when_an_old_owner_may_write_and_tokens_are_random`]: neither safeguard alone is needed against a
/// doubled launch, and one of the two is.
#[test]
fn tokens_of_identity_prevent_doubled_launches_where_an_old_owner_may_write() {
    let faults = Faults { refusals: true, crashes: true, ..FREEZES };
    let open = Safeguards { fence: false, ..Safeguards::ALL };
    holds(one_tick(Config::REPLICAS, faults, open), property::DOUBLED);
    holds(one_tick(Config::REPLICAS, faults, Safeguards::ALL), property::DOUBLED);
}

#[test]
fn the_gap_between_the_look_at_the_lease_and_the_call_doubles_a_launch_when_each_call_has_its_own_token() {
    let each = Safeguards { token: Token::EachCall, ..Safeguards::ALL };
    let actions = breaks(one_tick(Config::REPLICAS, FREEZES, each), property::DOUBLED, 11);
    let calls = actions.iter().filter(|action| matches!(action, Action::Call(..))).count();
    assert_eq!(calls, 2, "{actions:?}");
    assert!(actions.contains(&Action::Expiry(0)), "{actions:?}");
}

#[test]
fn a_fenced_owner_launches_when_it_does_not_look_at_its_lease() {
    let careless = Safeguards { check_lease: false, ..Safeguards::ALL };
    let actions = breaks(one_tick(Config::REPLICAS, FREEZES, careless), property::FENCED, 7);
    assert_eq!(actions.last(), Some(&Action::MayLaunch(0, 1)), "{actions:?}");
}

#[test]
fn a_launch_has_no_intent_when_attempts_are_noted_after_the_call() {
    let late = Safeguards { intent_first: false, ..Safeguards::ALL };
    let actions = breaks(one_tick(Config::ALONE, Faults::NONE, late), property::INTENT, 6);
    assert_eq!(actions.last(), Some(&Action::Call(0, 1, CallAnswer::Arrives)), "{actions:?}");
}

#[test]
fn late_settlement_leaves_a_firing_without_an_owner_unless_the_owner_searches_again() {
    let trusting = Safeguards { resume_when_moved: false, ..Safeguards::ALL };
    let late = Faults { late_messages: true, ..Faults::NONE };
    let actions = breaks(one_tick(Config::ALONE, late, trusting), property::COMPLETE, 6);
    assert!(actions.contains(&Action::Arrive), "{actions:?}");
    holds(one_tick(Config::ALONE, late, Safeguards::ALL), property::COMPLETE);
}

#[test]
fn late_settlement_under_the_old_fence_leaves_a_firing_without_an_owner() {
    let same_fence = Safeguards { new_fence: false, ..Safeguards::ALL };
    let late = Faults { late_messages: true, ..FREEZES };
    let actions = breaks(one_tick(Config::REPLICAS, late, same_fence), property::COMPLETE, 9);
    assert!(actions.contains(&Action::Acquire(0)) && actions.contains(&Action::Arrive), "{actions:?}");
    holds(one_tick(Config::REPLICAS, late, Safeguards::ALL), property::COMPLETE);
}
