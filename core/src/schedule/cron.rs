//! `cron(…)`: EventBridge's six fields, or saffron's own five.
//!
//! saffron parses and describes; nothing of its evaluation is used, since it is wrong or panics on reversed
//! ranges, `L-nW` and `nW` (`doc/decisions/0002-own-schedule-evaluator.md`). Its public syntax tree is compiled to the same
//! bit masks as the eight fields. No other file names saffron.

use saffron::parse::{
    CronExpr, DayOfMonthExpr, DayOfWeekExpr, English, Expr, ExprValue, Exprs, HourFormat, Last, OrsExpr,
};

use super::days::{DayRule, EVERY_DAY, LAST};
use super::error::ScheduleError;
use super::pattern::{HourRule, Pattern};
use super::times::Times;
use super::years::{YearRange, Years};

/// A field of `cron(…)`: its name and what it may hold.
type Field = (&'static str, &'static str);

const FIELDS: [Field; 6] = [
    ("minute", "0 to 59; *, */n, a-b, a-b/n, a/n, lists"),
    ("hour", "0 to 23; *, */n, a-b, a-b/n, a/n, lists"),
    ("day-of-month", "1 to 31, L, LW, L-n, nW, ?; *, */n, a-b, a-b/n, a/n, lists"),
    ("month", "1 to 12 or JAN to DEC; *, */n, a-b, a-b/n, a/n, lists"),
    ("day-of-week", "1 (Sunday) to 7 (Saturday) or SUN to SAT, nL, n#k, ?; *, */n, a-b, a-b/n, a/n, lists"),
    ("year", "1970 to 2199; *, */n, a-b, a-b/n, a/n, lists"),
];
const HOUR: usize = 1;
const DAY_OF_MONTH: usize = 2;
const DAY_OF_WEEK: usize = 4;
const YEAR: usize = 5;
const YEARS: (u16, u16) = (1970, 2199);
const SHAPES: &str = "cron(minute hour day-of-month month day-of-week year), with ? in one of the day fields, \
                      or cron(minute hour day-of-month month day-of-week)";

/// An expression in parentheses, split into words and understood by saffron.
struct Parsed<'a> {
    words: Vec<&'a str>,
    syntax: CronExpr,
    years: Years,
}

/// Parses and compiles what stands between the parentheses.
pub(super) fn compile(body: &str) -> Result<Pattern, ScheduleError> {
    let Parsed { words, syntax, years } = parse(body)?;
    let hour = words[HOUR];
    let running = !hour.contains(',') && (hour == "*" || hour.starts_with("*/"));
    #[expect(clippy::cast_possible_truncation, reason = "bits 1 to 12")]
    let months = (mask_of(&syntax.months, 12) << 1) as u16;
    Ok(Pattern {
        times: Times { hours: mask_of(&syntax.hours, 24), minutes: mask_of(&syntax.minutes, 60), seconds: 1 },
        days: day_rule(&syntax),
        months,
        years,
        hours: if running { HourRule::Running } else { HourRule::Fixed },
    })
}

fn parse(body: &str) -> Result<Parsed<'_>, ScheduleError> {
    let words: Vec<&str> = body.split_ascii_whitespace().collect();
    let days = match words.len() {
        5 => DayFields::EitherMatches,
        6 => DayFields::OneIsAny,
        found => {
            let message = format!("could not read \"cron({body})\": expected 5 or 6 fields, found {found}");
            return Err(ScheduleError::syntax(message).allowing(SHAPES));
        }
    };
    let refuse = |index: usize, why: &str| {
        let (name, allowed) = FIELDS[index];
        let position = words[index].as_ptr().addr() - body.as_ptr().addr();
        let position = "cron(".len() + body[..position].chars().count();
        let message = format!(
            "could not read {name} \"{}\" of \"cron({body})\": {why}; allowed: {allowed}",
            words[index]
        );
        ScheduleError::syntax(message).in_field(name, allowed).at_position(position)
    };
    let understood = check_day_fields(&words, days).and_then(|()| check_words(&words));
    understood.map_err(|(index, why)| refuse(index, why))?;
    let years = match words.get(YEAR) {
        Some(word) => parse_years(word).ok_or_else(|| refuse(YEAR, "not a year expression"))?,
        None => Years::EVERY,
    };
    let plain: Vec<&str> = words[..YEAR].iter().map(|&word| if word == "?" { "*" } else { word }).collect();
    match plain.join(" ").parse() {
        Ok(syntax) => Ok(Parsed { words, syntax, years }),
        Err(_) => Err(refuse(first_wrong_field(&plain), "not an expression for this field")),
    }
}

/// How the two day fields go together.
#[derive(Clone, Copy, PartialEq)]
enum DayFields {
    /// Five fields: when both are narrowed, either matches.
    EitherMatches,
    /// Six fields: exactly one is `?`.
    OneIsAny,
}

fn check_day_fields(words: &[&str], days: DayFields) -> Result<(), (usize, &'static str)> {
    match (days, words[DAY_OF_MONTH] == "?", words[DAY_OF_WEEK] == "?") {
        (DayFields::OneIsAny, true, true) => Err((DAY_OF_WEEK, "only one of the day fields can be ?")),
        (DayFields::OneIsAny, false, false) => Err((DAY_OF_WEEK, "one of the day fields must be ?")),
        (DayFields::EitherMatches, true, _) => Err((DAY_OF_MONTH, "? needs the six fields with a year")),
        (DayFields::EitherMatches, _, true) => Err((DAY_OF_WEEK, "? needs the six fields with a year")),
        _ => Ok(()),
    }
}

