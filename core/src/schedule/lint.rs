//! Warns of schedules that are valid but probably not meant.

use jiff::Timestamp;

use super::calendar::DAY;
use super::days::EVERY_WEEKDAY;
use super::describe::ordinal;
use super::entry::Entry;
use super::fields::{self, Item};
use super::pattern::{HourRule, Pattern};
use super::spec::Spelling;
use super::zone::{Stretch, Zone, at};
use super::{Dialect, Parsed, floor};

/// How far ahead changes of the clock are looked for: a year and a month.
const AHEAD: i64 = 396 * DAY;
const ALL_MINUTES: u64 = (1 << 60) - 1;

pub(super) fn warnings(schedule: &Parsed, from: Timestamp) -> Vec<String> {
    let mut warnings = Vec::new();
    let (_, last) = schedule.bounds();
    if last < floor(from) {
        let end = schedule.end.unwrap_or(Timestamp::MAX);
        warnings.push(format!("the schedule ended at {end}"));
    } else if schedule.start.zip(schedule.end).is_some_and(|(start, end)| end < start) {
        warnings.push("the end lies before the start, so it never fires".to_owned());
    }
    let texts = schedule.expressions.iter().map(AsRef::as_ref);
    for (text, entry) in texts.zip(&schedule.entries) {
        match (Spelling::of(text), entry) {
            (Spelling::Fields(text), Entry::Pattern(pattern)) => of_fields(text, pattern, &mut warnings),
            (Spelling::Cron(_), Entry::Pattern(pattern)) => of_cron(text, pattern, &mut warnings),
            _ => {}
        }
        if let Entry::Pattern(pattern) = entry {
            skipped_times(pattern, &schedule.zone, floor(from), &mut warnings);
        }
    }
    redundant(schedule, &mut warnings);
    warnings
}

fn of_fields(text: &str, pattern: &Pattern, warnings: &mut Vec<String>) {
    let words: Vec<&str> = fields::words(text).map(|(_, word)| word).collect();
    if words.len() == 5 {
        warnings.push(format!(
            "`{text}` is read as second, minute, hour, weekday and ISO week; for Unix cron write `cron({})`",
            text.trim()
        ));
    }
    if let (true, Some(minute)) = (pattern.times.seconds == ALL_MINUTES, words.get(1)) {
        every_second(text, minute, &words, pattern, warnings);
    }
    if let Some(weekdays) = words
        .get(fields::DAY_OF_WEEK)
        .filter(|word| word.contains(|c: char| c.is_ascii_digit()) && !word.contains('*'))
    {
        let only: String = format!("0 0 0 {weekdays}");
        let named = super::describe::expression(&only, None);
        let named = named.strip_prefix("At 00:00 on ").unwrap_or(&named).to_owned();
        warnings.push(format!("weekdays count from 0 = Monday here: `{weekdays}` is {named}"));
    }
    if pattern.days.narrows_by_number_and_weekday() {
        warnings.push(format!("`{text}` sets day and day_of_week: both must match, unlike in Unix cron"));
    }
    uneven_steps(text, warnings);
    missing_days(pattern, warnings);
}

fn every_second(text: &str, minute: &str, words: &[&str], pattern: &Pattern, warnings: &mut Vec<String>) {
    let rest = words[1..].join(" ");
    let warning = match minute.strip_prefix("*/").and_then(|step| step.parse().ok()) {
        Some(step) => {
            format!("`{text}` fires 60 times in each {} minute (did you mean `0 {rest}`?)", ordinal(step))
        }
        None if pattern.times.minutes != ALL_MINUTES => {
            format!("`{text}` fires 60 times in each minute that it names (did you mean `0 {rest}`?)")
        }
        None if pattern.hours == HourRule::Fixed => {
            let rest = words[2..].join(" ");
            format!("`{text}` fires 3,600 times in each hour that it names (did you mean `0 0 {rest}`?)")
        }
        None => return,
    };
    warnings.push(warning);
}

fn of_cron(text: &str, pattern: &Pattern, warnings: &mut Vec<String>) {
    if pattern.times.minutes == ALL_MINUTES && pattern.hours == HourRule::Fixed {
        warnings.push(format!("`{text}` fires 60 times in each hour that it names (did you mean minute 0?)"));
    }
    if pattern.days.either {
        warnings.push(format!("`{text}` sets both day fields: either one is enough, as in Unix cron"));
    }
    missing_days(pattern, warnings);
}

