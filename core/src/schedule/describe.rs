//! Descriptions of schedules in words.

use jiff::Timestamp;

use super::field::{self, FIELDS};
use super::fields;
use super::item::Item;
use super::spec::{Spelling, expand_macro};
use super::{Strictness, cron};

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
type CodeName = fn(u16) -> String;

/// The fields that name whole parts of the year.
const DATES: [(usize, &str, CodeName); 3] = [
    (field::WEEK, "ISO week", |week| format!("ISO week {week}")),
    (field::MONTH, "month", |month| MONTHS[usize::from(month) - 1].to_owned()),
    (field::YEAR, "year", |year| year.to_string()),
];

/// The maximum number of times of day that are listed one by one.
const MOST_TIMES: usize = 6;

/// Describes one expression, which has been parsed before, without its zone.
pub(super) fn expression(text: &str, start: Option<Timestamp>) -> String {
    match Spelling::detect(text) {
        Spelling::Fields(text) => eight_fields(text),
        Spelling::Macro(name) => expand_macro(name).map_or_else(|_| text.to_owned(), eight_fields),
        Spelling::Cron(body) => cron_fields(text, body),
        Spelling::Rate(body) => {
            let anchor = start.map_or("1970-01-01T00:00:00Z".to_owned(), |start| start.to_string());
            let body: Vec<&str> = body.split_ascii_whitespace().collect();
            let period = match body[..] {
                [count, unit] => {
                    let unit = unit.to_ascii_lowercase();
                    let unit = unit.strip_suffix('s').unwrap_or(&unit);
                    if count.parse() == Ok(1) { unit.to_owned() } else { format!("{count} {unit}s") }
                }
                _ => body.join(" "),
            };
            format!("Every {period}, counted from {anchor}")
        }
        Spelling::At(body) => format!("Once, at {}", body.replace('T', " ")),
        Spelling::Zoned { .. } => text.to_owned(),
    }
}

/// The items of the eight fields.
type Items = [Vec<Item>; 8];

fn eight_fields(text: &str) -> String {
    let mut items: Items = Default::default();
    let parsed =
        fields::parse(text, Strictness::Lenient, |index, _, item| items[index].push(plain(index, item)));
    if parsed.is_err() { text.to_owned() } else { in_words(&items, false) }
}

fn cron_fields(text: &str, body: &str) -> String {
    let mut items: Items = Default::default();
    match cron::parse(body, |index, _, item| items[index].push(plain(index, item))) {
        Ok(line) => in_words(&items, line.either_day_matches()),
        Err(_) => text.to_owned(),
    }
}

/// Simplifies an item without changing its values: `0-59` and `0/15` are steps of the whole field; `*/45` is not, because
/// it restarts with each hour.
fn plain(index: usize, item: Item) -> Item {
    let field = &FIELDS[index];
    let (first, last, step) = match item {
        Item::Every { step } => (field.min, field.max, step),
        Item::Range { first, last, step } => (first, last, step),
        Item::Nth { .. } | Item::FromEnd { .. } | Item::Nearest { .. } | Item::NearestFromEnd { .. } => {
            return item;
        }
    };
    let is_time = index <= field::HOUR;
    let is_whole = (first, last) == (field.min, field.max) && step <= field.max - field.min;
    let is_even = !is_time || (field.max + 1).is_multiple_of(step);
    if is_whole && is_even { Item::Every { step } } else { Item::Range { first, last, step } }
}

fn in_words(items: &Items, either_day: bool) -> String {
    let mut words = time_of_day(items);
    words.push_str(&days(items, either_day));
    for (index, unit, name) in DATES {
        if !is_every(&items[index]) {
            words.push_str(" in ");
            words.push_str(&list(index, unit, &items[index], &name));
        }
    }
    words
}

fn time_of_day(items: &Items) -> String {
    if let Some(times) = spelled_out(items) {
        return format!("At {}", and(&times));
    }
    let whole_minutes = few(field::SECOND, &items[field::SECOND]).is_some_and(|seconds| seconds == [0]);
    let clear = |index: usize| every_step(&items[index]).is_some();
    let mut words = leading(items, if whole_minutes { field::MINUTE } else { field::SECOND });
    if !whole_minutes {
        words.push_str(&within(items, field::MINUTE, clear(field::SECOND)));
    }
    words.push_str(&within(items, field::HOUR, clear(field::MINUTE)));
    words
}

