//! Every recorded case of the Python version.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use ecs_scheduler_core::schedule::{
    Schedule, ScheduleErrorKind, ScheduleSpec, Strictness, is_wild, parse_time_zone, resolve_wildcards,
};
use flate2::read::GzDecoder;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use serde_json::Value;

use super::oracle;

/// Cases that are not is_included, each for a reason.
const EXCEPTIONS: [(&str, &str); 2] = [
    ("s-0e9989c07613", "`@daily` was an error; macros are one of the five spellings now"),
    (
        "s-764b327813ca",
        "starts at 03:30 on the day when 02:30 is shifted onto 03:30: the start is inclusive, so that tick counts",
    ),
];

fn recorded() -> Vec<Value> {
    let is_included = |case: &Value| EXCEPTIONS.iter().all(|(id, _)| case["id"] != *id);
    fixture("cases.jsonl.gz").into_iter().filter(is_included).collect()
}

fn fixture(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/schedule").join(name);
    let mut text = String::new();
    GzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text<'a>(case: &'a Value, key: &str) -> Option<&'a str> {
    case[key].as_str()
}

/// Reads `2024-6-1T9:05:07` and the like, which the Python version took.
fn local_time(text: &str) -> Option<DateTime> {
    let pieces: Option<Vec<i16>> = text.split(['-', 'T', ' ', ':']).map(|piece| piece.parse().ok()).collect();
    let mut pieces = pieces?;
    pieces.resize(6, 0);
    let small = |index: usize| i8::try_from(pieces[index]).ok();
    DateTime::new(pieces[0], small(1)?, small(2)?, small(3)?, small(4)?, small(5)?, 0).ok()
}

/// A bound of a case: in the job's zone where it has no offset, as the Python version first read it.
fn bound(text: &str, zone: &TimeZone) -> Timestamp {
    if let Ok(instant) = text.parse() {
        return instant;
    }
    let local = text.parse().ok().or_else(|| local_time(text));
    // The end of year 9999 lies beyond what a timestamp can hold.
    local.and_then(|local| zone.to_timestamp(local).ok()).unwrap_or(Timestamp::MAX)
}

fn parse(
    case: &Value,
    strictness: Strictness,
) -> Result<Schedule, ecs_scheduler_core::schedule::ScheduleError> {
    let expressions = [text(case, "schedule").unwrap().to_owned()];
    let timezone = text(case, "timezone");
    let zone = parse_time_zone(timezone.unwrap_or_default())?;
    let bound = |key| text(case, key).map(|value| bound(value, &zone));
    let (start, end) = (bound("start"), bound("end"));
    Schedule::parse(&ScheduleSpec { timezone, start, end, strictness, ..ScheduleSpec::written(&expressions) })
}

/// The first eight ticks at or after the moment of a case.
fn ticks(case: &Value, schedule: &Schedule) -> Vec<Timestamp> {
    let after: Timestamp = text(case, "after").unwrap().parse().unwrap();
    schedule.upcoming(after - 1.nanosecond()).take(8).collect()
}

fn instants(list: &Value) -> Vec<Timestamp> {
    let instant = |value: &Value| {
        let text = value.as_str().unwrap();
        text.parse::<Timestamp>().or_else(|_| text.parse::<Zoned>().map(|zoned| zoned.timestamp())).unwrap()
    };
    list.as_array().unwrap().iter().map(instant).collect()
}

fn has_tag(case: &Value, tag: &str) -> bool {
    case["tags"].as_array().unwrap().iter().any(|known| known == tag)
}

/// Why got and recorded ticks differ, if they do.
///
/// An hour of `*` or `*/n` ticks whenever the wall clock matches. A fixed hour does so except on the second pass
/// of a fold, and it also ticks where a gap shifts it to. The Python version did either depending on when it was asked, so
/// those ticks are compared only where they are marked.
fn difference(case: &Value, schedule: &Schedule) -> Option<String> {
    let got = ticks(case, schedule);
    let recorded = instants(&case["next"]);
    let marked =
        |kind: &str| case["dst"].as_array().is_some_and(|kinds| kinds.iter().any(|known| known == kind));
    let words = text(case, "schedule").unwrap();
    let wall = if case["dst"].is_array() { instants(&case["wall_next"]) } else { recorded.clone() };
    let zone = schedule.time_zone();
    if *zone == TimeZone::UTC || oracle::hour_runs(words.split_whitespace().nth(2).unwrap_or("*")) {
        return (got != wall).then(|| format!("{case}\n  got {got:?}"));
    }
    let names = |wall| oracle::matches_fields(words, wall);
    let plain = |at: &Timestamp| names(zone.to_datetime(*at)) && oracle::is_tick(zone, *at, false, names);
    let (got_plain, wall): (Vec<_>, Vec<_>) =
        (got.iter().copied().filter(plain).collect(), wall.into_iter().filter(plain).collect());
    let all_plain = got_plain.starts_with(&wall) || wall.starts_with(&got_plain);
    let shifted = recorded.iter().filter(|at| !names(zone.to_datetime(**at)));
    let last = got.last().copied().unwrap_or(Timestamp::MAX);
    let all_shifted = shifted.into_iter().all(|at| *at > last || got.contains(at));
    let only_ticks = got.iter().all(|at| oracle::is_tick(zone, *at, false, names));
    let enough = got_plain.len() >= wall.len().min(7) || case["exhausted"] != true && got.len() == 8;
    let right = all_plain && only_ticks && enough && (marked("missed") || all_shifted);
    (!right).then(|| format!("{case}\n  got {got:?}"))
}

