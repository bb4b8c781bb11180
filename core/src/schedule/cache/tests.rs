use jiff::Timestamp;

use super::*;

#[test]
fn a_cached_schedule_is_of_its_own_spec_and_of_no_other() {
    let (nine, ten) = (["0 0 9".to_owned()], ["0 0 10".to_owned()]);
    let own = ScheduleSpec { timezone: Some("Europe/Berlin"), ..ScheduleSpec::written(&nine) };
    let schedule = Schedule::parse(&own).unwrap();
    assert!(schedule.is_of(&own));
    assert!(schedule.is_of(&ScheduleSpec { timezone: Some("europe/berlin"), ..own }));
    let bound = Some(Timestamp::UNIX_EPOCH);
    for other in [
        ScheduleSpec { expressions: &ten, ..own },
        ScheduleSpec { timezone: None, ..own },
        ScheduleSpec { start: bound, ..own },
        ScheduleSpec { end: bound, ..own },
        ScheduleSpec { strictness: Strictness::Lenient, ..own },
    ] {
        assert!(!schedule.is_of(&other), "{other:?}");
    }
}

#[test]
fn an_empty_time_zone_shares_the_cached_schedule() {
    let cache = ScheduleCache::new(2);
    assert!(cache.is_empty());
    let expressions = ["0 0 9".to_owned()];
    let parse =
        |timezone| cache.parse(&ScheduleSpec { timezone, ..ScheduleSpec::written(&expressions) }).unwrap();
    let first = parse(Some(""));
    assert!(first.shares_memory_with(&parse(Some(""))) && first.shares_memory_with(&parse(None)));
    assert_eq!((cache.len(), cache.is_empty()), (1, false));
}
