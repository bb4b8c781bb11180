//! `cron(…)` of five fields: exactly a crontab line.

use std::collections::HashMap;

use croner::parser::{CronParser, Seconds};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::cron::Random;
use super::{instant, next, oracle, schedule};

fn days(text: &str, after: &str, count: usize) -> Vec<String> {
    let schedule = schedule(text, "UTC").unwrap_or_else(|error| panic!("{text}: {error}"));
    let names = |tick: Timestamp| tick.to_zoned(TimeZone::UTC).strftime("%a %-d").to_string();
    schedule.upcoming(instant(after)).take(count).map(names).collect()
}

#[test]
fn numbers_of_weekdays_in_five_fields_count_from_sunday_as_in_a_crontab() {
    // 1 January 2027 is a Friday.
    let after = "2027-01-01T00:00:00Z";
    let first = |text: &str| days(&format!("cron(0 9 * * {text})"), after, 5).join(", ");
    assert_eq!(first("1-5"), "Fri 1, Mon 4, Tue 5, Wed 6, Thu 7");
    assert_eq!(first("0"), "Sun 3, Sun 10, Sun 17, Sun 24, Sun 31");
    assert_eq!(first("7"), first("0"));
    assert_eq!(first("SUN"), first("0"));
    assert_eq!(first("1"), first("mon"));
    assert_eq!(first("6"), first("SAT"));
    assert_eq!(first("0,6"), "Sat 2, Sun 3, Sat 9, Sun 10, Sat 16");
    assert_eq!(first("6,7"), first("0,6"));
    assert_eq!(first("5-7"), "Fri 1, Sat 2, Sun 3, Fri 8, Sat 9");
    assert_eq!(first("6-0"), first("0,6"));
    assert_eq!(first("FRI-SUN"), first("5-7"));
    for every_day in ["0-7", "1-7", "0-6", "*", "*/1", "0-7/1", "SUN-SAT"] {
        assert_eq!(first(every_day), "Fri 1, Sat 2, Sun 3, Mon 4, Tue 5", "{every_day}");
    }
    assert_eq!(first("*/2"), "Sat 2, Sun 3, Tue 5, Thu 7, Sat 9");
    assert_eq!(first("0-7/2"), first("*/2"));
    assert_eq!(first("1-7/3"), "Sun 3, Mon 4, Thu 7, Sun 10, Mon 11");
    assert_eq!(first("1-5/2"), "Fri 1, Mon 4, Wed 6, Fri 8, Mon 11");
    assert_eq!(first("0-7/7"), first("0"));
    assert_eq!(first("5L"), "Fri 29, Fri 26, Fri 26, Fri 30, Fri 28");
    assert_eq!(first("1#1"), "Mon 4, Mon 1, Mon 1, Mon 5, Mon 3");
}

#[test]
fn numbers_of_weekdays_in_six_fields_count_from_one_as_in_eventbridge() {
    let after = "2027-01-01T00:00:00Z";
    let first = |text: &str| days(&format!("cron(0 9 ? * {text} *)"), after, 5).join(", ");
    assert_eq!(first("2-6"), "Fri 1, Mon 4, Tue 5, Wed 6, Thu 7");
    assert_eq!(first("1"), first("SUN"));
    assert_eq!(first("7"), first("SAT"));
    assert_eq!(first("1-7"), "Fri 1, Sat 2, Sun 3, Mon 4, Tue 5");
    assert_eq!(first("6L"), "Fri 29, Fri 26, Fri 26, Fri 30, Fri 28");
    assert!(schedule("cron(0 9 ? * 0 *)", "UTC").is_err());
}

#[test]
fn a_day_field_that_begins_with_a_star_does_not_restrict() {
    let after = "2027-01-01T00:00:00Z";
    let ticks = |text: &str| days(text, after, 4).join(", ");
    assert_eq!(ticks("cron(0 0 13 * 5)"), "Fri 8, Wed 13, Fri 15, Fri 22");
    // Odd days that are Mondays.
    assert_eq!(ticks("cron(0 12 */2 * 1)"), "Mon 11, Mon 25, Mon 1, Mon 15");
    // The 13th where it is a Sunday, Tuesday, Thursday or Saturday.
    assert_eq!(ticks("cron(0 12 13 * */2)"), "Sat 13, Sat 13, Tue 13, Thu 13");
    assert_eq!(ticks("cron(0 12 1-31/2 * 1)"), "Fri 1, Sun 3, Mon 4, Tue 5");
    assert_eq!(ticks("cron(0 12 1 * 0-6)"), "Fri 1, Sat 2, Sun 3, Mon 4");
    assert_eq!(ticks("cron(0 12 15 * 1#1)"), "Mon 4, Fri 15, Mon 1, Mon 15");
}

#[test]
fn a_step_larger_than_its_field_names_the_first_value_alone() {
    for (text, same) in [
        ("0 */24 * * *", "0 0 * * *"),
        ("*/60 * * * *", "0 * * * *"),
        ("55 7-23/24 * * *", "55 7 * * *"),
        ("0 0/30 * * *", "0 0 * * *"),
        ("0 0 */31 * *", "0 0 1 * *"),
        ("0 0 1 */13 *", "0 0 1 1 *"),
        ("0 0 * * */7", "0 0 * * 0"),
        ("0 0 * * 3/90", "0 0 * * 3"),
        ("10-20/1000 * * * *", "10 * * * *"),
    ] {
        let [got, meant] =
            [text, same].map(|text| schedule(&format!("cron({text})"), "Europe/Berlin").unwrap());
        let after = "2027-03-01T00:00:00Z";
        assert_eq!(next(&got, after, 60), next(&meant, after, 60), "{text}");
        assert_eq!(got.describe(), meant.describe());
    }
    let refused = schedule("cron(0 */24 * * ? *)", "UTC").unwrap_err().to_string();
    assert!(refused.contains("the step 24 is larger than the field"), "{refused}");
}

