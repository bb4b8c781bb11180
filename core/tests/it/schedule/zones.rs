//! Twelve patterns at every change of every zone's clock from 2000 to 2040.

use std::collections::HashSet;

use ecs_scheduler_core::schedule::{Schedule, parse_time_zone};
use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

use super::{instant, oracle, schedule};

/// Expression, whether its hour runs, and what it means on the wall clock at second 0.
type Pattern = (&'static str, bool, fn(DateTime) -> bool);

const PATTERNS: [Pattern; 12] = [
    ("0 30 2", false, |at| (at.hour(), at.minute()) == (2, 30)),
    ("0 0 0", false, |at| (at.hour(), at.minute()) == (0, 0)),
    ("0 5 2,3", false, |at| matches!(at.hour(), 2 | 3) && at.minute() == 5),
    ("0 */10 0-4", false, |at| at.hour() <= 4 && at.minute() % 10 == 0),
    ("0 20 1-3 * * last,1-31/2", false, |at| {
        matches!(at.hour(), 1..=3)
            && at.minute() == 20
            && (at.day() % 2 == 1 || at.day() == at.days_in_month())
    }),
    ("0 45 23 sat,sun", false, |at| {
        (at.hour(), at.minute()) == (23, 45) && at.weekday().to_monday_zero_offset() >= 5
    }),
    ("0 0 1/2", false, |at| at.hour() % 2 == 1 && at.minute() == 0),
    ("0 */15", true, |at| at.minute() % 15 == 0),
    ("0 0 */2", true, |at| at.hour() % 2 == 0 && at.minute() == 0),
    ("0 10,40 */3", true, |at| at.hour() % 3 == 0 && matches!(at.minute(), 10 | 40)),
    ("cron(30 1,2 ? * SUN *)", false, |at| {
        matches!(at.hour(), 1 | 2) && at.minute() == 30 && at.weekday().to_monday_zero_offset() == 6
    }),
    ("cron(*/20 * * * *)", true, |at| at.minute() % 20 == 0),
];

/// The wall-clock times that one instant stands for, for a running and for a fixed hour.
struct Minute {
    at: Timestamp,
    running: DateTime,
    fixed: [Option<DateTime>; 2],
}

#[test]
fn every_change_of_every_zone_follows_the_rule() {
    let mut seen = HashSet::new();
    let (mut zones, mut changes) = (0, 0);
    for name in TimeZoneDatabase::bundled().available() {
        let zone = parse_time_zone(name.as_str()).unwrap();
        let all: Vec<(i64, i32)> = zone
            .following(instant("2000-01-01T00:00:00Z"))
            .take_while(|change| change.timestamp() < instant("2040-01-01T00:00:00Z"))
            .map(|change| (change.timestamp().as_second(), change.offset().seconds()))
            .collect();
        if !seen.insert((zone.to_offset(instant("2000-01-01T00:00:00Z")).seconds(), all.clone())) {
            continue; // A link, or a zone with the same clock.
        }
        zones += 1;
        changes += all.len();
        let schedules = PATTERNS.map(|(text, ..)| schedule(text, name.as_str()).unwrap());
        for (change, _) in all {
            check(&zone, Timestamp::from_second(change).unwrap(), &schedules);
        }
    }
    assert!(zones > 150 && changes > 5_000, "{zones} zones, {changes} changes");
}

fn check(zone: &TimeZone, change: Timestamp, schedules: &[Schedule; 12]) {
    let before = zone.to_offset(change - SignedDuration::from_secs(1));
    let shift = i64::from((zone.to_offset(change).seconds() - before.seconds()).abs());
    let margin = SignedDuration::from_mins(75);
    let (from, to) = (change - margin, change + SignedDuration::from_secs(shift) + margin);
    let minutes: Vec<Minute> = minutes(zone, from, to);
    for (schedule, (text, runs, matches)) in schedules.iter().zip(PATTERNS) {
        let ticks = |minute: &&Minute| match runs {
            true => matches(minute.running),
            false => minute.fixed.iter().flatten().any(|&wall| matches(wall)),
        };
        let expected: Vec<Timestamp> = minutes.iter().filter(ticks).map(|minute| minute.at).collect();
        let got: Vec<Timestamp> = schedule.upcoming(from).take_while(|tick| *tick <= to).collect();
        let context = || format!("{text} in {:?} around {change}", zone.iana_name());
        assert_eq!(got, expected, "{}", context());
        assert_eq!(schedule.count_in(from, to), expected.len() as u64, "{}", context());
        assert_eq!(schedule.last_in(from, to), expected.last().copied(), "{}", context());
        assert_eq!(
            schedule.last_in(from, change),
            got.iter().copied().rfind(|tick| *tick <= change),
            "{}",
            context()
        );
    }
}

/// The minutes of (`from`, `to`].
fn minutes(zone: &TimeZone, from: Timestamp, to: Timestamp) -> Vec<Minute> {
    let first = from.as_second().div_euclid(60) + 1;
    let minute = |minute: i64| {
        let at = Timestamp::from_second(minute * 60).unwrap();
        let running = zone.to_datetime(at);
        let first_pass = zone.to_ambiguous_timestamp(running).compatible().is_ok_and(|first| first == at);
        Minute { at, running, fixed: [first_pass.then_some(running), oracle::skipped_onto(zone, at)] }
    };
    (first..=to.as_second().div_euclid(60)).map(minute).collect()
}

#[test]
fn changes_beyond_the_table_follow_the_rule_too() {
    for name in
        ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Chatham"]
    {
        let zone = parse_time_zone(name).unwrap();
        let schedules = PATTERNS.map(|(text, ..)| schedule(text, name).unwrap());
        for year in [2086, 2099, 2100, 2101, 2400, 9998] {
            let start = jiff::civil::date(year, 1, 1).at(0, 0, 0, 0);
            let changes = zone.following(zone.to_timestamp(start).unwrap()).take(3);
            changes.for_each(|change| check(&zone, change.timestamp(), &schedules));
        }
    }
}

#[test]
fn a_day_that_a_zone_skipped_ticks_once() {
    // Apia went from the 29th to the 31st of December 2011.
    let noon = schedule("0 0 12", "Pacific/Apia").unwrap();
    assert_eq!(
        super::next(&noon, "2011-12-28T23:00:00Z", 3),
        ["2011-12-29T22:00:00Z", "2011-12-30T22:00:00Z", "2011-12-31T22:00:00Z"]
    );
    let thirtieth = schedule("0 0 12 * * 30 12", "Pacific/Apia").unwrap();
    assert_eq!(super::next(&thirtieth, "2011-01-01T00:00:00Z", 1), ["2011-12-30T22:00:00Z"]);
    let hourly = schedule("0 0 * * * 30 12 2011", "Pacific/Apia").unwrap();
    assert!(hourly.never_fires_after(instant("2011-01-01T00:00:00Z")));
}

#[test]
fn a_running_hour_repeats_the_first_and_last_times_of_a_date_after_a_fold() {
    // Midnight of Sao Paulo went back to 23:00: the last of the date's times came again.
    for years in ["2018", "2018-2019"] {
        let date = schedule(&format!("0 30 * * * 17 2 {years}"), "America/Sao_Paulo").unwrap();
        assert_eq!(super::next(&date, "2018-02-18T01:40:00Z", 1), ["2018-02-18T02:30:00Z"], "{years}");
    }
    // One o'clock of the Azores goes back to midnight: the first of the date's times came before.
    for years in ["2026", "2025-2026"] {
        let date = schedule(&format!("0 30 * * * 25 10 {years}"), "Atlantic/Azores").unwrap();
        let found = date.last_in(instant("2025-01-01T00:00:00Z"), instant("2026-10-25T01:10:00Z"));
        assert_eq!(found, Some(instant("2026-10-25T00:30:00Z")), "{years}");
    }
}

#[test]
fn looking_back_over_a_season_without_ticks_finds_those_near_the_change_before() {
    for (text, until, tick) in [
        ("0 0 0 * * 28 3 2026", "2026-11-30T00:00:00Z", "2026-03-27T23:00:00Z"),
        ("0 0 0 * * 30 3 2026", "2027-03-29T12:00:00Z", "2026-03-29T22:00:00Z"),
    ] {
        let date = schedule(text, "Europe/Berlin").unwrap();
        assert_eq!(date.last_in(Timestamp::UNIX_EPOCH, instant(until)), Some(instant(tick)), "{text}");
    }
}

#[test]
fn a_stepped_hour_of_cron_runs_through_changes_of_the_clock() {
    let [cron, fields] =
        ["cron(30 */2 * * *)", "0 30 */2"].map(|text| schedule(text, "Europe/Berlin").unwrap());
    for change in ["2027-03-27T20:00:00Z", "2027-10-30T20:00:00Z"] {
        assert_eq!(super::next(&cron, change, 9), super::next(&fields, change, 9));
    }
    assert_eq!(super::next(&cron, "2027-03-28T00:00:00Z", 1), ["2027-03-28T02:30:00Z"]);
}

#[test]
fn counts_that_begin_or_end_near_a_change_agree_with_iterating() {
    for change in ["2027-03-28T01:00:00Z", "2027-10-31T01:00:00Z"] {
        let times = schedule("0 */10 1-4", "Europe/Berlin").unwrap();
        let minute = |minute| instant(change) + SignedDuration::from_mins(minute);
        for from in [-70, -5, 0, 5, 20, 60, 65] {
            for until in from..from + 80 {
                let ticks = times.upcoming(minute(from)).take_while(|tick| *tick <= minute(until));
                assert_eq!(times.count_in(minute(from), minute(until)), ticks.count() as u64);
            }
        }
    }
}

#[test]
fn a_tick_shifted_out_of_a_gap_is_found_from_any_instant_after_the_gap() {
    let skipped = schedule("0 30 2", "Europe/Berlin").unwrap();
    for after in ["2027-03-28T00:59:59Z", "2027-03-28T01:00:00Z", "2027-03-28T01:29:59Z"] {
        assert_eq!(super::next(&skipped, after, 1), ["2027-03-28T01:30:00Z"], "{after}");
    }
    let later = "2027-03-28T01:30:00Z";
    assert_eq!(super::next(&skipped, later, 1), ["2027-03-29T00:30:00Z"]);
    assert_eq!(skipped.last_in(Timestamp::UNIX_EPOCH, instant("2027-03-28T01:59:59Z")), Some(instant(later)));
}
