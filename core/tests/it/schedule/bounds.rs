//! Bounds, windows, sparse and dead schedules, and the ends of time.

use ecs_scheduler_core::schedule::{Schedule, ScheduleErrorKind, ScheduleSpec};
use jiff::{SignedDuration, Timestamp};

use super::{instant, next, schedule, union};

fn bounded(expression: &str, start: &str, end: &str) -> Schedule {
    let expressions = [expression.to_owned()];
    let (start, end) = (Some(instant(start)), Some(instant(end)));
    Schedule::parse(&ScheduleSpec { start, end, ..ScheduleSpec::written(&expressions) }).unwrap()
}

#[test]
fn start_and_end_are_inclusive_and_after_is_exclusive() {
    let noon = bounded("0 0 12", "2026-01-02T12:00:00Z", "2026-01-04T12:00:00Z");
    let ticks = ["2026-01-02T12:00:00Z", "2026-01-03T12:00:00Z", "2026-01-04T12:00:00Z"];
    assert_eq!(next(&noon, "2020-01-01T00:00:00Z", 9), ticks);
    assert_eq!(next(&noon, ticks[0], 9), ticks[1..]);
    let (before, later) = (instant("2020-01-01T00:00:00Z"), instant("2030-01-01T00:00:00Z"));
    assert_eq!(noon.count_in(before, later), 3);
    assert_eq!(noon.last_in(before, later), Some(instant(ticks[2])));
    assert_eq!(noon.last_in(instant(ticks[0]), instant(ticks[0])), None);
    assert_eq!(noon.count_in(later, before), 0);
}

#[test]
fn fractions_of_a_second_never_move_a_tick_forward() {
    let always = bounded("*", "2026-01-01T00:00:00.2Z", "2026-01-01T00:00:02.9Z");
    assert_eq!(next(&always, "2025-01-01T00:00:00Z", 9), ["2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"]);
    assert_eq!(always.next_after(instant("2026-01-01T00:00:01.999Z")), Some(instant("2026-01-01T00:00:02Z")));
    assert_eq!(always.next_after(instant("2026-01-01T00:00:00.999Z")), Some(instant("2026-01-01T00:00:01Z")));
}

#[test]
fn a_window_is_open_from_its_tick_until_just_before_it_ends() {
    let nights = schedule("cron(0 22 * * ? *)", "UTC").unwrap();
    let eight_hours = SignedDuration::from_hours(8);
    let opened = |at: &str| nights.open_at(instant(at), eight_hours).map(|tick| tick.to_string());
    assert_eq!(opened("2026-01-01T21:59:59.999Z"), None);
    assert_eq!(opened("2026-01-01T22:00:00Z"), Some("2026-01-01T22:00:00Z".to_owned()));
    assert_eq!(opened("2026-01-02T05:59:59.999Z"), Some("2026-01-01T22:00:00Z".to_owned()));
    assert_eq!(opened("2026-01-02T06:00:00Z"), None);
    assert_eq!(nights.open_at(instant("2026-01-01T22:00:00Z"), SignedDuration::ZERO), None);
}

#[test]
fn the_sparsest_schedules_are_found() {
    let ticks = |text: &str| next(&schedule(text, "America/New_York").unwrap(), "2026-01-01T00:00:00Z", 2);
    assert_eq!(ticks("0 0 0 * * 29 2"), ["2028-02-29T05:00:00Z", "2032-02-29T05:00:00Z"]);
    assert_eq!(ticks("0 0 0 * * 5th_sat 2"), ["2048-02-29T05:00:00Z", "2076-02-29T05:00:00Z"]);
    assert_eq!(ticks("0 0 0 fri 53 1 1"), ["2027-01-01T05:00:00Z", "2038-01-01T05:00:00Z"]);
    assert_eq!(ticks("0 0 12 * * * 7 9990"), ["9990-07-01T16:00:00Z", "9990-07-02T16:00:00Z"]);
    assert_eq!(ticks("0 30 2 * * * 3 9000"), ["9000-03-01T07:30:00Z", "9000-03-02T07:30:00Z"]);
}

#[test]
fn schedules_that_never_fire_are_reported() {
    let now = instant("2026-01-01T00:00:00Z");
    let dead = ["0 0 0 * * 30 2", "0 0 0 * 53 * 2-11", "* 28 13 0 * 3rd_wed", "0 0 0 * * * * 1970-2025"];
    for text in dead {
        let schedule = schedule(text, "Europe/Berlin").unwrap();
        assert!(schedule.never_fires_after(now), "{text}");
        let error = schedule.ensure_fires_after(now).unwrap_err();
        assert_eq!(error.kind(), ScheduleErrorKind::NeverFires);
        assert_eq!(schedule.last_in(instant("2026-01-01T00:00:00Z"), Timestamp::MAX), None);
    }
    assert!(schedule("0 0 0", "UTC").unwrap().ensure_fires_after(now).is_ok());
}

#[test]
fn the_first_and_last_timestamps_are_handled() {
    for zone in ["UTC", "Asia/Tokyo", "America/New_York", "Pacific/Kiritimati"] {
        for text in ["*", "0 0 0 * * 31 12 9999", "0 0 0 * * 31 12", "cron(0 0 L 12 ? *)", "rate(1 day)"] {
            let schedule = schedule(text, zone).unwrap();
            assert_eq!(schedule.next_after(Timestamp::MAX), None);
            assert!(schedule.next_after(Timestamp::MIN).is_none_or(|tick| tick < Timestamp::MAX));
            let last = schedule.last_in(Timestamp::MIN, Timestamp::MAX);
            assert!(last.is_none_or(|tick| tick <= Timestamp::MAX));
            assert!(
                schedule.last_in(Timestamp::MIN, instant("1960-01-01T00:00:00Z")).is_none(),
                "{text} {zone}"
            );
        }
    }
}

