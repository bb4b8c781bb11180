//! `cron(…)`: a crontab line of five fields, or EventBridge's six.
//!
//! | | five fields | six fields |
//! |---|---|---|
//! | weekdays | 0 or 7 = Sunday … 6 = Saturday | 1 = Sunday … 7 = Saturday |
//! | both day fields restricted | either matches | refused: one of them is `?` |
//! | a step larger than the field | names the first value alone | refused |
//!
//! A day field of five that begins with `*` does not restrict, as in Vixie cron: `*/2` and `MON` must both match.
//! Beyond a crontab line, five fields take what six do: ranges that run over the end, `a/n`, `L`, `W` and `#`.
//!
//! # Source
//!
//! <https://man7.org/linux/man-pages/man5/crontab.5.html>,
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html>

use super::builder::PatternBuilder;
use super::days::LAST;
use super::error::ScheduleError;
use super::field;
use super::item::Item;
use super::pattern::Pattern;

/// A field of `cron(…)`: its name, its allowed values, and the corresponding one of the eight fields.
#[derive(Debug)]
struct Field {
    name: &'static str,
    allowed: &'static str,
    min: u16,
    max: u16,
    names: &'static [&'static str],
    fields_index: usize,
}

const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

const fn field(
    name: &'static str,
    (min, max): (u16, u16),
    names: &'static [&'static str],
    fields_index: usize,
    allowed: &'static str,
) -> Field {
    Field { name, allowed, min, max, names, fields_index }
}

static CRON: [Field; 6] = [
    field("minute", (0, 59), &[], field::MINUTE, "0 to 59; *, */n, a-b, a-b/n, a/n, lists"),
    field("hour", (0, 23), &[], field::HOUR, "0 to 23; *, */n, a-b, a-b/n, a/n, lists"),
    field(
        "day-of-month",
        (1, 31),
        &[],
        field::DAY,
        "1 to 31, L, LW, L-n, nW, ?; *, */n, a-b, a-b/n, a/n, lists",
    ),
    field("month", (1, 12), &MONTHS, field::MONTH, "1 to 12 or JAN to DEC; *, */n, a-b, a-b/n, a/n, lists"),
    field(
        "day-of-week",
        (1, 7),
        &WEEKDAYS,
        field::DAY_OF_WEEK,
        "1 (Sunday) to 7 (Saturday) or SUN to SAT, nL, n#k, ?; *, */n, a-b, a-b/n, a/n, lists",
    ),
    field("year", YEARS, &[], field::YEAR, "1970 to 2199; *, */n, a-b, a-b/n, a/n, lists"),
];
const YEARS: (u16, u16) = (1970, 2199);

/// The weekdays of a crontab line, where Sunday has two numbers.
static CRONTAB_WEEKDAY: Field = field(
    "day-of-week",
    (0, 7),
    &WEEKDAYS,
    field::DAY_OF_WEEK,
    "0 or 7 (Sunday) to 6 (Saturday) or SUN to SAT, nL, n#k; *, */n, a-b, a-b/n, a/n, lists",
);

const DAY_OF_MONTH: usize = 2;
const DAY_OF_WEEK: usize = 4;
const YEAR: usize = 5;
const SHAPES: &str = "cron(minute hour day-of-month month day-of-week year), with ? in one of the day fields, \
                      or cron(minute hour day-of-month month day-of-week)";
const WRONG: &str = "not an expression for this field";

/// The grammar of an expression, by the number of its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grammar {
    /// Five fields, as in a crontab.
    Crontab,
    /// Six fields, as in EventBridge.
    EventBridge,
}

/// An expression whose words have been counted.
#[derive(Debug)]
pub(super) struct CrontabLine<'a> {
    pub(super) grammar: Grammar,
    words: Vec<&'a str>,
}

/// Parses and compiles the content of the parentheses.
pub(super) fn compile(body: &str) -> Result<Pattern, ScheduleError> {
    let mut builder = PatternBuilder::new();
    let line = parse(body, |index, _, item| builder.add(index, item))?;
    let mut pattern = builder.finish();
    pattern.days.either = line.either_day_matches();
    Ok(pattern)
}