#[test]
fn a_step_after_a_value_counts_to_the_last_one_of_the_field() {
    let minutes = schedule("cron(29/30 0 * * *)", "UTC").unwrap();
    let ticks = ["2027-03-01T00:29:00Z", "2027-03-01T00:59:00Z"];
    assert_eq!(next(&minutes, "2027-03-01T00:00:00Z", 2), ticks);
}

#[test]
fn syntax_that_no_crontab_has_is_rejected() {
    for text in [
        "0 9 * * 8",
        "0 9 * * ?",
        "0 9 ? * 1",
        "0 9 */2 * 1#1",
        "0 9 */2 * 5L",
        "0 9 * * 1-5-6",
        "0 9 * * -1",
        "0 9 * * 1,",
        "0 9 * * MONDAY",
        "0 9 * * 1#6",
        "0 9 * * 1/0",
        "0 24 * * 1",
        "0 9 0 * 1",
        "0 9 1 13 1",
        "0 9 * * 1,L",
    ] {
        assert!(schedule(&format!("cron({text})"), "UTC").is_err(), "{text}");
    }
}

const FIELDS: [(u64, u64, &[&str]); 5] = [
    (0, 59, &[]),
    (0, 23, &[]),
    (1, 31, &[]),
    (1, 12, &["jan", "FEB", "Mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    (0, 7, &["SUN", "mon", "Tue", "wed", "thu", "fri", "sat"]),
];

/// A word as a crontab may have it.
fn word(random: &mut Random, index: usize) -> String {
    let (min, max, names) = FIELDS[index];
    if random.below(3) == 0 {
        return "*".to_owned();
    }
    let parts = 1 + random.below(3) * random.below(2);
    let part = |random: &mut Random| {
        let (one, other) = (min + random.below(max - min + 1), min + random.below(max - min + 1));
        let (first, last) = (one.min(other), one.max(other));
        let step = 1 + random.below(max - min + 3);
        let mut name = |value: u64| match names.get(usize::try_from(value - min).unwrap()) {
            Some(name) if random.below(3) == 0 => (*name).to_owned(),
            _ => value.to_string(),
        };
        let (first, last) = (name(first), name(last));
        match random.below(5) {
            0 | 1 => first,
            2 => format!("{first}-{last}"),
            3 => format!("{first}-{last}/{step}"),
            _ => format!("*/{step}"),
        }
    };
    (0..parts).map(|_| part(random)).collect::<Vec<_>>().join(",")
}

/// How far the slow reading looks.
const HORIZON: i64 = 500;

fn by_oracle(line: &str, after: Timestamp) -> Option<Timestamp> {
    let start: DateTime = TimeZone::UTC.to_datetime(after);
    let words: Vec<&str> = line.split(' ').collect();
    let daily = format!("* * {} {} {}", words[2], words[3], words[4]);
    let times = format!("{} {} * * *", words[0], words[1]);
    let is_day =
        |day: &i64| oracle::crontab(&daily, start.date().checked_add(day.days()).unwrap().at(0, 0, 0, 0));
    (0..HORIZON).filter(is_day).find_map(|day| {
        let midnight = start.date().checked_add(day.days()).unwrap().at(0, 0, 0, 0);
        let minutes = (0..1_440).map(|minute: i64| midnight.checked_add(minute.minutes()).unwrap());
        let tick = minutes.filter(|at| *at > start).find(|at| oracle::crontab(&times, *at))?;
        TimeZone::UTC.to_timestamp(tick).ok()
    })
}

fn by_croner(line: &str, after: Timestamp) -> Option<Timestamp> {
    let words: Vec<&str> = line.split(' ').collect();
    let both = [words[2], words[4]].iter().any(|word| word.starts_with('*'));
    let parser = CronParser::builder().seconds(Seconds::Disallowed).dom_and_dow(both).build();
    let next = parser.parse(line).ok()?.find_next_occurrence(&after.to_zoned(TimeZone::UTC), false);
    next.ok().map(|tick| tick.timestamp())
}

#[test]
fn random_crontab_lines_tick_as_vixie_cron_and_croner_say() {
    let mut random = Random(20_270_101);
    let mut outcomes: HashMap<&str, u32> = HashMap::new();
    for _ in 0..6_000 {
        let line: Vec<String> = (0..5).map(|index| word(&mut random, index)).collect();
        let line = line.join(" ");
        let after =
            instant("2010-01-01T00:00:00Z") + i64::try_from(random.below(40 * 525_960)).unwrap().minutes();
        let own = schedule(&format!("cron({line})"), "UTC").unwrap_or_else(|error| panic!("{error}"));
        let got = own.next_after(after);
        let horizon = after + ((HORIZON - 1) * 24).hours();
        let near = got.filter(|tick| *tick < horizon);
        assert_eq!(near, by_oracle(&line, after).filter(|tick| *tick < horizon), "{line} after {after}");
        *outcomes.entry(if near.is_some() { "near" } else { "far" }).or_default() += 1;
        // croner refuses steps that are larger than their field, and takes the end of a range for 7.
        if let Some(expected) = by_croner(&line, after).filter(|_| !line.contains("-SUN")) {
            assert_eq!(got, Some(expected), "{line} after {after}");
            *outcomes.entry("croner").or_default() += 1;
        }
    }
    assert!(outcomes["near"] > 5_000 && outcomes["croner"] > 3_000, "{outcomes:?}");
}