#[test]
fn the_first_tick_of_all_is_the_first_of_1970_on_the_local_clock() {
    for (zone, first) in [("UTC", "1970-01-01T00:00:00Z"), ("Pacific/Auckland", "1969-12-31T12:00:00Z")] {
        let midnight = schedule("0 0 0", zone).unwrap();
        assert_eq!(midnight.next_after(Timestamp::MIN), Some(instant(first)), "{zone}");
    }
}

#[test]
fn counting_a_decade_agrees_with_iterating_over_it() {
    let schedules = [
        union(&["0 0 */6"], "Europe/Berlin"),
        union(&["0 30 1-3 * * 1-7"], "Australia/Lord_Howe"),
        union(&["0 0 9 mon-fri", "0 0 9,17 * * last", "cron(0 9 1 * *)"], "America/New_York"),
        union(&["0 0 0", "rate(36 hours)", "at(2027-01-01T00:00:00)"], "America/Sao_Paulo"),
        union(&["rate(8 hours)", "rate(12 hours)", "at(2027-01-01T00:00:00)"], "UTC"),
        union(&["*/20 4,5,30,34 4,5,12,16 * * * 3,5 2017,2027"], "UTC"),
    ];
    let (from, to) = (instant("2017-03-03T12:34:56Z"), instant("2027-05-05T05:05:05Z"));
    for schedule in schedules {
        let walked = schedule.upcoming(from).take_while(|tick| *tick <= to).count();
        assert_eq!(schedule.count_in(from, to), walked as u64, "{schedule:?}");
        assert_eq!(schedule.last_in(from, to), schedule.upcoming(from).take(walked).last());
    }
}

#[test]
fn counting_and_looking_back_over_a_rate_agree_with_its_ticks() {
    let started = bounded("rate(36 hours)", "2026-01-01T09:30:00Z", "2030-01-01T00:00:00Z");
    for rate in [schedule("rate(7 hours)", "UTC").unwrap(), started] {
        let ticks: Vec<Timestamp> = rate.upcoming(instant("2026-03-01T00:00:00Z")).take(20).collect();
        for until in [ticks[9], ticks[9] + SignedDuration::from_secs(1)] {
            assert_eq!(rate.last_in(Timestamp::MIN, until), Some(ticks[9]), "{rate:?}");
            for (after, count) in [
                (ticks[0], 9),
                (ticks[0] - SignedDuration::from_secs(1), 10),
                (ticks[8], 1),
                (ticks[9] - SignedDuration::from_secs(1), 1),
                (ticks[9], 0),
            ] {
                assert_eq!(rate.count_in(after, until), count, "{rate:?} from {after}");
            }
        }
        assert_eq!(rate.last_in(ticks[3], ticks[4] - SignedDuration::from_secs(1)), None);
    }
}

#[test]
fn a_rate_beside_another_expression_counts_from_the_second_after_the_start() {
    let both = union(&["0 30 0", "rate(1 hour)"], "UTC");
    let (before, tick) = (instant("2026-01-01T04:59:59Z"), instant("2026-01-01T05:00:00Z"));
    assert_eq!(both.count_in(before, tick), 1);
    assert_eq!(both.count_in(before - SignedDuration::from_secs(1), tick), 1);
    assert_eq!(both.count_in(tick, tick), 0);
}

#[test]
fn looking_back_over_stepped_years_and_weeks_finds_the_last_day_named() {
    let years = schedule("0 0 0 * * 1 1 2026-2039/4", "UTC").unwrap();
    let last = |until: &str| years.last_in(Timestamp::MIN, instant(until)).map(|tick| tick.to_string());
    for (until, tick) in [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2029-12-31T23:59:59Z", "2026-01-01T00:00:00Z"),
        ("2031-06-01T00:00:00Z", "2030-01-01T00:00:00Z"),
        ("2039-06-01T00:00:00Z", "2038-01-01T00:00:00Z"),
        ("2090-01-01T00:00:00Z", "2038-01-01T00:00:00Z"),
    ] {
        assert_eq!(last(until).as_deref(), Some(tick), "{until}");
    }
    assert_eq!(last("2025-12-31T23:59:59Z"), None);
    let mondays = schedule("0 0 9,17 mon", "UTC").unwrap();
    let tick = mondays.last_in(instant("2026-01-01T00:00:00Z"), instant("2026-01-07T12:00:00Z"));
    assert_eq!(tick, Some(instant("2026-01-05T17:00:00Z")));
}

#[test]
fn counting_a_union_from_and_to_any_second_agrees_with_iterating() {
    let both = union(&["*/20 0-5 0,5", "*/30 5 0,5,12"], "UTC");
    let times =
        ["00:00:00", "00:00:59", "00:04:10", "05:04:59", "05:05:01", "05:05:20", "05:05:45", "23:59:59"];
    let moments = |day: &str| times.map(|time| instant(&format!("2026-01-{day}T{time}Z")));
    for from in moments("01") {
        for until in moments("01").into_iter().chain(moments("03")) {
            let ticks = both.upcoming(from).take_while(|tick| *tick <= until).count();
            assert_eq!(both.count_in(from, until), ticks as u64, "{from} to {until}");
        }
    }
}

#[test]
fn a_schedule_is_cheap_to_share() {
    fn is_shareable<T: Send + Sync + Clone + 'static>(_: &T) {}
    let one = schedule("0 0 0", "UTC").unwrap();
    is_shareable(&one);
    assert!(one.clone().shares_memory_with(&one));
    assert_eq!(size_of::<Schedule>(), size_of::<usize>());
}
