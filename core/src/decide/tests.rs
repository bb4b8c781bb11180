use std::collections::HashSet;
use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;
use crate::scaling::DEFAULT_MAX_TASKS;

fn input(demand: Demand, floor: u32, cap: Option<u32>, busy: u32) -> DecisionInput<'static> {
    DecisionInput {
        demand,
        reason: "asked",
        scaling: Scaling {
            floor: NonZeroU32::new(floor).unwrap(),
            cap: cap.map(|cap| NonZeroU32::new(cap).unwrap()),
            ceiling: DEFAULT_MAX_TASKS,
        },
        mode: Mode::Total,
        queue: None,
        overlap: Overlap::TopUp,
        busy,
        cooldown: None,
        breaker: None,
        budget: None,
    }
}

fn tasks(n: u32) -> Demand {
    Demand::from_count(n)
}

#[test]
fn an_idle_trigger_launches_nothing_and_gives_the_reason() {
    let decision = decide(&input(Demand::Idle, 3, None, 0));
    assert_eq!((decision.launch, decision.outcome), (0, TickOutcome::Idle));
    assert_eq!(decision.to_string(), "asked → 0");
}

#[test]
fn the_floor_raises_a_smaller_demand() {
    let decision = decide(&input(tasks(1), 3, None, 0));
    assert_eq!(decision.launch, 3);
    assert_eq!(decision.to_string(), "asked → 1; at least taskCount 3 → 3");
}

#[test]
fn the_installation_bounds_a_job_without_a_cap() {
    let decision = decide(&input(tasks(110), 1, None, 0));
    assert_eq!(decision.launch, 50);
    assert_eq!(decision.steps[1].before, 110, "the step keeps the original");
    assert!(decision.to_string().contains("ECSS_MAX_TASKS 50"));
}

#[test]
fn a_reached_cap_and_enough_tasks_are_different_outcomes() {
    assert_eq!(decide(&input(tasks(12), 1, Some(10), 10)).outcome, TickOutcome::Capped);
    assert_eq!(decide(&input(tasks(10), 1, Some(10), 10)).outcome, TickOutcome::Satisfied);
}

#[test]
fn each_overlap_policy_counts_running_tasks_differently() {
    let with = |overlap| decide(&DecisionInput { overlap, ..input(tasks(5), 1, Some(6), 2) });
    assert_eq!(with(Overlap::TopUp).launch, 3);
    assert_eq!(with(Overlap::Skip).outcome, TickOutcome::SkippedOverlap);
    assert_eq!(with(Overlap::Allow).launch, 4);
    let replaced = with(Overlap::Replace);
    assert_eq!((replaced.launch, replaced.replace), (5, true));
}

#[test]
fn a_cooldown_suppresses_only_launches() {
    let cooldown = Some(Duration::from_millis(1_500));
    let still_invisible = decide(&DecisionInput { cooldown, ..input(tasks(1), 1, None, 0) });
    assert_eq!((still_invisible.launch, still_invisible.outcome), (0, TickOutcome::Cooldown));
    assert!(still_invisible.to_string().contains("another 2 s"), "{still_invisible}");
    assert_eq!(
        decide(&DecisionInput { cooldown, ..input(tasks(1), 1, None, 1) }).outcome,
        TickOutcome::Satisfied
    );
}

fn open_breaker(is_canary_due: bool) -> OpenBreaker {
    OpenBreaker { is_canary_due, reason: "canary 1 of 5".to_owned() }
}

#[test]
fn an_open_breaker_launches_one_canary_or_nothing() {
    let with = |due, overlap, busy| {
        decide(&DecisionInput {
            breaker: Some(open_breaker(due)),
            overlap,
            ..input(tasks(500), 1, None, busy)
        })
    };
    let canary = with(true, Overlap::TopUp, 0);
    assert_eq!((canary.launch, canary.outcome), (1, TickOutcome::Pending));
    assert!(canary.to_string().ends_with("at most ECSS_MAX_TASKS 50 → 50; canary 1 of 5 → 1"), "{canary}");
    let held = with(false, Overlap::TopUp, 0);
    assert_eq!((held.launch, held.outcome), (0, TickOutcome::Cooldown));
    assert_eq!(held.steps.last().map(|step| (step.rule, step.before)), Some((Rule::Breaker, 50)));
    let beside = with(true, Overlap::Allow, 3);
    assert_eq!((beside.launch, beside.replace), (1, false));
    let replacing = with(true, Overlap::Replace, 3);
    assert_eq!((replacing.launch, replacing.replace), (0, false), "a canary does not stop tasks that work");
    assert!(replacing.to_string().contains("waits for the end of the running tasks"), "{replacing}");
}

