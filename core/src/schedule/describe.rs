//! Says in words when a schedule fires.

use jiff::Timestamp;

use super::fields::{self, Item};
use super::spec::{Spelling, expand_macro};
use super::{Dialect, cron};

const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const ROWS: [&str; 6] = ["first", "second", "third", "fourth", "fifth", "last"];

/// Names a value of a field.
type Name = fn(u16) -> String;

/// The fields that name whole stretches of the year.
const DATES: [(usize, &str, Name); 3] = [
    (fields::WEEK, "ISO week", |week| format!("ISO week {week}")),
    (fields::MONTH, "month", |month| MONTHS[usize::from(month) - 1].to_owned()),
    (fields::YEAR, "year", |year| year.to_string()),
];

/// Most times of day that are spelled out one by one.
const MOST_TIMES: usize = 6;

/// Describes one expression, which has been parsed before, without its zone.
pub(super) fn expression(text: &str, start: Option<Timestamp>) -> String {
    match Spelling::of(text) {
        Spelling::Fields(text) => eight_fields(text),
        Spelling::Macro(name) => expand_macro(name).map_or_else(|_| text.to_owned(), eight_fields),
        Spelling::Cron(body) => cron::describe(body).unwrap_or_else(|| text.to_owned()),
        Spelling::Rate(body) => {
            let anchor = start.map_or("1970-01-01T00:00:00Z".to_owned(), |start| start.to_string());
            let body: Vec<&str> = body.split_ascii_whitespace().collect();
            let period = match body[..] {
                ["1", unit] => unit.strip_suffix('s').unwrap_or(unit).to_owned(),
                _ => body.join(" "),
            };
            format!("Every {period}, counted from {anchor}")
        }
        Spelling::At(body) => format!("Once, at {}", body.replace('T', " ")),
    }
}

/// The items of the eight fields.
type Items = [Vec<Item>; 8];

fn eight_fields(text: &str) -> String {
    let mut items: Items = Default::default();
    if fields::parse(text, Dialect::Stored, |index, item| items[index].push(item)).is_err() {
        return text.to_owned();
    }
    let mut words = time_of_day(&items);
    words.push_str(&days(&items));
    for (index, unit, name) in DATES {
        if !is_every(&items[index]) {
            words.push_str(" in ");
            words.push_str(&list(unit, &items[index], &name));
        }
    }
    words
}

fn time_of_day(items: &Items) -> String {
    let [seconds, minutes, hours, ..] = items;
    if let Some(times) = spelled_out(seconds, minutes, hours) {
        return format!("At {}", and(&times));
    }
    let whole_minutes = singles(seconds).is_some_and(|seconds| seconds == [0]);
    let mut words = if whole_minutes { leading("minute", minutes) } else { leading("second", seconds) };
    if !whole_minutes {
        words.push_str(&within("minute", minutes, every_step(seconds).is_some()));
    }
    words.push_str(&within("hour", hours, every_step(minutes).is_some()));
    words
}

/// The times of day one by one, where they are few.
fn spelled_out(seconds: &[Item], minutes: &[Item], hours: &[Item]) -> Option<Vec<String>> {
    let (seconds, minutes, hours) = (singles(seconds)?, singles(minutes)?, singles(hours)?);
    if seconds.len() * minutes.len() * hours.len() > MOST_TIMES {
        return None;
    }
    let mut times = Vec::new();
    for hour in &hours {
        for minute in &minutes {
            for second in &seconds {
                let seconds = if *second == 0 { String::new() } else { format!(":{second:02}") };
                times.push(format!("{hour:02}:{minute:02}{seconds}"));
            }
        }
    }
    times.sort();
    times.dedup();
    Some(times)
}

/// `Every 5 minutes`, `At minutes 0 and 30`.
fn leading(unit: &str, items: &[Item]) -> String {
    match every_step(items) {
        Some(1) => format!("Every {unit}"),
        Some(step) => format!("Every {step} {unit}s"),
        None => format!("At {}", named(unit, items)),
    }
}