#[test]
fn every_recorded_case_ticks_as_the_python_version_did_or_better() {
    let mut wrong = Vec::new();
    for case in recorded().iter().filter(|case| case["next"].is_array()) {
        match parse(case, Strictness::Lenient) {
            Ok(schedule) => wrong.extend(difference(case, &schedule)),
            Err(error) => wrong.push(format!("{case}\n  {error}")),
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong[..wrong.len().min(10)].join("\n"));
}

#[test]
fn every_recorded_error_has_the_python_versions_message() {
    let mut checked = 0;
    for case in recorded().iter().filter(|case| case["error"] == true) {
        let messages = &case["messages"];
        if messages["scheduleStart"].is_array() || messages["scheduleEnd"].is_array() {
            continue; // Dates are parsed with the job, not with the schedule.
        }
        for strictness in [Strictness::Strict, Strictness::Lenient] {
            let error = parse(case, strictness).expect_err(&case.to_string());
            let (key, prefix) = match error.kind() {
                ScheduleErrorKind::TimeZone => ("timezone", ""),
                ScheduleErrorKind::Syntax | _ => ("parsedSchedule", "Invalid schedule syntax: "),
            };
            assert_eq!(messages[key][0], format!("{prefix}{error}"), "{case}");
        }
        checked += 1;
    }
    assert!(checked > 500, "{checked}");
}

#[test]
fn only_lenient_names_are_rejected_when_written() {
    for case in recorded().iter().filter(|case| case["next"].is_array()) {
        let lenient = has_tag(case, "lenient") || has_tag(case, "fuzz-valid");
        match parse(case, Strictness::Strict) {
            Ok(schedule) => {
                // `0-0/30` is marked lenient, but it is within the grammar.
                assert!(
                    !has_tag(case, "lenient") || text(case, "schedule").unwrap().contains("0-0/"),
                    "{case}"
                );
                assert_eq!(ticks(case, &schedule), ticks(case, &parse(case, Strictness::Lenient).unwrap()));
            }
            Err(error) => assert!(lenient, "{case}: {error}"),
        }
    }
}

#[test]
fn wildcards_resolve_as_in_the_python_version() {
    let wildcards = recorded().into_iter().filter(|case| case["wildcard"] == true);
    for case in wildcards {
        let schedule = text(&case, "schedule").unwrap();
        assert!(is_wild(schedule));
        let resolved = resolve_wildcards(schedule, "job");
        assert!(!is_wild(&resolved));
        // Each `?` of the pattern is an alternation of its numbers; everything else is literal.
        let changed = schedule.split(' ').zip(resolved.split(' ')).enumerate();
        for (index, (before, after)) in changed {
            match before {
                "?" => assert!(after.parse::<u32>().unwrap() < if index == 2 { 24 } else { 60 }),
                _ => assert_eq!(before, after),
            }
        }
        assert!(Schedule::parse(&ScheduleSpec::written(&[resolved.into_owned()])).is_ok());
    }
}

#[test]
fn inputs_that_broke_the_python_version_are_handled() {
    for case in fixture("python-bugs.jsonl.gz") {
        if case["bug"] == "S-OFFSET" || case["bug"] == "S-NAIVE-DST" {
            continue; // Dates are parsed with the job, not with the schedule.
        }
        let schedule = parse(&case, Strictness::Strict).unwrap();
        let got = ticks(&case, &schedule);
        assert!(got.is_sorted_by(|one, next| one < next), "{case}");
        let Some(better) = case["better"].as_array() else { continue };
        let hour = text(&case, "schedule").unwrap().split_whitespace().nth(2).unwrap_or("*").to_owned();
        let better: Vec<Timestamp> = better.iter().map(|at| at.as_str().unwrap().parse().unwrap()).collect();
        let zone = schedule.time_zone();
        let wanted: Vec<Timestamp> = better
            .into_iter()
            .filter(|at| {
                oracle::hour_runs(&hour)
                    || zone
                        .to_ambiguous_timestamp(zone.to_datetime(*at))
                        .compatible()
                        .is_ok_and(|first| first == *at)
            })
            .collect();
        assert!(got.starts_with(&wanted), "{case}\n  got {got:?}");
    }
}

#[test]
fn zone_data_newer_than_the_python_versions_is_used() {
    for case in fixture("zone-data.jsonl.gz") {
        let schedule = parse(&case, Strictness::Strict).unwrap();
        let words = text(&case, "schedule").unwrap();
        let runs = oracle::hour_runs(words.split_whitespace().nth(2).unwrap_or("*"));
        for tick in ticks(&case, &schedule) {
            let right =
                oracle::is_tick(schedule.time_zone(), tick, runs, |wall| oracle::matches_fields(words, wall));
            assert!(right, "{case}: {tick}");
        }
    }
}