fn left(left: u32) -> Option<BudgetRoom> {
    Some(BudgetRoom { left, reason: format!("budget leaves {left}") })
}

#[test]
fn a_budget_bounds_what_the_other_rules_have_left() {
    let with =
        |room, busy| decide(&DecisionInput { budget: left(room), ..input(tasks(9), 1, Some(6), busy) });
    let partial = with(3, 2);
    assert_eq!((partial.launch, partial.outcome), (3, TickOutcome::Pending));
    assert!(
        partial.to_string().ends_with("less 2 already pending or running → 4; budget leaves 3 → 3"),
        "{partial}"
    );
    assert_eq!(partial.steps.last().map(|step| (step.rule, step.before)), Some((Rule::Budget, 4)));
    let none = with(0, 2);
    assert_eq!((none.launch, none.outcome), (0, TickOutcome::Budget));
    let enough = with(4, 2);
    assert_eq!(
        (enough.launch, enough.steps.len()),
        (4, 3),
        "a bound that is just met adds no step: {enough}"
    );
    assert_eq!(with(0, 6).outcome, TickOutcome::Capped, "nothing was asked for");
}

#[test]
fn a_replacement_starts_all_of_its_tasks_or_none() {
    let with = |room| {
        decide(&DecisionInput {
            budget: left(room),
            overlap: Overlap::Replace,
            ..input(tasks(5), 1, None, 2)
        })
    };
    assert_eq!((with(5).launch, with(5).replace), (5, true));
    let held = with(4);
    assert_eq!((held.launch, held.replace, held.outcome), (0, false, TickOutcome::Budget));
    assert!(
        held.to_string().ends_with("budget leaves 4; a replacement starts all of its tasks or none → 0"),
        "{held}"
    );
}

#[test]
fn an_open_breaker_changes_no_decision_that_launches_nothing() {
    for (demand, busy) in [(Demand::Idle, 0), (tasks(1), 1)] {
        let closed = input(demand, 1, None, busy);
        let open = DecisionInput { breaker: Some(open_breaker(false)), ..closed.clone() };
        assert_eq!(decide(&open), decide(&closed));
    }
}

/// Decisions of every kind: by policy, demand, bounds, number of busy tasks and counts of a queue.
fn every_kind_of_decision() -> Vec<Decision> {
    let queues = [(Mode::Total, None), (Mode::OneShot, Some(facts(0, 0))), (Mode::Drain, Some(facts(9, 9)))];
    let mut decisions = Vec::new();
    for (mode, queue) in &queues {
        for overlap in [Overlap::TopUp, Overlap::Skip, Overlap::Allow, Overlap::Replace] {
            for (demand, busy) in
                [(Demand::Idle, 0), (tasks(1), 0), (tasks(1), 1), (tasks(5), 2), (tasks(9), 4)]
            {
                for (floor, cooldown) in [(1, None), (3, None), (1, Some(Duration::from_secs(1)))] {
                    let (mode, queue) = (*mode, queue.as_ref());
                    let input = input(demand, floor, Some(4), busy);
                    for (breaker, budget) in [(None, None), (Some(open_breaker(true)), None), (None, left(0))]
                    {
                        let input = input.clone();
                        decisions.push(decide(&DecisionInput {
                            overlap,
                            mode,
                            queue,
                            cooldown,
                            breaker,
                            budget,
                            ..input
                        }));
                    }
                }
            }
        }
    }
    decisions
}

#[test]
fn decisions_apply_exactly_the_rules_that_are_not_reserved() {
    let applied: HashSet<_> = every_kind_of_decision()
        .into_iter()
        .flat_map(|decision| decision.steps)
        .map(|step| step.rule)
        .collect();
    assert_eq!(applied, Rule::occurring().collect());
}

