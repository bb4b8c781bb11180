//! From the text of a job to a schedule: which of the five spellings an expression is.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};

use super::compiled_expr::CompiledExpr;
use super::error::ScheduleError;
use super::rate::{Rate, parse_at};
use super::strictness::Strictness;
use super::zone::Zone;
use super::{Parsed, ceil, cron, fields, foreign};

/// Longest expression, in bytes. A list of all 60 seconds takes 169.
const MAX_LENGTH: usize = 1_024;
/// Most expressions in one schedule: activity of a union fits one `u64`.
pub(super) const MAX_EXPRESSIONS: usize = 64;

/// The text of a schedule, as a job has it.
#[derive(Clone, Copy, Debug)]
pub struct ScheduleSpec<'a> {
    /// One or more expressions; the schedule is their union. At most 64, each at most 1,024 bytes.
    pub expressions: &'a [String],
    /// IANA name; none or empty is UTC.
    pub timezone: Option<&'a str>,
    /// No tick lies before it; `rate(…)` counts from it. Inclusive.
    pub start: Option<Timestamp>,
    /// No tick lies after it. Inclusive.
    pub end: Option<Timestamp>,
    /// How strictly to read names.
    pub strictness: Strictness,
}

impl<'a> ScheduleSpec<'a> {
    /// Describes expressions that a client wrote, in UTC and without bounds.
    pub fn written(expressions: &'a [String]) -> Self {
        Self { expressions, timezone: None, start: None, end: None, strictness: Strictness::Strict }
    }

    /// Describes expressions that were loaded from a store, in UTC and without bounds.
    pub fn stored(expressions: &'a [String]) -> Self {
        Self { strictness: Strictness::Lenient, ..Self::written(expressions) }
    }

    pub(super) fn parse(&self) -> Result<Parsed, ScheduleError> {
        self.parse_resolved(self.expressions)
    }

    /// Parses expressions in which every `?` is replaced. `written` has the same expressions before that: hints and warnings
    /// about other schedulers' lines need these.
    pub(super) fn parse_resolved(&self, written: &[String]) -> Result<Parsed, ScheduleError> {
        let zone = Zone::named(self.timezone.unwrap_or_default())?;
        if self.expressions.is_empty() {
            return Err(ScheduleError::syntax("Schedule is empty")
                .allowing("a string, or an array of 1 to 64 strings"));
        }
        if self.expressions.len() > MAX_EXPRESSIONS {
            let message = format!(
                "Schedule has {} expressions, the limit is {MAX_EXPRESSIONS}",
                self.expressions.len()
            );
            return Err(ScheduleError::syntax(message).in_entry(MAX_EXPRESSIONS));
        }
        let compile = |(index, (text, written)): (usize, (&String, &String))| {
            self.compile(text, written, &zone).map_err(|error| error.in_entry(index))
        };
        let texts = self.expressions.iter().zip(written).enumerate();
        let entries = texts.map(compile).collect::<Result<_, _>>()?;
        let boxed = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect();
        Ok(Parsed {
            expressions: boxed(self.expressions),
            written: if written == self.expressions { Box::default() } else { boxed(written) },
            entries,
            zone,
            start: self.start,
            end: self.end,
            strictness: self.strictness,
            others: Box::default(),
        })
    }

    fn compile(&self, text: &str, written: &str, zone: &Zone) -> Result<CompiledExpr, ScheduleError> {
        if text.len() > MAX_LENGTH {
            let message = format!("Expression is {} bytes long, the limit is {MAX_LENGTH}", text.len());
            return Err(ScheduleError::syntax(message).at_position(MAX_LENGTH));
        }
        match Spelling::detect(text) {
            Spelling::Fields(text) => {
                let refused = |error: ScheduleError| error.hinting(foreign::hint(written));
                fields::compile(text, self.strictness).map(CompiledExpr::Pattern).map_err(refused)
            }
            Spelling::Macro(name) => expand_macro(name)
                .and_then(|text| fields::compile(text, self.strictness))
                .map(CompiledExpr::Pattern),
            Spelling::Zoned { zone, rest } => Err(zone_in_expression(text, zone, rest)),
            Spelling::Cron(body) => {
                let refused = |error: ScheduleError| error.hinting(foreign::hint_in_cron(body));
                cron::compile(body).map(CompiledExpr::Pattern).map_err(refused)
            }
            Spelling::Rate(body) => Rate::parse(body, self.start.map_or(0, ceil)).map(CompiledExpr::Rate),
            Spelling::At(body) => parse_at(body, zone.time_zone()).map(CompiledExpr::At),
        }
    }
}

