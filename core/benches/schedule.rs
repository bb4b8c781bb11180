//! How many ticks a second the evaluator finds, one JSON line a case.
//!
//! Run with `cargo bench -p ecs-scheduler-core --bench schedule`. `ratio` compares with the named baseline: croner
//! where it can express the schedule, else one conversion of an instant to local time and back by jiff.

use std::hint::black_box;
use std::time::{Duration, Instant};

use ecs_scheduler_core::schedule::{Schedule, ScheduleCache, ScheduleSpec, parse_time_zone};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// Name, expression, zone, and the same for croner (seconds first) if it has it.
const CASES: [(&str, &str, &str, Option<&str>); 12] = [
    ("every second", "*", "America/New_York", Some("* * * * * *")),
    ("every minute", "0 *", "America/New_York", Some("0 * * * * *")),
    ("every 5 minutes", "0 */5", "America/New_York", Some("0 */5 * * * *")),
    ("daily", "0 0 12", "America/New_York", Some("0 0 12 * * *")),
    ("daily in UTC", "0 0 12", "UTC", Some("0 0 12 * * *")),
    ("office hours", "0 */10 8-18 mon-fri", "Europe/Berlin", Some("0 */10 8-18 * * MON-FRI")),
    ("last Friday", "0 0 8 * * last_fri", "Europe/Berlin", None),
    ("cron: working day nearest the 15th", "cron(0 0 15W * ? *)", "America/New_York", None),
    ("rate", "rate(7 minutes)", "UTC", None),
    ("29 February", "0 0 0 * * 29 2", "America/New_York", Some("0 0 0 29 2 *")),
    ("fifth Saturday of February", "0 0 0 * * 5th_sat 2", "America/New_York", None),
    ("1 January as a Friday in ISO week 53", "0 0 0 fri 53 1 1", "America/New_York", None),
];

/// Schedules without any tick, with the reason.
const NEVER: [(&str, &str); 4] = [
    ("30 February", "0 0 0 * * 30 2"),
    ("week 53 in March", "0 0 0 * 53 * 3-10"),
    ("third Wednesday on a Monday", "* 28 13 0 * 3rd_wed"),
    ("years that are over", "0 0 0 * * * * 1970-2000"),
];

fn main() {
    let starts = starts();
    for (name, expression, zone, croner) in CASES {
        let schedule = parse(expression, zone);
        let own = per_second(&starts, |after| schedule.next_after(after));
        let zone = parse_time_zone(zone).expect("a known zone");
        let (baseline, other) = match croner {
            Some(pattern) => ("croner", by_croner(pattern, &zone, &starts)),
            None => ("jiff conversion", by_jiff(&zone, &starts)),
        };
        line("next_after", name, own, Some((baseline, other)));
    }
    for (name, expression) in NEVER {
        let schedule = parse(expression, "America/New_York");
        line("never_fires_after", name, per_second(&starts, |after| schedule.never_fires_after(after)), None);
    }
    let (year, schedule) = (365.days(), parse("*", "America/New_York"));
    let year = starts.iter().map(|&start| start + (year.get_days() * 24).hours()).next().expect("a start");
    line(
        "last_in",
        "a year of seconds",
        per_second(&starts, |at| schedule.last_in(starts[0], at.max(year))),
        None,
    );
    line(
        "count_in",
        "a year of seconds",
        per_second(&starts[..20], |_| schedule.count_in(starts[0], year)),
        None,
    );
    parsing(&starts);
}

fn parsing(starts: &[Timestamp]) {
    for (name, expression, zone, _) in CASES {
        line("parse", name, per_second(starts, |_| parse(expression, zone)), None);
    }
    let cache = ScheduleCache::new(100);
    let expressions = ["0 */10 8-18 mon-fri".to_owned()];
    let spec = ScheduleSpec { timezone: Some("Europe/Berlin"), ..ScheduleSpec::written(&expressions) };
    line("parse", "office hours, from the cache", per_second(starts, |_| cache.parse(&spec)), None);
}

/// 2,000 instants over two years, at odd distances.
fn starts() -> Vec<Timestamp> {
    let first: Timestamp = "2026-01-01T00:00:00Z".parse().expect("an instant");
    (0..2_000_i64).map(|index| first + (index * 31_543).seconds()).collect()
}

fn parse(expression: &str, zone: &str) -> Schedule {
    let expressions = [expression.to_owned()];
    let spec = ScheduleSpec { timezone: Some(zone), ..ScheduleSpec::written(&expressions) };
    Schedule::parse(&spec).expect("a right expression")
}

fn by_croner(pattern: &str, zone: &TimeZone, starts: &[Timestamp]) -> f64 {
    use croner::parser::{CronParser, Seconds};
    let cron =
        CronParser::builder().seconds(Seconds::Required).build().parse(pattern).expect("a right pattern");
    per_second(starts, |after| cron.find_next_occurrence(&after.to_zoned(zone.clone()), false))
}

fn by_jiff(zone: &TimeZone, starts: &[Timestamp]) -> f64 {
    per_second(starts, |after| zone.to_timestamp(zone.to_datetime(after)))
}

/// Calls a second, from at least 200 ms of calls.
#[expect(clippy::disallowed_methods, reason = "measures real time")]
#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn per_second<T>(starts: &[Timestamp], mut call: impl FnMut(Timestamp) -> T) -> f64 {
    let (begin, mut calls) = (Instant::now(), 0_u64);
    while begin.elapsed() < Duration::from_millis(200) {
        for &start in starts {
            black_box(call(black_box(start)));
        }
        calls += starts.len() as u64;
    }
    calls as f64 / begin.elapsed().as_secs_f64()
}

fn line(operation: &str, name: &str, own: f64, baseline: Option<(&str, f64)>) {
    let mut line = serde_json::json!({ "operation": operation, "name": name, "per_second": own.round() });
    if let Some((name, other)) = baseline {
        line["baseline"] = name.into();
        line["ratio"] = ((own / other * 100.0).round() / 100.0).into();
    }
    println!("{line}");
}