/// Facts of a queue with one message per task.
fn facts(visible: u64, outstanding: u64) -> QueueFacts {
    let reading = crate::QueueReading::new(visible, 0, Duration::from_secs(30), NonZeroU32::MIN);
    QueueFacts {
        reading,
        outstanding,
        still_invisible: 0,
        not_started: 0,
        since_empty: None,
        slow: None,
        quick: None,
    }
}

#[test]
fn queue_modes_count_by_the_queue_up_to_the_cap() {
    let facts = facts(40, 30);
    let with = |cap, busy| {
        decide(&DecisionInput {
            mode: Mode::OneShot,
            queue: Some(&facts),
            ..input(tasks(40), 1, Some(cap), busy)
        })
    };
    assert_eq!(with(50, 12).launch, 18);
    let capped = with(20, 12);
    assert_eq!((capped.launch, capped.outcome), (8, TickOutcome::Pending));
    assert!(capped.to_string().ends_with("at most maxCount 20, less 12 pending or running → 8"), "{capped}");
    assert_eq!(with(12, 12).outcome, TickOutcome::Capped);
    assert_eq!(with(50, 30).outcome, TickOutcome::Satisfied);
}

#[test]
fn queue_modes_apply_the_floor_while_nothing_is_busy() {
    let facts = facts(2, 2);
    let with = |busy| {
        decide(&DecisionInput { mode: Mode::OneShot, queue: Some(&facts), ..input(tasks(2), 5, None, busy) })
    };
    assert_eq!((with(0).launch, with(1).launch, with(2).launch), (5, 1, 0));
}

#[test]
fn queue_modes_without_demand_ignore_the_floor() {
    let facts = facts(2, 0);
    let decision =
        decide(&DecisionInput { mode: Mode::OneShot, queue: Some(&facts), ..input(tasks(2), 5, None, 0) });
    assert_eq!((decision.launch, decision.outcome), (0, TickOutcome::Satisfied));
}

#[test]
fn every_mode_without_a_queue_counts_as_total() {
    let by_hand = DecisionInput { mode: Mode::Drain, ..input(tasks(5), 1, None, 2) };
    assert_eq!(decide(&by_hand).launch, 3);
}

#[test]
fn a_bound_that_is_just_met_adds_no_step() {
    let allow =
        |busy| decide(&DecisionInput { overlap: Overlap::Allow, ..input(tasks(5), 1, Some(10), busy) });
    assert_eq!((allow(5).launch, allow(5).steps.len()), (5, 1), "{}", allow(5));
    assert_eq!((allow(6).launch, allow(6).steps.len()), (4, 2), "{}", allow(6));
    let cap = decide(&input(tasks(5), 1, Some(5), 0));
    assert_eq!((cap.launch, cap.steps.len()), (5, 1), "{cap}");
    let floor = decide(&input(tasks(5), 5, None, 0));
    assert_eq!((floor.launch, floor.steps.len()), (5, 1), "{floor}");
}

#[test]
fn rules_have_their_api_names() {
    let names = ["demand", "floor", "cap", "mode", "overlap", "cooldown", "breaker", "budget", "need"];
    assert_eq!(Rule::ALL.map(Rule::as_str), names);
}

#[test]
fn outcomes_have_their_api_names() {
    for outcome in TickOutcome::ALL {
        let name = serde_json::to_value(outcome).unwrap();
        assert_eq!(name, outcome.as_str());
        assert_eq!((outcome.to_string().as_str(), outcome.as_str().parse()), (outcome.as_str(), Ok(outcome)));
    }
    let error = "lost".parse::<TickOutcome>().unwrap_err();
    assert!(error.starts_with("unknown outcome \"lost\"; one of pending, launched, "), "{error}");
}

#[test]
fn ticks_that_were_evaluated_are_decided_and_failed_or_replaced_ones_are_not() {
    let decided = TickOutcome::ALL.into_iter().filter(|outcome| outcome.is_decided());
    let names: Vec<&str> = decided.map(TickOutcome::as_str).collect();
    let expected = [
        "pending",
        "launched",
        "partial",
        "satisfied",
        "idle",
        "capped",
        "skipped_overlap",
        "cooldown",
        "budget",
    ];
    assert_eq!(names, expected);
}