/// The times of day one by one, if they are few.
fn spelled_out(items: &Items) -> Option<Vec<String>> {
    let [seconds, minutes, hours] =
        [field::SECOND, field::MINUTE, field::HOUR].map(|index| few(index, &items[index]));
    let (seconds, minutes, hours) = (seconds?, minutes?, hours?);
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
fn leading(items: &Items, index: usize) -> String {
    let unit = FIELDS[index].name;
    match every_step(&items[index]) {
        Some(1) => format!("Every {unit}"),
        Some(step) => format!("Every {step} {unit}s"),
        None => format!("At {}", named(index, &items[index])),
    }
}

/// ` of every 2nd hour`, ` in hours 8 to 18`; nothing when every one is meant and that is already clear.
fn within(items: &Items, index: usize, clear: bool) -> String {
    let unit = FIELDS[index].name;
    match every_step(&items[index]) {
        Some(1) if clear => String::new(),
        Some(1) => format!(" of every {unit}"),
        Some(step) => format!(" of every {} {unit}", ordinal(step)),
        None => format!(" in {}", named(index, &items[index])),
    }
}

fn named(index: usize, items: &[Item]) -> String {
    let unit = FIELDS[index].name;
    let plural = if few(index, items).is_some_and(|values| values.len() == 1) { "" } else { "s" };
    format!("{unit}{plural} {}", list(index, unit, items, &|value| value.to_string()))
}

fn days(items: &Items, either: bool) -> String {
    let (weekdays, days) = (&items[field::DAY_OF_WEEK], &items[field::DAY]);
    let on_weekdays = || list(field::DAY_OF_WEEK, "weekday", weekdays, &weekday);
    match (is_every(days), is_every(weekdays)) {
        (true, true) => every_day(items),
        (true, false) | (false, true) if either => every_day(items),
        (true, false) => format!(" on {}", on_weekdays()),
        (false, true) => format!(" on {}", days_of_month(days)),
        (false, false) if either => format!(" on {} and on {}", days_of_month(days), on_weekdays()),
        (false, false) => format!(" on {}, if that is {}", days_of_month(days), on_weekdays()),
    }
}

pub(super) fn weekday(value: u16) -> String {
    WEEKDAYS[usize::from(value)].to_owned()
}

fn every_day(items: &Items) -> String {
    if has_single_time(items) { " every day".to_owned() } else { String::new() }
}

fn has_single_time(items: &Items) -> bool {
    (field::SECOND..=field::HOUR).all(|index| few(index, &items[index]).is_some())
        && items[field::WEEK..].iter().all(|items| is_every(items))
}

fn days_of_month(items: &[Item]) -> String {
    let (numbered, others): (Vec<Item>, Vec<Item>) =
        items.iter().partition(|item| matches!(item, Item::Every { .. } | Item::Range { .. }));
    let mut parts: Vec<String> = Vec::new();
    if !numbered.is_empty() {
        parts.push(list(field::DAY, "day", &numbered, &|day| format!("day {day}")));
    }
    parts.extend(others.into_iter().map(day_of_month));
    format!("{} of the month", and(&parts))
}

fn day_of_month(item: Item) -> String {
    match item {
        Item::Nth { row, weekday } => format!("the {} {}", ROWS[row], WEEKDAYS[weekday]),
        Item::FromEnd { back } => from_end(back),
        Item::Nearest { day } => format!("the working day nearest to day {day}"),
        Item::NearestFromEnd { back: 0 } => "the last working day".to_owned(),
        Item::NearestFromEnd { back } => format!("the working day nearest to {}", from_end(back)),
        Item::Every { .. } | Item::Range { .. } => String::new(),
    }
}

fn from_end(back: u16) -> String {
    match back {
        0 => "the last day".to_owned(),
        back => format!("the {} day before the last", ordinal(back)),
    }
}

/// `1, 5 and 8 to 20 in steps of 4`, each value by its name.
fn list(index: usize, unit: &str, items: &[Item], name: &dyn Fn(u16) -> String) -> String {
    let words = |item: &Item| -> Vec<String> {
        let values = item.values(&FIELDS[index]);
        match *item {
            Item::Every { step } => vec![format!("every {} {unit}", ordinal(step))],
            Item::Range { step, .. } if step > 1 && values.clone().nth(MOST_TIMES).is_some() => {
                let last = values.last().unwrap_or_default();
                let first = item.values(&FIELDS[index]).next().unwrap_or_default();
                vec![format!("{} to {} in steps of {step}", name(first), name(last))]
            }
            Item::Range { first, last, step: 1 } if first != last => {
                vec![format!("{} to {}", name(first), name(last))]
            }
            Item::Range { .. }
            | Item::Nth { .. }
            | Item::FromEnd { .. }
            | Item::Nearest { .. }
            | Item::NearestFromEnd { .. } => values.map(name).collect(),
        }
    };
    and(&items.iter().flat_map(words).collect::<Vec<_>>())
}

/// The values, if they are few and no range is among them.
fn few(index: usize, items: &[Item]) -> Option<Vec<u16>> {
    let values = |item: &Item| match *item {
        Item::Range { first, last, step } if first == last || step > 1 => {
            let values: Vec<u16> = item.values(&FIELDS[index]).take(MOST_TIMES + 1).collect();
            (values.len() <= MOST_TIMES).then_some(values)
        }
        Item::Every { .. }
        | Item::Range { .. }
        | Item::Nth { .. }
        | Item::FromEnd { .. }
        | Item::Nearest { .. }
        | Item::NearestFromEnd { .. } => None,
    };
    items.iter().map(values).collect::<Option<Vec<_>>>().map(|values| values.concat())
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
