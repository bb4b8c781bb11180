//! Random eight-field schedules in random zones.

use ecs_scheduler_core::schedule::{Schedule, ScheduleSpec, Strictness, parse_time_zone};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{instant, oracle, schedule, union};

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Antarctica/Troll",
];

fn number(max: u32) -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just("*".to_owned()),
        2 => (0..=max).prop_map(|value| value.to_string()),
        1 => (1..=max / 2).prop_map(|step| format!("*/{step}")),
        1 => (0..=max / 2, 1..=max / 2).prop_map(|(first, length)| format!("{first}-{}", first + length)),
        1 => (0..=max, 0..=max).prop_map(|(one, other)| format!("{one},{other}")),
    ]
}

fn days() -> impl Strategy<Value = String> {
    const CHOICES: [&str; 12] = [
        "* * *",
        "mon-fri",
        "sat,sun * *",
        "* * last",
        "* * 1-7",
        "* * 2nd_tue",
        "* */2",
        "* * last_fri,15",
        "0-4/2 * */3",
        "* 10-14,40-53/2",
        "* * * mar,oct",
        "* * 25-31 3,4,10-12",
    ];
    prop::sample::select(&CHOICES[..]).prop_map(str::to_owned)
}

fn expression() -> impl Strategy<Value = String> {
    let second = prop_oneof![4 => Just("0".to_owned()), 1 => number(59)];
    (second, number(59), number(23), days())
        .prop_map(|(second, minute, hour, days)| format!("{second} {minute} {hour} {days}"))
}

/// Instants of 2009 to 2030, half of them near a change of Berlin's clock.
fn moment() -> impl Strategy<Value = Timestamp> {
    let berlin = parse_time_zone("Europe/Berlin").unwrap();
    let changes: Vec<i64> = berlin
        .following(instant("2009-01-01T00:00:00Z"))
        .take(42)
        .map(|change| change.timestamp().as_second())
        .collect();
    prop_oneof![
        1_230_768_000_i64..1_893_456_000,
        (prop::sample::select(changes), -90_000_i64..90_000).prop_map(|(change, off)| change + off),
    ]
    .prop_map(|second| Timestamp::from_second(second).unwrap())
}

fn is_tick(text: &str, zone: &str, at: Timestamp) -> bool {
    let zone = parse_time_zone(zone).unwrap();
    let runs = oracle::hour_runs(text.split(' ').nth(2).unwrap());
    oracle::is_tick(&zone, at, runs, |wall| oracle::matches_fields(text, wall))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_next_tick_is_later_matches_and_skips_none(
        text in expression(), zone in prop::sample::select(&ZONES[..]), after in moment(),
    ) {
        let schedule = schedule(&text, zone).unwrap();
        let tick = schedule.next_after(after).unwrap();
        prop_assert!(tick > after);
        prop_assert!(is_tick(&text, zone, tick));
        // Checks whole minutes for two days, or single seconds for some minutes.
        let step = if text.starts_with("0 ") { 60 } else { 1 };
        let first = after.as_second().div_euclid(step) + 1;
        for slot in first..(first + 600).min(tick.as_second().div_euclid(step)) {
            let at = Timestamp::from_second(slot * step).unwrap();
            prop_assert!(at <= after || at >= tick || !is_tick(&text, zone, at), "{at} was skipped");
        }
    }

    #[test]
    fn counting_and_looking_back_agree_with_walking(
        texts in prop::collection::vec(expression(), 1..4), zone in prop::sample::select(&ZONES[..]), after in moment(),
        length in 1_i64..400_000,
    ) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let schedule = union(&texts, zone);
        let ticks: Vec<Timestamp> = schedule.upcoming(after).take(400).collect();
        let until = ticks[ticks.len() - 1].min(after + SignedDuration::from_secs(length));
        let within: Vec<Timestamp> = ticks.into_iter().filter(|tick| *tick <= until).collect();
        prop_assert_eq!(schedule.count_in(after, until), within.len() as u64);
        prop_assert_eq!(schedule.last_in(after, until), within.last().copied());
        prop_assert!(within.is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn no_text_makes_anything_panic(
        text in prop_oneof![
            "\\PC{0,40}",
            "[0-9*/,?_a-z -]{0,40}",
            "(cron|rate|at|@)\\(?[0-9*/,?#LWA-Z -]{0,30}\\)?",
            "cron\\(([0-9]{1,2}[-/,#LW]?[0-9]{0,2}|\\*|\\*/[0-9]{1,2}|L|LW|L-[0-9]{1,2}W?|[0-9]{1,2}W)( ([0-9]{1,2}[-/,#LW]?[0-9]{0,2}|\\*|\\?|L|LW|L-[0-9]{1,2}W?|[0-9]{1,2}W)){4,5}\\)",
            "[0-9]{1,2}(-[0-9]{1,2})?(/[0-9]{1,2})?( ([0-9]{1,2}(-[0-9]{1,2})?|\\*)){0,7}",
        ],
        stored: bool, zone in prop::sample::select(&ZONES[..]), after in moment(),
    ) {
        let expressions = [text];
        let strictness = if stored { Strictness::Lenient } else { Strictness::Strict };
        let spec = ScheduleSpec { timezone: Some(zone), strictness, ..ScheduleSpec::written(&expressions) };
        let parsed = Schedule::parse(&spec);
        if let Ok(schedule) = parsed {
            let tick = schedule.next_after(after);
            prop_assert_eq!(tick.is_none(), schedule.never_fires_after(after));
            let until = after + SignedDuration::from_hours(24 * 400);
            let count = schedule.count_in(after, until);
            prop_assert_eq!(count > 0, tick.is_some_and(|tick| tick <= until));
            prop_assert_eq!(count > 0, schedule.last_in(after, until).is_some());
            prop_assert!(!schedule.describe().is_empty());
            schedule.warnings(after);
        }
    }
}