fn draft(outcome: TickOutcome, first: i64, last: i64, count: u64) -> DecisionDraft {
    let at = |second| jiff::Timestamp::from_second(second).unwrap();
    DecisionDraft {
        span: TickSpan { first: at(first), last: at(last), count },
        observed: at(last),
        outcome,
        demand: None,
        busy: None,
        launch: 0,
        tries: 1,
        explanation: "explained".to_owned(),
        steps: Vec::new(),
        observations: Vec::new(),
    }
}

#[test]
fn consecutive_equal_outcomes_fold_into_one_row() {
    let (mut row, newer) = (draft(TickOutcome::Idle, 60, 120, 2), draft(TickOutcome::Idle, 180, 300, 3));
    assert_eq!(row.fold_key(), newer.fold_key());
    row.fold(newer);
    assert_eq!(row, DecisionDraft { observed: row.observed, ..draft(TickOutcome::Idle, 60, 300, 5) });
}

#[test]
fn launches_manual_firings_and_other_outcomes_do_not_fold() {
    let idle = draft(TickOutcome::Idle, 60, 60, 1);
    let launched = draft(TickOutcome::Launched, 120, 120, 1);
    let by_hand = draft(TickOutcome::Idle, 120, 120, 0);
    let key = Some(FoldKey { outcome: TickOutcome::Idle, explanation: "explained".into() });
    assert_eq!(idle.fold_key(), key);
    assert_eq!((launched.fold_key(), by_hand.fold_key()), (None, None));
    assert_ne!(key, draft(TickOutcome::Missed, 120, 120, 1).fold_key());
    let other = DecisionDraft {
        explanation: "for another reason".to_owned(),
        ..draft(TickOutcome::Idle, 120, 120, 1)
    };
    assert_ne!(key, other.fold_key());
}

#[test]
fn a_single_try_is_not_serialized() {
    let tries = |tries| {
        let value =
            serde_json::to_value(DecisionDraft { tries, ..draft(TickOutcome::Idle, 60, 60, 1) }).unwrap();
        let read: DecisionDraft = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(read.tries, tries);
        value.get("tries").cloned()
    };
    assert_eq!((tries(1), tries(0), tries(3)), (None, Some(0.into()), Some(3.into())));
}

fn overlaps() -> impl Strategy<Value = Overlap> {
    prop_oneof![Just(Overlap::TopUp), Just(Overlap::Skip), Just(Overlap::Allow), Just(Overlap::Replace)]
}

proptest! {
    #[test]
    fn the_cap_is_never_passed_and_the_ledger_adds_up(
        demand in 0u32..200, floor in 1u32..50, cap in proptest::option::of(1u32..60), busy in 0u32..120,
        overlap in overlaps(), cooling in any::<bool>(), canary in proptest::option::of(any::<bool>()),
        room in proptest::option::of(0u32..80),
    ) {
        let input = DecisionInput {
            overlap,
            breaker: canary.map(open_breaker),
            budget: room.and_then(left),
            cooldown: cooling.then_some(Duration::from_secs(9)),
            ..input(tasks(demand), floor, cap, busy)
        };
        let decision = decide(&input);
        let limit = cap.unwrap_or(50).min(50);
        let stays = if decision.replace { 0 } else { busy };
        prop_assert!(decision.launch == 0 || decision.launch + stays <= limit);
        prop_assert!(decision.launch <= room.unwrap_or(u32::MAX));
        prop_assert_eq!(decision.launch > 0, decision.outcome == TickOutcome::Pending);
        let mut number = 0;
        for step in &decision.steps {
            prop_assert_eq!(step.before, number);
            number = step.after;
        }
        prop_assert_eq!(number, decision.launch);
    }

    #[test]
    fn top_up_is_the_python_versions_arithmetic(
        demand in 1u32..60, floor in 1u32..50, cap in 1u32..50, busy in 0u32..60,
    ) {
        let expected = demand.max(floor).min(cap).saturating_sub(busy);
        prop_assert_eq!(decide(&input(tasks(demand), floor, Some(cap), busy)).launch, expected);
    }
}
