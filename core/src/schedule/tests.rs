use super::*;

#[test]
fn a_million_unshared_schedules_fit_in_memory() {
    let shared_part = size_of::<Parsed>() + size_of::<CompiledExpr>();
    assert!(shared_part <= 232, "{shared_part}");
}

#[test]
fn floor_and_ceil_agree_on_whole_seconds_and_enclose_others() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    assert_eq!((floor(at("1970-01-01T00:00:05Z")), ceil(at("1970-01-01T00:00:05Z"))), (5, 5));
    assert_eq!((floor(at("1970-01-01T00:00:05.1Z")), ceil(at("1970-01-01T00:00:05.1Z"))), (5, 6));
    assert_eq!((floor(at("1969-12-31T23:59:59.9Z")), ceil(at("1969-12-31T23:59:59.9Z"))), (-1, 0));
}

#[test]
fn schedules_are_equal_by_text_zone_and_bounds() {
    let parse = |text: &str, timezone| {
        Schedule::parse(&ScheduleSpec { timezone, ..ScheduleSpec::written(&[text.to_owned()]) }).unwrap()
    };
    assert_eq!(parse("0 0 0", Some("europe/berlin")), parse("0 0 0", Some("Europe/Berlin")));
    assert_eq!(parse("0 0 0", None), parse("0 0 0", Some("UTC")));
    assert_ne!(parse("0 0 0", None), parse("0 0 0 *", None));
    assert_ne!(parse("0 0 0", None), parse("0 0 0", Some("Europe/Berlin")));
}

#[test]
fn union_of_parts_counts_each_tick_once() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let part = |text: &str, zone, start: Option<&str>, end: Option<&str>| {
        let expressions = [text.to_owned()];
        let spec = ScheduleSpec { timezone: Some(zone), ..ScheduleSpec::written(&expressions) };
        Schedule::parse(&spec).unwrap().within(start.map(at), end.map(at))
    };
    let [noon, later] = ["2026-01-01T12:00:00Z", "2026-01-01T12:00:01Z"];
    let one_after_the_other = [
        part("*", "UTC", None, Some(noon)),
        part("*/5", "Europe/Berlin", Some(later), None),
        part("0 0 0", "Asia/Tokyo", Some("2030-01-01T00:00:00Z"), None),
    ];
    let at_once = [part("*/2", "UTC", None, None), part("*/3", "Europe/Berlin", None, None)];
    for (parts, expected) in [(&one_after_the_other[..], 3_600 + 720), (&at_once[..], 4_800)] {
        let union = Schedule::union(parts).unwrap();
        let (after, until) = (at("2026-01-01T11:00:00Z"), at("2026-01-01T13:00:00Z"));
        assert_eq!(union.count_in(after, until), expected);
        assert_eq!(union.upcoming(after).take_while(|tick| *tick <= until).count() as u64, expected);
    }
}

#[test]
fn a_full_cache_evicts_nothing_on_parse_while_room() {
    let cache = ScheduleCache::new(2);
    let parse = |text: &str| cache.parse_while_room(&ScheduleSpec::written(&[text.to_owned()])).unwrap();
    let first = parse("0 0 1");
    parse("0 0 2");
    let third = parse("0 0 3");
    assert!(first.shares_memory_with(&parse("0 0 1")));
    assert!(!third.shares_memory_with(&parse("0 0 3")));
    assert_eq!(third, parse("0 0 3"));
    assert_eq!(cache.len(), 2);
}

#[test]
fn ticks_are_within_a_delay_that_is_longer_than_their_distance() {
    let hourly = Schedule::parse(&ScheduleSpec::written(&["0 0 *".to_owned()])).unwrap();
    let within = |seconds| hourly.ticks_within(Timestamp::UNIX_EPOCH, SignedDuration::from_secs(seconds));
    let second = |second| Timestamp::from_second(second).unwrap();
    assert_eq!(within(3_600), None);
    assert_eq!(within(3_601), Some((second(3_600), second(7_200))));
}

#[test]
fn debug_output_of_a_schedule_names_its_expressions_and_zone() {
    let daily = Schedule::parse(&ScheduleSpec::written(&["0 0 0".to_owned()])).unwrap();
    assert_eq!(format!("{daily:?}"), "Schedule { expressions: [\"0 0 0\"], timezone: \"UTC\", .. }");
}