/// `*/7` minutes do not divide an hour, so the last step is shorter.
fn uneven_steps(text: &str, warnings: &mut Vec<String>) {
    let units = [(60, "second", "minute"), (60, "minute", "hour"), (24, "hour", "day")];
    let mut check = |index: usize, item| {
        let (Some(&(size, unit, whole)), Item::Every { step }) = (units.get(index), item) else { return };
        let last = size % step;
        if last != 0 {
            warnings.push(format!(
                "`*/{step}` begins anew with each {whole}, so its last step is {last} {unit}{} instead of {step}",
                if last == 1 { "" } else { "s" }
            ));
        }
    };
    // The text has been parsed before: it cannot fail here.
    let _ = fields::parse(text, Dialect::Stored, &mut check);
}

fn missing_days(pattern: &Pattern, warnings: &mut Vec<String>) {
    let days = &pattern.days;
    let numbers_only = (days.from_end, days.nearest, days.nearest_from_end, days.nth) == (0, 0, 0, [0; 6]);
    let first = days.of_month.trailing_zeros();
    let alone = numbers_only && !days.either && days.weekdays == EVERY_WEEKDAY;
    let lacking = match first {
        29 => pattern.months & 1 << 2 != 0,
        30 => pattern.months & 1 << 2 != 0,
        31 => pattern.months & (1 << 2 | 1 << 4 | 1 << 6 | 1 << 9 | 1 << 11) != 0,
        _ => false,
    };
    if alone && lacking {
        warnings
            .push(format!("nothing happens in months that have no day {first} (did you mean the last day?)"));
    }
}

/// Local times of a fixed hour that the clock will skip.
fn skipped_times(pattern: &Pattern, zone: &Zone, from: i64, warnings: &mut Vec<String>) {
    if pattern.hours == HourRule::Running {
        return;
    }
    let mut stretch = zone.stretch_at(from);
    while stretch.end < from + AHEAD {
        let gap = stretch.after - stretch.offset;
        if gap > 0
            && let Some(local) = pattern.next_local(stretch.end + stretch.offset)
            && local < stretch.end + stretch.after
        {
            warnings.push(skipped_time(&stretch, local, zone));
            return;
        }
        stretch = zone.stretch_at(stretch.end);
    }
}

fn skipped_time(stretch: &Stretch, local: i64, zone: &Zone) -> String {
    let wall = |local: i64| at(local).to_zoned(jiff::tz::TimeZone::UTC).datetime();
    let (missing, shifted) = (wall(local), wall(local + stretch.after - stretch.offset));
    let time = |at: jiff::civil::DateTime| match at.second() {
        0 => at.strftime("%H:%M").to_string(),
        _ => at.strftime("%H:%M:%S").to_string(),
    };
    format!(
        "{} does not exist on {} in {}, where the clock skips it: the tick comes at {}",
        time(missing),
        missing.date(),
        zone.name(),
        if shifted.date() == missing.date() {
            time(shifted)
        } else {
            format!("{} {}", shifted.date(), time(shifted))
        },
    )
}

/// Expressions of a union that add no tick.
fn redundant(schedule: &Parsed, warnings: &mut Vec<String>) {
    for (index, entry) in schedule.entries.iter().enumerate() {
        let covers = |(other_index, other): &(usize, &Entry)| match (entry, *other) {
            (Entry::Pattern(own), Entry::Pattern(other)) if own != other => own.is_within(other),
            (own, other) => own == other && *other_index < index,
        };
        if let Some((other, _)) = schedule.entries.iter().enumerate().find(covers) {
            warnings.push(format!(
                "`{}` adds nothing to `{}`",
                schedule.expressions[index], schedule.expressions[other]
            ));
        }
    }
}

impl Pattern {
    /// Whether every tick of this pattern is plainly one of the other too.
    fn is_within(&self, other: &Self) -> bool {
        let within = |own: u64, other: u64| own & !other == 0;
        let every_day =
            super::days::DayRule { of_month: super::days::EVERY_DAY, ..super::days::DayRule::none() };
        self.hours == other.hours
            && within(self.times.hours, other.times.hours)
            && within(self.times.minutes, other.times.minutes)
            && within(self.times.seconds, other.times.seconds)
            && within(self.months.into(), other.months.into())
            && (self.years == other.years || other.years == super::years::Years::EVERY)
            && (self.days == other.days || other.days == every_day)
    }
}