/// One of the five spellings, with what is inside its parentheses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling<'a> {
    Fields(&'a str),
    Cron(&'a str),
    Rate(&'a str),
    At(&'a str),
    Macro(&'a str),
    /// An expression behind `CRON_TZ=` or `TZ=`, inside `cron(…)` or not, which is refused.
    Zoned {
        zone: &'a str,
        rest: &'a str,
    },
}

impl<'a> Spelling<'a> {
    pub(super) fn detect(text: &'a str) -> Self {
        let trimmed = text.trim();
        let inside = |name: &str| {
            let (head, tail) = trimmed.split_at_checked(name.len())?;
            let body = tail.trim_start().strip_prefix('(')?.strip_suffix(')')?;
            head.eq_ignore_ascii_case(name).then_some(body)
        };
        let zoned = |text: &'a str| {
            let zoned = ["CRON_TZ=", "TZ="].iter().find_map(|name| text.strip_prefix(name))?;
            let (zone, rest) = zoned.split_once(char::is_whitespace).unwrap_or((zoned, ""));
            Some(Self::Zoned { zone, rest: rest.trim() })
        };
        if let Some(body) = inside("cron") {
            zoned(body.trim_start()).unwrap_or(Self::Cron(body))
        } else if let Some(body) = inside("rate") {
            Self::Rate(body)
        } else if let Some(body) = inside("at") {
            Self::At(body)
        } else if let Some(name) = trimmed.strip_prefix('@') {
            Self::Macro(name)
        } else {
            zoned(trimmed).unwrap_or(Self::Fields(text))
        }
    }
}

fn zone_in_expression(text: &str, zone: &str, rest: &str) -> ScheduleError {
    let rest = parse_cron_or(rest);
    let message = format!(
        "could not read \"{text}\": the time zone has a field of its own; write `{rest}` and set `timezone` to \"{zone}\""
    );
    ScheduleError::syntax(message).allowing("an expression without a time zone")
}

/// The macros and the eight fields that they stand for.
const MACROS: [(&str, &str); 7] = [
    ("hourly", "0 0 *"),
    ("daily", "0 0 0"),
    ("midnight", "0 0 0"),
    ("weekly", "0 0 0 sun"),
    ("monthly", "0 0 0 * * 1"),
    ("yearly", "0 0 0 * * 1 1"),
    ("annually", "0 0 0 * * 1 1"),
];

/// The eight fields that a macro stands for, in any case.
pub(super) fn expand_macro(name: &str) -> Result<&'static str, ScheduleError> {
    const ALLOWED: &str = "@hourly, @daily, @midnight, @weekly, @monthly, @yearly or @annually";
    let known = MACROS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, text)| *text);
    known.ok_or_else(|| {
        let message = format!("unknown macro \"@{name}\", expected {ALLOWED}");
        let hint = every(name).map(|rate| format!("for a fixed interval write `{rate}`"));
        ScheduleError::syntax(message).allowing(ALLOWED).hinting(hint)
    })
}

/// The `rate(…)` that corresponds to Go's `@every 1h30m`, which counts from the start of the program.
fn every(name: &str) -> Option<String> {
    let (every, interval) = name.split_once(char::is_whitespace)?;
    let interval: SignedDuration = interval.trim().parse().ok()?;
    let seconds = interval.as_secs();
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let (length, unit) = units.into_iter().find(|(length, _)| seconds % length == 0)?;
    let count = seconds / length;
    let is_whole = every.eq_ignore_ascii_case("every") && interval.subsec_nanos() == 0 && count > 0;
    is_whole.then(|| format!("rate({count} {unit}{})", if count == 1 { "" } else { "s" }))
}

/// Reads a bare string of five or six words as `cron(…)` and leaves everything else alone.
///
/// The `cron` and `window` triggers take expressions this way; a job's own `schedule` does not, since
/// there a bare string means the eight fields.
///
/// # Example
/// ```
/// use ecs_scheduler_core::schedule::parse_cron_or;
///
/// assert_eq!(parse_cron_or("30 9 * * MON-FRI"), "cron(30 9 * * MON-FRI)");
/// assert_eq!(parse_cron_or("rate(5 minutes)"), "rate(5 minutes)");
/// ```
pub fn parse_cron_or(expression: &str) -> Cow<'_, str> {
    let bare = matches!(Spelling::detect(expression), Spelling::Fields(_));
    if bare && matches!(fields::words(expression).count(), 5 | 6) {
        Cow::Owned(format!("cron({})", expression.trim()))
    } else {
        Cow::Borrowed(expression)
    }
}
