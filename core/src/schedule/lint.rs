//! Lints schedules: warnings about valid but probably unintended settings.

use jiff::{SignedDuration, Timestamp};

use super::calendar::{DAY, FIRST_YEAR, month_length};
use super::compiled_expr::CompiledExpr;
use super::days::EVERY_WEEKDAY;
use super::describe::ordinal;
use super::field::{self, FIELDS};
use super::fields;
use super::foreign::{self, ForeignSyntax};
use super::item::Item;
use super::pattern::{HourRule, Pattern};
use super::spec::{ScheduleSpec, Spelling};
use super::zone::{OffsetSpan, Zone, at};
use super::{Parsed, Schedule, Strictness, cron, floor};

/// How far ahead clock changes are searched: a year and a month.
const CLOCK_CHANGE_HORIZON: i64 = 396 * DAY;
/// The maximum number of ticks to search for two that are close together.
const MAX_TICKS: usize = 1_000;
const ALL_MINUTES: u64 = (1 << 60) - 1;

/// Returns warnings about probable mistakes.
pub(super) fn mistakes(schedule: &Parsed, from: Timestamp) -> Vec<String> {
    let mut warnings = Vec::new();
    let (_, last) = schedule.bounds();
    if last < floor(from) {
        let end = schedule.end.unwrap_or(Timestamp::MAX);
        warnings.push(format!("the schedule ended at {end}"));
    } else if schedule.start.zip(schedule.end).is_some_and(|(start, end)| end < start) {
        warnings.push("the end lies before the start, so it never fires".to_owned());
    }
    let written = if schedule.written.is_empty() { &schedule.expressions } else { &schedule.written };
    for ((text, written), entry) in schedule.expressions.iter().zip(written).zip(&schedule.entries) {
        match (Spelling::detect(text), entry) {
            (Spelling::Fields(text), CompiledExpr::Pattern(pattern)) => {
                lint_fields(text, written, pattern, &mut warnings)
            }
            (Spelling::Cron(body), CompiledExpr::Pattern(pattern)) => {
                lint_cron(text, body, pattern, &mut warnings)
            }
            _ => {}
        }
        if let CompiledExpr::Pattern(pattern) = entry {
            lint_skipped_times(pattern, &schedule.zone, floor(from), &mut warnings);
        }
    }
    lint_redundant(schedule, &mut warnings);
    warnings.extend(schedule.zone.warning());
    warnings
}

/// Returns notes on field combinations that other schedulers read differently.
pub(super) fn notes(schedule: &Parsed) -> Vec<String> {
    let texts = schedule.expressions.iter().map(AsRef::as_ref);
    texts.zip(&schedule.entries).filter_map(|(text, entry)| field_note(text, entry)).collect()
}

fn field_note(text: &str, entry: &CompiledExpr) -> Option<String> {
    match (Spelling::detect(text), entry) {
        (Spelling::Fields(_), CompiledExpr::Pattern(pattern)) => pattern
            .days
            .narrows_by_number_and_weekday()
            .then(|| format!("`{text}` sets day and day_of_week: both must match, unlike in Unix cron")),
        (Spelling::Cron(body), _) => {
            let line = cron::parse(body, |_, _, _| {}).ok()?;
            let together = if line.either_day_matches() {
                "either one is enough"
            } else if line.restricts_both_days() {
                "one begins with `*`, so both must match"
            } else {
                return None;
            };
            Some(format!("`{text}` sets both day fields: {together}, as in Unix cron"))
        }
        _ => None,
    }
}

