use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::schedule::{ScheduleSpec, Strictness};

fn schedule(text: &str) -> Schedule {
    let expressions = [text.to_owned()];
    Schedule::parse(&ScheduleSpec {
        expressions: &expressions,
        timezone: None,
        start: None,
        end: None,
        strictness: Strictness::Strict,
    })
    .unwrap()
}

fn at(text: &str) -> Timestamp {
    format!("2026-01-01T{text}Z").parse().unwrap()
}

fn ticks<'a>(schedule: &'a Schedule, after: &str) -> Ticks<'a> {
    Ticks { job: "job", schedule, jitter: None, earlier: &[], after: at(after) }
}

fn policy(policy: CatchUpPolicy, window: SignedDuration, max: u32) -> CatchUp {
    CatchUp { policy, window, max: NonZeroU32::new(max).unwrap() }
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);

#[test]
fn punctual_tick_is_a_range_of_one() {
    let every_minute = schedule("0 *");
    let plan = ticks(&every_minute, "10:00:00").plan(at("10:01:00.2"), CatchUp::default(), None).unwrap();
    assert_eq!(plan, CatchUpPlan { skipped: vec![], tick: Some(at("10:01:00")), settles: at("10:01:00") });
}

#[test]
fn plan_is_empty_before_the_next_tick() {
    let every_minute = schedule("0 *");
    assert_eq!(ticks(&every_minute, "10:00:00").plan(at("10:00:59"), CatchUp::default(), None), None);
}

#[test]
fn after_an_outage_the_newest_tick_fires_and_all_others_have_an_outcome() {
    let every_minute = schedule("0 *");
    let plan = ticks(&every_minute, "08:00:00").plan(at("10:00:30"), CatchUp::default(), None).unwrap();
    assert_eq!(plan.tick, Some(at("10:00:00")));
    let missed = TickSpan { first: at("08:01:00"), last: at("09:00:00"), count: 60 };
    let coalesced = TickSpan { first: at("09:01:00"), last: at("09:59:00"), count: 59 };
    assert_eq!(plan.skipped, [(TickOutcome::Missed, missed), (TickOutcome::Coalesced, coalesced)]);
}

#[test]
fn tick_outside_the_window_is_missed() {
    let daily = schedule("0 0 3");
    let plan = ticks(&daily, "00:00:00").plan(at("05:00:00"), CatchUp::default(), None).unwrap();
    assert_eq!(plan.tick, None);
    assert_eq!(
        plan.skipped,
        [(TickOutcome::Missed, TickSpan { first: at("03:00:00"), last: at("03:00:00"), count: 1 })]
    );
}

#[test]
fn policy_none_fires_punctual_ticks_only() {
    let every_minute = schedule("0 *");
    let none = policy(CatchUpPolicy::None, HOUR, 1);
    let plan = ticks(&every_minute, "09:58:00").plan(at("10:00:10"), none, None).unwrap();
    assert_eq!((plan.tick, plan.skipped.len()), (Some(at("10:00:00")), 1));
    assert_eq!(plan.skipped[0].0, TickOutcome::Missed);
    let late = ticks(&every_minute, "09:58:00").plan(at("10:00:45"), none, None).unwrap();
    assert_eq!((late.tick, late.settles), (None, at("10:00:00")));
}

#[test]
fn policy_all_fires_the_oldest_of_the_newest_max_ticks_first() {
    let every_minute = schedule("0 *");
    let all = policy(CatchUpPolicy::All, HOUR, 3);
    let mut settled = at("09:50:00");
    let mut fired = Vec::new();
    while let Some(plan) =
        (Ticks { job: "job", schedule: &every_minute, jitter: None, earlier: &[], after: settled }).plan(
            at("10:00:30"),
            all,
            None,
        )
    {
        fired.extend(plan.tick);
        settled = plan.settles;
    }
    assert_eq!(fired, [at("09:58:00"), at("09:59:00"), at("10:00:00")]);
}

#[test]
fn cost_of_an_outage_does_not_depend_on_its_ticks() {
    let every_second = schedule("*");
    let after: Timestamp = "2020-01-01T00:00:00Z".parse().unwrap();
    let ticks = Ticks { job: "job", schedule: &every_second, jitter: None, earlier: &[], after };
    let plan = ticks.plan("2026-01-01T00:00:00Z".parse().unwrap(), CatchUp::default(), None).unwrap();
    let total: u64 = plan.skipped.iter().map(|(_, span)| span.count).sum();
    assert_eq!(total + 1, 2192 * 86_400, "six years of seconds, two of them leap years");
}