/// Calls back for every item with its text and its field among the eight.
pub(super) fn parse<'a>(
    body: &'a str,
    mut visit: impl FnMut(usize, &'a str, Item),
) -> Result<CrontabLine<'a>, ScheduleError> {
    let words: Vec<&str> = body.split_ascii_whitespace().collect();
    let grammar = match words.len() {
        5 => Grammar::Crontab,
        6 => Grammar::EventBridge,
        found => {
            let message = format!("could not read \"cron({body})\": expected 5 or 6 fields, found {found}");
            return Err(ScheduleError::syntax(message).allowing(SHAPES));
        }
    };
    let refuse = |index: usize, why: &str| {
        let Field { name, allowed, .. } = *grammar.field(index);
        let position = words[index].as_ptr().addr() - body.as_ptr().addr();
        let position = "cron(".len() + body[..position].chars().count();
        let message = format!(
            "could not read {name} \"{}\" of \"cron({body})\": {why}; allowed: {allowed}",
            words[index]
        );
        ScheduleError::syntax(message).in_field(name, allowed).at_position(position)
    };
    grammar.check_day_fields(&words).map_err(|(index, why)| refuse(index, why))?;
    visit(field::SECOND, "0", Item::single(0));
    for (index, &word) in words.iter().enumerate() {
        let items = grammar.items(index, word).map_err(|why| refuse(index, &why))?;
        // A weekday such as `6L` is among the numbered days, which then must not be all days.
        if index == DAY_OF_MONTH && starts_open(word) && is_numbered(words[DAY_OF_WEEK]) {
            continue;
        }
        for (text, item) in items {
            let fields_index = grammar.field(index).fields_index;
            visit(if matches!(item, Item::Nth { .. }) { field::DAY } else { fields_index }, text, item);
        }
        if index == DAY_OF_WEEK && is_numbered(word) {
            visit(field::DAY_OF_WEEK, "*", Item::Every { step: 1 });
        }
    }
    if grammar == Grammar::Crontab {
        visit(field::YEAR, "*", Item::Every { step: 1 });
    }
    visit(field::WEEK, "*", Item::Every { step: 1 });
    Ok(CrontabLine { grammar, words })
}

/// Whether a day field begins as `*` does, so that it does not restrict.
fn starts_open(word: &str) -> bool {
    word.starts_with(['*', '?'])
}

/// Whether a weekday is one of a month: `6L`, `2#1`.
fn is_numbered(word: &str) -> bool {
    word.contains('#') || (word.len() > 1 && word.ends_with('L'))
}

impl CrontabLine<'_> {
    /// Whether a day matches by its number or by its weekday, as in a crontab line that restricts both.
    pub(super) fn either_day_matches(&self) -> bool {
        let weekday = self.words[DAY_OF_WEEK];
        self.restricts_both_days() && !starts_open(self.words[DAY_OF_MONTH]) && !starts_open(weekday)
    }

    /// Whether both day fields say something other than `*`.
    pub(super) fn restricts_both_days(&self) -> bool {
        let (day, weekday) = (self.words[DAY_OF_MONTH], self.words[DAY_OF_WEEK]);
        !is_numbered(weekday) && [day, weekday].iter().all(|word| !["*", "?"].contains(word))
    }

    /// The weekday where a number stands for one.
    pub(super) fn numbered_weekday(&self) -> Option<&str> {
        let word = self.words[DAY_OF_WEEK];
        let is_day = |part: &str| {
            let days = part.split(['/', '#']).next().unwrap_or_default();
            days.contains(|letter: char| letter.is_ascii_digit())
        };
        word.split(',').any(is_day).then_some(word)
    }
}