/// ` of every 2nd hour`, ` in hours 8 to 18`; nothing when every one is meant and that is already clear.
fn within(unit: &str, items: &[Item], clear: bool) -> String {
    match every_step(items) {
        Some(1) if clear => String::new(),
        Some(1) => format!(" of every {unit}"),
        Some(step) => format!(" of every {} {unit}", ordinal(step)),
        None => format!(" in {}", named(unit, items)),
    }
}

fn named(unit: &str, items: &[Item]) -> String {
    let plural = if singles(items).is_some_and(|values| values.len() == 1) { "" } else { "s" };
    format!("{unit}{plural} {}", list(unit, items, &|value| value.to_string()))
}

fn days(items: &Items) -> String {
    let (weekdays, days) = (&items[fields::DAY_OF_WEEK], &items[fields::DAY]);
    let weekday = |value: u16| WEEKDAYS[usize::from(value)].to_owned();
    match (is_every(days), is_every(weekdays)) {
        (true, true) if has_single_time(items) => " every day".to_owned(),
        (true, true) => String::new(),
        (true, false) => format!(" on {}", list("weekday", weekdays, &weekday)),
        (false, true) => format!(" on {}", days_of_month(days)),
        (false, false) => {
            format!(" on {}, if that is {}", days_of_month(days), list("weekday", weekdays, &weekday))
        }
    }
}

fn has_single_time(items: &Items) -> bool {
    items[..3].iter().all(|items| singles(items).is_some())
        && items[fields::WEEK..].iter().all(|i| is_every(i))
}

fn days_of_month(items: &[Item]) -> String {
    let (numbered, named): (Vec<Item>, Vec<Item>) =
        items.iter().partition(|item| matches!(item, Item::Every { .. } | Item::Range { .. }));
    let mut parts: Vec<String> = Vec::new();
    if !numbered.is_empty() {
        parts.push(list("day", &numbered, &|day| format!("day {day}")));
    }
    parts.extend(named.iter().map(|item| match item {
        Item::Nth { row, weekday } => format!("the {} {}", ROWS[*row], WEEKDAYS[*weekday]),
        Item::Every { .. } | Item::Range { .. } | Item::LastDay => "the last day".to_owned(),
    }));
    format!("{} of the month", and(&parts))
}

/// `1, 5 and 8 to 20 in steps of 4`, each value by its name.
fn list(unit: &str, items: &[Item], name: &dyn Fn(u16) -> String) -> String {
    let words = |item: &Item| match *item {
        Item::Range { first, last, .. } if first == last => name(first),
        Item::Range { first, last, step: 1 } => format!("{} to {}", name(first), name(last)),
        Item::Range { first, last, step } => format!("{} to {} in steps of {step}", name(first), name(last)),
        Item::Every { step } => format!("every {} {unit}", ordinal(step)),
        Item::Nth { .. } | Item::LastDay => String::new(),
    };
    and(&items.iter().map(words).collect::<Vec<_>>())
}

/// The values, if each item is a single one.
fn singles(items: &[Item]) -> Option<Vec<u16>> {
    let value = |item: &Item| match *item {
        Item::Range { first, last, .. } if first == last => Some(first),
        Item::Range { .. } | Item::Every { .. } | Item::Nth { .. } | Item::LastDay => None,
    };
    items.iter().map(value).collect()
}

fn every_step(items: &[Item]) -> Option<u16> {
    match items {
        [Item::Every { step }] => Some(*step),
        _ => None,
    }
}

fn is_every(items: &[Item]) -> bool {
    items.iter().any(|item| matches!(item, Item::Every { step: 1 }))
}

/// `5th`, `22nd`.
pub(super) fn ordinal(number: u16) -> String {
    let ending = match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// `a, b and c`.
fn and(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [only] => only.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}