#[test]
fn tick_is_evaluated_until_the_end_of_its_window_and_not_after() {
    let daily = schedule("0 0 3");
    let minute = SignedDuration::from_mins(1);
    for (kind, window, tried, last) in [
        (CatchUpPolicy::Latest, HOUR, None, "04:00:00"),
        (CatchUpPolicy::All, HOUR, None, "04:00:00"),
        (CatchUpPolicy::None, HOUR, None, "03:00:30"),
        (CatchUpPolicy::None, HOUR, Some(at("03:00:00")), "03:01:00"),
        (CatchUpPolicy::Latest, SignedDuration::ZERO, None, "03:00:30"),
        (CatchUpPolicy::Latest, SignedDuration::ZERO, Some(at("03:00:00")), "03:01:00"),
        (CatchUpPolicy::All, minute + minute, Some(at("03:00:00")), "03:02:00"),
    ] {
        let policy = policy(kind, window, 1);
        let plan = |now: Timestamp| ticks(&daily, "00:00:00").plan(now, policy, tried).unwrap();
        let after = at(last).checked_add(SignedDuration::from_nanos(1)).unwrap();
        assert_eq!(plan(at(last)).tick, Some(at("03:00:00")), "{kind:?} {window:?} {tried:?}");
        assert_eq!(plan(after).tick, None, "{kind:?} {window:?} {tried:?}");
        assert_eq!(plan(after).skipped.len(), 1);
    }
}

#[test]
fn tick_at_the_edge_of_the_window_is_coalesced_and_an_older_one_is_missed() {
    let every_minute = schedule("0 *");
    let plan = ticks(&every_minute, "08:57:00").plan(at("10:00:00"), CatchUp::default(), None).unwrap();
    let missed = TickSpan { first: at("08:58:00"), last: at("08:59:00"), count: 2 };
    let coalesced = TickSpan { first: at("09:00:00"), last: at("09:59:00"), count: 60 };
    assert_eq!(plan.skipped, [(TickOutcome::Missed, missed), (TickOutcome::Coalesced, coalesced)]);
    let all = policy(CatchUpPolicy::All, HOUR, 100);
    let plan = ticks(&every_minute, "08:57:00").plan(at("10:00:00"), all, None).unwrap();
    assert_eq!((plan.tick, plan.skipped), (Some(at("09:00:00")), vec![(TickOutcome::Missed, missed)]));
}

#[test]
fn tried_tick_is_split_from_its_neighbours() {
    let every_minute = schedule("0 *");
    let tried = Some(at("09:58:00"));
    let plan = ticks(&every_minute, "08:57:00").plan(at("10:00:00"), CatchUp::default(), tried).unwrap();
    let spans: Vec<_> = plan.skipped.iter().map(|(_, span)| (span.first, span.last, span.count)).collect();
    let one = |tick: &str| (at(tick), at(tick), 1);
    let (missed, older) = ((at("08:58:00"), at("08:59:00"), 2), (at("09:00:00"), at("09:57:00"), 58));
    assert_eq!(spans, [missed, older, one("09:58:00"), one("09:59:00")]);
}

#[test]
fn jitter_delays_a_tick_but_not_beyond_the_next_one() {
    let every_second = schedule("*");
    let jitter = Some(Duration::from_secs(60));
    let ticks = Ticks { jitter, ..ticks(&every_second, "00:00:00") };
    let offsets =
        every_second.upcoming(at("00:00:00")).take(10_000).map(|tick| ticks.due(tick).duration_since(tick));
    let (least, most) = offsets
        .fold((HOUR, SignedDuration::ZERO), |(least, most), offset| (least.min(offset), most.max(offset)));
    assert!(!least.is_negative() && least < SignedDuration::from_millis(10), "{least:?}");
    assert!(most > SignedDuration::from_millis(990) && most < SignedDuration::from_secs(1), "{most:?}");
}