/// Refuses a `?` outside the day fields, and what saffron accepts without meaning it: a `*` among other values counts
/// as the minimum there.
fn check_words(words: &[&str]) -> Result<(), (usize, &'static str)> {
    for (index, word) in words.iter().enumerate() {
        if word.contains('?') && (*word != "?" || ![DAY_OF_MONTH, DAY_OF_WEEK].contains(&index)) {
            return Err((index, "? stands alone in a day field"));
        }
        let mut parts = word.split(',');
        if word.contains(',') && parts.any(|part| part.contains('*') && !part.starts_with("*/")) {
            return Err((index, "* cannot stand in a list"));
        }
    }
    Ok(())
}

/// Tries each field by itself, since saffron does not say where it stopped.
fn first_wrong_field(words: &[&str]) -> usize {
    let wrong = |index: usize| {
        let mut alone = ["*"; YEAR];
        alone[index] = words[index];
        alone.join(" ").parse::<CronExpr>().is_err()
    };
    (0..YEAR).find(|&index| wrong(index)).unwrap_or(DAY_OF_WEEK)
}

fn parse_years(word: &str) -> Option<Years> {
    let (min, max) = YEARS;
    let number =
        |text: &str| text.parse::<u16>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let year = |text: &str| number(text).filter(|year| (min..=max).contains(year));
    if word == "*" {
        return Some(Years::EVERY);
    }
    let range = |part: &str| {
        let (span, step) = part.split_once('/').map_or((part, None), |(span, step)| (span, Some(step)));
        let (first, last) = match (span, span.split_once('-')) {
            ("*", _) if step.is_some() => (min, max),
            (_, Some((first, last))) => (year(first)?, year(last)?),
            (_, None) => (year(span)?, if step.is_some() { max } else { year(span)? }),
        };
        let step = step.map_or(Some(1), number).filter(|step| (1..=max - min).contains(step))?;
        (first <= last).then_some(YearRange { first, last, step })
    };
    word.split(',').map(range).collect::<Option<Vec<_>>>().map(Years::of)
}

fn day_rule(syntax: &CronExpr) -> DayRule {
    let mut rule = DayRule { of_month: EVERY_DAY, ..DayRule::none() };
    let numbered = add_day_of_month(&mut rule, &syntax.doms);
    let mut numbers = if numbered { rule.of_month } else { 0 };
    match &syntax.dows {
        DayOfWeekExpr::Many(expressions) => {
            rule.weekdays = from_sunday(mask(expressions, 7));
            rule.either = numbered;
            return rule;
        }
        DayOfWeekExpr::Last(day) => rule.nth[LAST] = from_sunday(1 << u8::from(*day)),
        DayOfWeekExpr::Nth(day, nth) => {
            rule.nth[usize::from(u8::from(*nth)) - 1] = from_sunday(1 << u8::from(*day))
        }
        DayOfWeekExpr::All | _ => numbers = rule.of_month,
    }
    rule.of_month = numbers;
    rule
}

/// Adds the days of the month; tells whether they narrow anything.
fn add_day_of_month(rule: &mut DayRule, expression: &DayOfMonthExpr) -> bool {
    rule.of_month = 0;
    match expression {
        DayOfMonthExpr::Last(Last::Day) => rule.from_end = 1,
        DayOfMonthExpr::Last(Last::Weekday) => rule.nearest_from_end = 1,
        DayOfMonthExpr::Last(Last::Offset(back)) => rule.from_end = 1 << u8::from(*back),
        DayOfMonthExpr::Last(Last::OffsetWeekday(back)) => rule.nearest_from_end = 1 << u8::from(*back),
        DayOfMonthExpr::ClosestWeekday(day) => rule.nearest = 2 << u8::from(*day),
        #[expect(clippy::cast_possible_truncation, reason = "31 bits")]
        DayOfMonthExpr::Many(expressions) => rule.of_month = (mask(expressions, 31) << 1) as u32,
        DayOfMonthExpr::All | DayOfMonthExpr::Last(_) | _ => {
            rule.of_month = EVERY_DAY;
            return false;
        }
    }
    true
}

fn mask_of<E: Copy + ExprValue + Into<u8>>(expression: &Expr<E>, size: u8) -> u64 {
    match expression {
        Expr::Many(expressions) => mask(expressions, size),
        Expr::All | _ => (1 << size) - 1,
    }
}

/// Values counted from 0, of a field that wraps after `size`: a range may run over its end.
fn mask<E: Copy + ExprValue + Into<u8>>(expressions: &Exprs<E>, size: u8) -> u64 {
    let mut mask = 0;
    for expression in expressions {
        let (first, last, step) = match *expression {
            OrsExpr::One(value) => (value.into(), value.into(), 1),
            OrsExpr::Range(first, last) => (first.into(), last.into(), 1),
            OrsExpr::Step { start, end, step } => (start.into(), end.into(), u8::from(step)),
            _ => continue,
        };
        let length = (last + size - first) % size;
        for distance in (0..=length).step_by(step.into()) {
            mask |= 1 << ((first + distance) % size);
        }
    }
    mask
}

/// Turns weekdays counted from Sunday into weekdays counted from Monday.
fn from_sunday(days: u64) -> u8 {
    let days = (days & 0x7F) as u8;
    days >> 1 | (days & 1) << 6
}

/// Says in words what stands between the parentheses, in saffron's English with a 24-hour clock.
pub(super) fn describe(body: &str) -> Option<String> {
    let Parsed { words, syntax, .. } = parse(body).ok()?;
    let mut english = English::new();
    english.hour = HourFormat::Hour24;
    let mut text = syntax.describe(english).to_string();
    if let Some(year) = words.get(YEAR).filter(|year| **year != "*") {
        text.push_str(" in the years ");
        text.push_str(year);
    }
    Some(text)
}
