use std::collections::BTreeSet;

use super::*;
use crate::schedule::ScheduleSpec;

fn schedule(text: &str, zone: &str) -> Schedule {
    let expressions = [text.to_owned()];
    let spec = ScheduleSpec { timezone: Some(zone), ..ScheduleSpec::written(&expressions) };
    Schedule::parse(&spec).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn samples() -> Vec<Schedule> {
    vec![
        schedule("0 0 9", "Europe/Berlin"),
        schedule("0 0 9", "America/New_York"),
        schedule("rate(7 hours)", "UTC"),
        schedule("0 0 */6", "UTC"),
        schedule("0 0 9", "Europe/Berlin"),
    ]
}

#[test]
fn a_union_ticks_once_whenever_any_part_ticks() {
    let parts = samples();
    let union = Schedule::union(&parts).unwrap();
    // The clocks of New York and Berlin change in this month.
    let (from, until) = (at("2026-03-01T00:00:00Z"), at("2026-04-01T00:00:00Z"));
    let expected: BTreeSet<Timestamp> =
        parts.iter().flat_map(|part| part.upcoming(from).take_while(|tick| *tick <= until)).collect();
    let ticks: Vec<Timestamp> = union.upcoming(from).take_while(|tick| *tick <= until).collect();
    assert_eq!(ticks, expected.iter().copied().collect::<Vec<_>>());
    assert_eq!(union.count_in(from, until), u64::try_from(expected.len()).unwrap());
    assert_eq!(union.last_in(from, until), expected.last().copied());
}

#[test]
fn parts_in_one_zone_are_merged() {
    let union =
        Schedule::union(&[schedule("0 0 9", "UTC"), schedule("0 0 10", "UTC"), schedule("0 0 9", "UTC")]);
    let union = union.unwrap();
    assert!(union.0.others.is_empty());
    assert_eq!(union.expressions().collect::<Vec<_>>(), ["0 0 9", "0 0 10"]);
}

#[test]
fn a_union_of_unions_is_flat() {
    let [berlin, york, rate, six, _] = samples().try_into().unwrap();
    let inner = Schedule::union(&[berlin, york]).unwrap();
    let union = Schedule::union(&[inner, rate, six]).unwrap();
    assert_eq!(union.0.others.len(), 2);
    assert!(union.0.others.iter().all(|part| part.0.others.is_empty()));
    assert_eq!(union.expressions().count(), 4);
    assert!(union.describe().contains("Europe/Berlin") && union.describe().contains("America/New_York"));
}

#[test]
fn bounds_apply_to_every_part_and_can_be_removed() {
    let union = Schedule::union(&samples()).unwrap();
    let (start, end) = (at("2026-03-01T00:00:00Z"), at("2026-03-02T00:00:00Z"));
    let narrow = union.within(Some(start), Some(end));
    let ticks: Vec<Timestamp> = narrow.upcoming(at("2026-01-01T00:00:00Z")).collect();
    assert_eq!(ticks, union.upcoming(at("2026-02-28T23:59:59Z")).take(ticks.len()).collect::<Vec<_>>());
    assert!(ticks.iter().all(|tick| (start..=end).contains(tick)));
    assert_eq!(narrow.unbounded().next_after(end), union.next_after(end));
    assert!(narrow.next_after(end).is_none());
    assert_eq!(narrow.unbounded().next_after(Timestamp::UNIX_EPOCH), union.next_after(Timestamp::UNIX_EPOCH));
    assert!(union.within(None, None).shares_memory_with(&union));
    let (later, earlier) = (union.within(Some(start), None), union.within(None, Some(end)));
    assert_eq!(later.next_after(Timestamp::UNIX_EPOCH), narrow.next_after(Timestamp::UNIX_EPOCH));
    assert_eq!(earlier.last_in(Timestamp::UNIX_EPOCH, Timestamp::MAX), ticks.last().copied());
}

#[test]
fn parts_are_merged_up_to_the_limit_of_one_schedule() {
    let minutes = |range: std::ops::Range<u32>| {
        let expressions: Vec<String> =
            range.map(|minute| format!("{} {}", minute % 60, minute / 60)).collect();
        Schedule::parse(&ScheduleSpec::written(&expressions)).unwrap()
    };
    let others = |first, second| Schedule::union(&[first, second]).unwrap().0.others.len();
    assert_eq!(others(minutes(0..32), minutes(32..64)), 0);
    assert_eq!(others(minutes(0..33), minutes(33..65)), 1);
    assert_eq!(others(minutes(0..40), minutes(40..80)), 1);
}

#[test]
fn a_narrowed_schedule_keeps_the_tighter_bounds() {
    let day =
        schedule("0 0 9", "UTC").within(Some(at("2026-03-01T00:00:00Z")), Some(at("2026-03-09T00:00:00Z")));
    let narrow = day.within(Some(at("2026-02-01T00:00:00Z")), Some(at("2026-03-03T00:00:00Z")));
    assert_eq!(narrow.upcoming(at("2026-01-01T00:00:00Z")).count(), 2);
}

#[test]
fn union_of_no_schedules_is_none() {
    assert!(Schedule::union(&[]).is_none());
}