impl Grammar {
    fn field(self, index: usize) -> &'static Field {
        match self {
            Self::Crontab if index == DAY_OF_WEEK => &CRONTAB_WEEKDAY,
            Self::Crontab | Self::EventBridge => &CRON[index],
        }
    }

    fn check_day_fields(self, words: &[&str]) -> Result<(), (usize, &'static str)> {
        let days = [words[DAY_OF_MONTH], words[DAY_OF_WEEK]];
        match (self, days[0] == "?", days[1] == "?") {
            (Self::EventBridge, true, true) => Err((DAY_OF_WEEK, "only one of the day fields can be ?")),
            (Self::EventBridge, false, false) => Err((DAY_OF_WEEK, "one of the day fields must be ?")),
            (Self::Crontab, true, _) => Err((DAY_OF_MONTH, "? needs the six fields with a year")),
            (Self::Crontab, _, true) => Err((DAY_OF_WEEK, "? needs the six fields with a year")),
            (Self::Crontab, ..) if days[0].starts_with("*/") && is_numbered(days[1]) => {
                Err((DAY_OF_WEEK, "L and # do not go with a step in day-of-month"))
            }
            _ => Ok(()),
        }
    }

    /// The items of a word, each with its text.
    fn items(self, index: usize, word: &str) -> Result<Vec<(&str, Item)>, String> {
        if word.contains('?') && (word != "?" || ![DAY_OF_MONTH, DAY_OF_WEEK].contains(&index)) {
            return Err("? stands alone in a day field".to_owned());
        }
        let special = match index {
            DAY_OF_MONTH => special_day(word),
            DAY_OF_WEEK => self.special_weekday(word),
            _ => None,
        };
        if let Some(item) = special {
            return Ok(vec![(word, item)]);
        }
        let item = |part| self.item(index, part).map(|item| (part, item));
        let items: Vec<_> = word.split(',').map(item).collect::<Result<_, _>>()?;
        let has_star = |(part, _): &(&str, Item)| *part == "*";
        if self == Self::EventBridge && items.len() > 1 && items.iter().any(has_star) {
            return Err("* cannot stand in a list".to_owned());
        }
        Ok(items)
    }

    /// Reads `*`, `*/n`, `a`, `a/n`, `a-b` and `a-b/n`.
    fn item(self, index: usize, part: &str) -> Result<Item, String> {
        let field = self.field(index);
        let (span, step) = part.split_once('/').map_or((part, None), |(span, step)| (span, Some(step)));
        let stepped = step.is_some();
        let step = step.map_or(Some(1), number).filter(|step| *step > 0).ok_or(WRONG)?;
        let last = self.last(index);
        let longest = last - field.min;
        if step > longest && self == Self::EventBridge {
            return Err(format!("the step {step} is larger than the field"));
        }
        let (first, last) = match span.split_once('-') {
            Some((first, last)) => (field.value(first)?, field.value(last)?),
            None if ["*", "?"].contains(&span) && step == 1 => return Ok(Item::Every { step }),
            None if span == "*" && step <= longest && ![DAY_OF_WEEK, YEAR].contains(&index) => {
                return Ok(Item::Every { step });
            }
            None if span == "*" => (field.min, last),
            None => field.value(span).map(|first| (first, if stepped { last.max(first) } else { first }))?,
        };
        if index == YEAR && first > last {
            return Err(WRONG.to_owned());
        }
        Ok(match index {
            DAY_OF_WEEK => self.weekdays(first, last, step),
            _ => Item::Range { first, last, step },
        })
    }

    /// The value up to which `*/n` and `a/n` count.
    fn last(self, index: usize) -> u16 {
        self.field(index).max - u16::from(self == Self::Crontab && index == DAY_OF_WEEK)
    }

    /// Turns a range of weekdays into one that counts from Monday.
    fn weekdays(self, first: u16, last: u16, step: u16) -> Item {
        // Sunday begins and ends the week of a crontab line.
        let last = if (first, last) == (0, 7) { 6 } else { last };
        if first + 6 == last && step == 1 {
            return Item::Range { first: 0, last: 6, step };
        }
        Item::Range { first: self.weekday(first), last: self.weekday(last), step }
    }

    /// The number of a weekday counted from Monday.
    fn weekday(self, day: u16) -> u16 {
        (day + 6 - self.field(DAY_OF_WEEK).min) % 7
    }

    /// Reads `L`, `nL` and `n#k`.
    fn special_weekday(self, word: &str) -> Option<Item> {
        let weekday = |day: &str| self.field(DAY_OF_WEEK).value(day).ok().map(|day| self.weekday(day));
        if word == "L" {
            return weekday("SAT").map(Item::single);
        }
        let (day, row) = match word.split_once('#') {
            Some((day, row)) => (day, usize::from(number(row).filter(|row| (1..=5).contains(row))? - 1)),
            None => (word.strip_suffix('L')?, LAST),
        };
        Some(Item::Nth { row, weekday: weekday(day)?.into() })
    }
}

impl Field {
    /// Reads a number or a name.
    fn value(&self, text: &str) -> Result<u16, &'static str> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let named = named.and_then(|index| u16::try_from(index).ok()).map(|index| self.min + index);
        let value = named.or_else(|| number(text)).filter(|value| (self.min..=self.max).contains(value));
        value.ok_or(WRONG)
    }
}

/// Reads `L`, `LW`, `L-n`, `L-nW` and `nW`.
fn special_day(word: &str) -> Option<Item> {
    let within = |text: &str, max: u16| number(text).filter(|number| (1..=max).contains(number));
    let (days, working) = word.strip_suffix('W').map_or((word, false), |days| (days, true));
    let back = match days.strip_prefix('L') {
        Some("") => 0,
        Some(back) => within(back.strip_prefix('-')?, 30)?,
        None if working => return Some(Item::Nearest { day: within(days, 31)? }),
        None => return None,
    };
    Some(if working { Item::NearestFromEnd { back } } else { Item::FromEnd { back } })
}

fn number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}
