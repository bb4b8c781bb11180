//! The guarantees of the queue rule, in an exact model of a queue: only the counts lag, by at most `settle`.

use std::num::NonZeroU32;
use std::time::Duration;

use ecs_scheduler_core::queue::{CLAIMS_AFTER, HistorySample};
use ecs_scheduler_core::{
    DecisionInput, Demand, Mode, Overlap, OwnTasks, QueueHistory, QueueReading, Scaling, Timestamp, decide,
};
use ecs_scheduler_testing::queue_model::{
    Arrivals, HOUR, QueueSetting, QueueSimulation, Report, Scenario, VISIBILITY_TIMEOUT,
};
use jiff::SignedDuration;
use proptest::prelude::*;

/// One job over one queue.
#[derive(Debug, Clone, Copy)]
struct Case {
    scenario: Scenario,
    setting: QueueSetting,
    period: u32,
    cap: u32,
    seed: u64,
}

fn cases(mode: Mode) -> impl Strategy<Value = Case> {
    // Half of the jobs take one message per task.
    let per_task = prop_oneof![Just(1), 1..=10_u32];
    let arrivals = prop_oneof![Just(Arrivals::Burst), Just(Arrivals::Trickle), Just(Arrivals::Ramp)];
    let crashes = prop_oneof![Just(0.0), Just(0.05), Just(0.2), Just(0.4)];
    let times = (1.0..60.0_f64, 0..90_u32, 0..60_u32, 1..60_u32);
    (per_task, arrivals, crashes, times, 8..60_u32, any::<u64>()).prop_map(
        move |(per_task, arrivals, crashes, (service, max_lag, spare, period), cap, seed)| {
            let per_task = NonZeroU32::new(per_task).unwrap();
            Case {
                scenario: Scenario { name: "drawn", mode, per_task, service, arrivals, steady: false },
                setting: QueueSetting { max_lag, settle: max_lag + spare, crashes },
                period,
                cap,
                seed,
            }
        },
    )
}

fn moment(second: u32) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + i64::from(second)).unwrap()
}

fn own_tasks(world: &QueueSimulation, now: u32, settle: u32) -> OwnTasks {
    let mut own = OwnTasks::default();
    let shown = i64::from(now) - i64::from(settle);
    for (_, task) in world.tasks_at(now) {
        let Some((at, clean)) = task.ended else {
            own.busy += 1;
            let claims = i64::from(task.starts) + CLAIMS_AFTER.as_secs();
            own.not_started += u32::from(claims > i64::from(now));
            continue;
        };
        own.last_end = own.last_end.max(Some(moment(at)));
        let before = i64::from(at) <= shown;
        if clean {
            own.last_empty = own.last_empty.max(Some(moment(at)));
            own.completed += 1;
            own.completed_before += u64::from(before);
        } else if now < at + VISIBILITY_TIMEOUT {
            *(if before { &mut own.failed_before } else { &mut own.failed_lately }) += 1;
        }
    }
    let since =
        |emptied: Timestamp| world.tasks_at(now).filter(|(_, task)| moment(task.launched) > emptied).count();
    own.launched_since = own.last_empty.map_or(0, |emptied| u32::try_from(since(emptied)).unwrap());
    own
}

impl Case {
    /// Evaluates the rule and launches tasks.
    fn poll(&self, world: &mut QueueSimulation, history: &mut QueueHistory, now: u32) -> u32 {
        let (visible, in_flight) = world.counts();
        let reading = QueueReading::new(
            visible.into(),
            in_flight.into(),
            Duration::from_secs(VISIBILITY_TIMEOUT.into()),
            self.scenario.per_task,
        );
        let own = own_tasks(world, now, self.setting.settle);
        let facts = history.record(&HistorySample {
            requested: moment(now),
            reading: &reading,
            tasks: &own,
            settle: SignedDuration::from_secs(self.setting.settle.into()),
        });
        let decision = decide(&DecisionInput {
            breaker: None,
            budget: None,
            demand: Demand::from_count(visible),
            reason: "visible",
            scaling: Scaling { cap: NonZeroU32::new(self.cap), ..Scaling::default() },
            mode: self.scenario.mode,
            queue: Some(&facts),
            overlap: Overlap::TopUp,
            busy: own.busy,
            cooldown: None,
        });
        for _ in 0..decision.launch {
            world.launch();
        }
        decision.launch
    }
}

/// The observations of a run.
struct Seen {
    /// By how much launches exceeded ⌈(arrivals + what clean exits left unfilled) / k⌉ + failures at most.
    most_over: i64,
    longest_neglect: u32,
    last: Report,
}

/// Simulates a case, second by second.
fn pass(case: &Case) -> Seen {
    let mut world = QueueSimulation::new(case.scenario, case.setting, case.seed);
    let mut history = QueueHistory::default();
    let mut seen = Seen { most_over: i64::MIN, longest_neglect: 0, last: Report::default() };
    let mut neglected_since = None;
    for now in 1..12 * HOUR {
        world.advance(now);
        let launched = if now % case.period == 0 { case.poll(&mut world, &mut history, now) } else { 0 };
        let (visible, _) = world.truth();
        if visible == 0 || world.busy() > 0 || launched > 0 {
            neglected_since = None;
        } else {
            let since = *neglected_since.get_or_insert(now);
            seen.longest_neglect = seen.longest_neglect.max(now - since);
        }
        if launched > 0 {
            let report = world.report();
            let filled = (report.messages + world.unfilled()).div_ceil(case.scenario.per_task.get());
            let allowed = i64::from(filled + report.failed);
            seen.most_over = seen.most_over.max(i64::from(report.launched) - allowed);
        }
        if now > HOUR && world.is_over() {
            break;
        }
    }
    seen.last = world.report();
    seen
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn one_shot_launches_only_for_proven_messages_with_almost_no_empty_runs(case in cases(Mode::OneShot)) {
        let seen = pass(&case);
        prop_assert!(seen.most_over <= 0, "{} too many", seen.most_over);
        let one_each = case.scenario.per_task == NonZeroU32::MIN;
        let excused = if one_each { 0 } else { seen.last.failed };
        prop_assert!(seen.last.empty <= excused, "{:?}", seen.last);
        neglects_nothing(&case, &seen)?;
    }

    #[test]
    fn drain_keeps_the_cap_and_neglects_no_message_and_serves_all(case in cases(Mode::Drain)) {
        neglects_nothing(&case, &pass(&case))?;
    }
}

fn neglects_nothing(case: &Case, seen: &Seen) -> Result<(), TestCaseError> {
    prop_assert!(seen.last.most_busy <= case.cap);
    let allowed = case.setting.settle + case.period;
    prop_assert!(seen.longest_neglect <= allowed, "{} s of {allowed}", seen.longest_neglect);
    prop_assert_eq!(seen.last.unserved, 0);
    Ok(())
}