/// `written` is the text before each `?` was replaced.
fn lint_fields(text: &str, written: &str, pattern: &Pattern, warnings: &mut Vec<String>) {
    let words: Vec<&str> = fields::words(written).map(|(_, word)| word).collect();
    lint_foreign_syntax(written, &words, pattern, warnings);
    if let (true, Some(minute)) = (pattern.times.seconds == ALL_MINUTES, words.get(1)) {
        lint_every_second(written, minute, &words, pattern, warnings);
    }
    if let Some(weekdays) = words
        .get(field::DAY_OF_WEEK)
        .filter(|word| word.contains(|c: char| c.is_ascii_digit()) && !word.contains('*'))
    {
        let only: String = format!("0 0 0 {weekdays}");
        let named = super::describe::expression(&only, None);
        let named = named.strip_prefix("At 00:00 on ").unwrap_or(&named).to_owned();
        warnings.push(format!("weekdays count from 0 = Monday here: `{weekdays}` is {named}"));
    }
    // The text has been parsed before: it cannot fail here.
    let _ = fields::parse(text, Strictness::Lenient, |index, part, item| {
        warnings.extend(uneven_step(index, part, item, pattern));
    });
    lint_missing_days(pattern, warnings);
}

/// Warns about lines that mean something else in a crontab, in Quartz or in Spring.
fn lint_foreign_syntax(text: &str, words: &[&str], pattern: &Pattern, warnings: &mut Vec<String>) {
    let mut read_as = FIELDS.iter().take(words.len()).map(|field| match field.name {
        "day_of_week" => "weekday",
        "week" => "ISO week",
        name => name,
    });
    let last = read_as.next_back().unwrap_or_default();
    let read_as = format!("`{text}` is read as {} and {last}", read_as.collect::<Vec<_>>().join(", "));
    let foreign = ForeignSyntax::detect(words);
    let is_expressible = foreign.is_some();
    let foreign = foreign.filter(|foreign| {
        let expressions = [foreign.expression.clone()];
        let parsed = ScheduleSpec::written(&expressions).parse();
        parsed.is_ok_and(|parsed| *parsed.entries != [CompiledExpr::Pattern(pattern.clone())])
    });
    match foreign {
        Some(ForeignSyntax { scheduler, expression }) => {
            warnings.push(format!("{read_as}; for {scheduler} write `{expression}`"));
        }
        None if words.len() == 5 || (!is_expressible && foreign::begins_with_second(words)) => {
            warnings.push(read_as);
        }
        None => {}
    }
}