/// A delayed tick is evaluated when it is due. The next tick, due right after it, replaces it only when it is a second late.
#[test]
fn older_of_two_delayed_ticks_is_evaluated_first_unless_it_is_late() {
    let every_second = schedule("*");
    let jitter = Some(Duration::from_secs(60));
    let (millisecond, second) = (SignedDuration::from_millis(1), SignedDuration::from_secs(1));
    let mut both = 0;
    for older in every_second.upcoming(at("00:00:00")).take(100) {
        let after = older.checked_sub(second).unwrap();
        let ticks = Ticks { job: "job", schedule: &every_second, jitter, earlier: &[], after };
        let newer = older.checked_add(second).unwrap();
        let (due, next_due) = (ticks.due(older), ticks.due(newer));
        assert_eq!(ticks.next_due(), Some(due));
        let plan = |now| ticks.plan(now, CatchUp::default(), None);
        assert_eq!(plan(due.checked_sub(millisecond).unwrap()), None, "it is not due yet");
        let late = due.checked_add(second).unwrap();
        for now in [due, next_due, late] {
            let is_late = now >= late && now >= next_due;
            both += u32::from(!is_late && now >= next_due);
            let plan = plan(now).unwrap();
            assert_eq!(
                (plan.tick, plan.skipped.len()),
                (Some(if is_late { newer } else { older }), usize::from(is_late))
            );
        }
    }
    assert!(both > 10, "{both} times both were due");
}

#[test]
fn undecided_tick_is_evaluated_again_at_the_next_try_the_next_tick_or_the_end_of_its_window() {
    let every_minute = schedule("0 *");
    let ticks = ticks(&every_minute, "09:59:00");
    let next = |now: &str, window, next_try: &str| {
        let catch_up = policy(CatchUpPolicy::Latest, window, 1);
        ticks.next_evaluation(at("10:00:00"), at(now), catch_up, at(next_try))
    };
    assert_eq!(next("10:00:05", HOUR, "10:00:09"), at("10:00:09"));
    assert_eq!(next("10:00:50", HOUR, "10:01:05"), at("10:01:00"));
    assert_eq!(next("10:01:50", HOUR, "10:02:05"), at("10:02:05"), "the later tick is due already");
    assert_eq!(next("10:01:00", HOUR, "10:01:09"), at("10:01:09"), "the later tick is due now");
    assert_eq!(next("10:00:58", SignedDuration::ZERO, "10:01:20"), at("10:01:00"));
    let daily = schedule("0 0 10");
    let ticks = Ticks { schedule: &daily, ..ticks };
    let none = policy(CatchUpPolicy::None, HOUR, 1);
    assert_eq!(
        ticks.next_evaluation(at("10:00:00"), at("10:00:50"), none, at("10:01:20")),
        at("10:01:00.001")
    );
}

proptest! {
    #[test]
    fn every_tick_of_a_range_has_exactly_one_outcome(
        every in 1u32..50, away in 0i64..200_000, window in 0i64..8_000, max in 1u32..6,
        kind in 0usize..3, jitter in proptest::option::of(1u64..90),
    ) {
        let schedule = schedule(&format!("0 */{every}"));
        let kinds = [CatchUpPolicy::Latest, CatchUpPolicy::All, CatchUpPolicy::None];
        let policy = policy(kinds[kind], SignedDuration::from_secs(window), max);
        let start = at("00:00:00");
        let now = start.checked_add(SignedDuration::from_secs(away)).unwrap();
        let jitter = jitter.map(Duration::from_secs);
        let mut settled = start;
        let mut counted = 0;
        while let Some(plan) = (Ticks { job: "j", schedule: &schedule, jitter, earlier: &[], after: settled }).plan(now, policy, None) {
            prop_assert!(plan.settles > settled, "each plan settles something");
            for (_, span) in &plan.skipped {
                prop_assert!(span.first > settled && span.last <= plan.settles);
                prop_assert_eq!(schedule.count_in(settled, span.last), span.count);
                settled = span.last;
                counted += span.count;
            }
            counted += u64::from(plan.tick.is_some());
            settled = plan.settles;
        }
        prop_assert_eq!(counted, schedule.count_in(start, settled));
        let left = schedule.next_after(settled).map(|tick| {
            Ticks { job: "j", schedule: &schedule, jitter, earlier: &[], after: settled }.due(tick)
        });
        prop_assert!(left.is_none_or(|due| due > now) || jitter.is_some());
    }
}