fn lint_every_second(
    text: &str,
    minute: &str,
    words: &[&str],
    pattern: &Pattern,
    warnings: &mut Vec<String>,
) {
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

fn lint_cron(text: &str, body: &str, pattern: &Pattern, warnings: &mut Vec<String>) {
    if pattern.times.minutes == ALL_MINUTES && pattern.hours == HourRule::Fixed {
        warnings.push(format!("`{text}` fires 60 times in each hour that it names (did you mean minute 0?)"));
    }
    let mut step_warnings = Vec::new();
    // The text has been parsed before: it cannot fail here.
    let Ok(line) = cron::parse(body, |index, part, item| {
        step_warnings
            .extend(lone_step(index, part, item).or_else(|| uneven_step(index, part, item, pattern)));
    }) else {
        return;
    };
    if let Some(word) = line.numbered_weekday().filter(|_| line.grammar == cron::Grammar::EventBridge) {
        let named = super::describe::expression(&format!("cron(0 0 ? * {word} *)"), None);
        let named = named.strip_prefix("At 00:00 on ").unwrap_or("every day").to_owned();
        warnings.push(format!(
            "weekdays count from 1 = Sunday in six fields: `{word}` is {named} (names such as MON are the same everywhere)"
        ));
    }
    warnings.append(&mut step_warnings);
    lint_missing_days(pattern, warnings);
}

/// The fields whose steps may not divide their range: number of values, unit, and enclosing unit.
const CYCLES: [(u16, &str, &str); 3] =
    [(60, "second", "minute"), (60, "minute", "hour"), (24, "hour", "day")];

/// `*/7` minutes do not divide an hour, so the last step is shorter.
fn uneven_step(index: usize, part: &str, item: Item, pattern: &Pattern) -> Option<String> {
    let (size, unit, whole) = *CYCLES.get(index)?;
    let (first, step) = match item {
        Item::Every { step } => (0, step),
        Item::Range { first, last, step } if step > 1 && last + 1 == size => (first, step),
        Item::Range { .. }
        | Item::Nth { .. }
        | Item::FromEnd { .. }
        | Item::Nearest { .. }
        | Item::NearestFromEnd { .. } => return None,
    };
    // Where no two minutes or hours follow each other, no step leads from one into the next.
    let (next, next_size) = match index {
        field::SECOND => (pattern.times.minutes, 60),
        field::MINUTE => (pattern.times.hours, 24),
        _ => (1, 1),
    };
    let follow_each_other = next & (next >> 1 | next << (next_size - 1)) != 0;
    let gap = size - item.values(&FIELDS[index]).last()? + first;
    (gap != step && follow_each_other).then(|| {
        let plural = if gap == 1 { "" } else { "s" };
        format!("`{part}` starts over with each {whole}, so its last step is {gap} {unit}{plural} instead of {step}")
    })
}

/// A step that is larger than its range, as crontab lines may have it.
fn lone_step(index: usize, part: &str, item: Item) -> Option<String> {
    part.contains('/').then_some(())?;
    let mut values = item.values(&FIELDS[index]);
    let (only, None) = (values.next()?, values.next()) else { return None };
    let unit = FIELDS[index].name;
    let named = match index {
        field::DAY_OF_WEEK => super::describe::weekday(only),
        _ => format!("{unit} {only}"),
    };
    Some(format!("`{part}` names {named} alone: the step is larger than the range"))
}

fn lint_missing_days(pattern: &Pattern, warnings: &mut Vec<String>) {
    let days = &pattern.days;
    let numbers_only = (days.from_end, days.nearest, days.nearest_from_end, days.nth) == (0, 0, 0, [0; 6]);
    let first = days.of_month.trailing_zeros();
    let alone = numbers_only && !days.either && days.weekdays == EVERY_WEEKDAY;
    let lacks_day = |month| pattern.months >> month & 1 == 1 && month_length(FIRST_YEAR, month) < first;
    let lacking = (1..=12).any(lacks_day);
    if alone && lacking {
        warnings
            .push(format!("nothing happens in months that have no day {first} (did you mean the last day?)"));
    }
}

/// Warns about local times of a fixed hour that the clock will skip.
fn lint_skipped_times(pattern: &Pattern, zone: &Zone, from: i64, warnings: &mut Vec<String>) {
    if pattern.hours == HourRule::Running {
        return;
    }
    let mut span = zone.offset_span_at(from);
    while span.end < from + CLOCK_CHANGE_HORIZON {
        if let Some(local) = pattern.next_local(span.end + span.offset)
            && local < span.end + span.after
        {
            warnings.push(skipped_time(&span, local, zone));
            return;
        }
        span = zone.offset_span_at(span.end);
    }
}

fn skipped_time(span: &OffsetSpan, local: i64, zone: &Zone) -> String {
    let wall = |local: i64| at(local).to_zoned(jiff::tz::TimeZone::UTC).datetime();
    let (missing, shifted) = (wall(local), wall(local + span.after - span.offset));
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

/// Returns two consecutive upcoming ticks that are closer together than a delay.
pub(super) fn sooner_than(
    schedule: &Schedule,
    from: Timestamp,
    delay: SignedDuration,
) -> Option<(Timestamp, Timestamp)> {
    let mut before: Option<Timestamp> = None;
    schedule.upcoming(from).take(MAX_TICKS).find_map(|tick| {
        let previous = before.replace(tick)?;
        (tick.duration_since(previous) < delay).then_some((previous, tick))
    })
}

/// Warns about expressions of a union that add no tick.
fn lint_redundant(schedule: &Parsed, warnings: &mut Vec<String>) {
    for (index, entry) in schedule.entries.iter().enumerate() {
        let covers = |(other_index, other): &(usize, &CompiledExpr)| match (entry, *other) {
            (CompiledExpr::Pattern(own), CompiledExpr::Pattern(other)) if own != other => {
                own.is_within(other)
            }
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
    /// Whether every tick of this pattern is evidently a tick of the other one too.
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
