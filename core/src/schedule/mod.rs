//! Schedules, their syntaxes and their ticks.
//!
//! A [`Schedule`] is parsed once from a [`ScheduleSpec`] and then asked for its ticks. Five spellings are
//! understood, and an array of them is their union:
//!
//! | spelling | example | ticks |
//! |---|---|---|
//! | eight fields | `0 30 2 mon-fri` | 02:30:00 from Monday to Friday |
//! | `cron(…)` | `cron(30 2 ? * MON-FRI *)` | the same, in EventBridge's syntax |
//! | `rate(…)` | `rate(90 minutes)` | every 90 minutes, counted from 1970 or the start |
//! | `at(…)` | `at(2027-03-01T09:00:00)` | once |
//! | macros | `@daily` | midnight |
//!
//! Every tick is a whole second. The files, from the text to the tick:
//!
//! ```text
//! fields, cron, rate ──▶ CompiledExpr (Pattern | Rate | instant) ──▶ zoned_iter ──▶ Schedule
//!                        Pattern = years × months × days × times
//! ```
//!
//! `doc/decisions/0002-own-schedule-evaluator.md` gives the reasons for an own evaluator.

mod builder;
mod cache;
mod calendar;
mod compiled_expr;
mod count;
mod cron;
mod crontab_change;
mod days;
mod describe;
mod error;
mod field;
mod fields;
mod foreign;
mod item;
mod jitter;
mod lint;
mod pattern;
mod rate;
mod spec;
mod strictness;
mod times;
mod union;
mod years;
mod zone;
mod zone_names;
mod zoned_iter;

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

pub use cache::ScheduleCache;
use compiled_expr::CompiledExpr;
pub use error::{ScheduleError, ScheduleErrorKind};
pub use jitter::{PLACEHOLDER_JOB, is_wild, jitter, resolve_wildcards};
pub use spec::{ScheduleSpec, parse_cron_or};
pub use strictness::Strictness;
use zone::Zone;
pub use zone::{parse_time_zone, tzdb_version};

/// A parsed schedule: a set of instants, each a whole second.
///
/// Cloning shares one allocation.
///
/// # Example
/// ```
/// use ecs_scheduler_core::schedule::{Schedule, ScheduleSpec};
///
/// let expressions = ["0 30 2".to_owned()];
/// let spec = ScheduleSpec { timezone: Some("Europe/Berlin"), ..ScheduleSpec::written(&expressions) };
/// let schedule = Schedule::parse(&spec)?;
/// // The clock skips from 02:00 to 03:00 that night, so the tick comes at 03:30.
/// let tick = schedule.next_after("2024-03-30T12:00:00Z".parse()?);
/// assert_eq!(tick, Some("2024-03-31T01:30:00Z".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Schedule(Arc<Parsed>);

/// The parsed schedule, shared between clones.
struct Parsed {
    expressions: Box<[Box<str>]>,
    /// The expressions before each `?` was replaced; empty if there was none.
    written: Box<[Box<str>]>,
    entries: Box<[CompiledExpr]>,
    zone: Arc<Zone>,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    strictness: Strictness,
    /// The other parts of a [union](Schedule::union): schedules in other zones or with other bounds, none of them a
    /// union.
    others: Box<[Schedule]>,
}

impl Schedule {
    /// Parses a schedule.
    ///
    /// A schedule that never fires is no error here, since that depends on the moment: see
    /// [`Schedule::ensure_fires_after`].
    ///
    /// # Errors
    /// The first wrong expression, or an unknown time zone.
    pub fn parse(spec: &ScheduleSpec<'_>) -> Result<Self, ScheduleError> {
        spec.parse().map(|parsed| Self(Arc::new(parsed)))
    }

    /// Parses the schedule of a job: each `?` in a second, minute or hour gets its value from the job's id, as
    /// [`resolve_wildcards`] gives it. Hints and warnings are about the expressions as they are written.
    ///
    /// # Errors
    /// As [`Schedule::parse`].
    pub fn parse_for_job(spec: &ScheduleSpec<'_>, job_id: &str) -> Result<Self, ScheduleError> {
        let resolve = |text: &String| resolve_wildcards(text, job_id).into_owned();
        let expressions: Vec<String> = spec.expressions.iter().map(resolve).collect();
        let resolved = ScheduleSpec { expressions: &expressions, ..*spec };
        resolved.parse_resolved(spec.expressions).map(|parsed| Self(Arc::new(parsed)))
    }

    /// Tells whether a `?` got its value from a job's id, as [`Schedule::parse_for_job`] gives it.
    pub fn depends_on_job(&self) -> bool {
        !self.0.written.is_empty() || self.0.others.iter().any(Self::depends_on_job)
    }

    /// Returns the first tick strictly later than an instant, within the start and end of the schedule.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let others = self.0.others.iter().filter_map(|schedule| schedule.next_after(after));
        others.chain(self.0.next_after(after)).min()
    }

    /// Returns the newest tick in (`after`, `until`], at a cost that does not depend on the number of ticks between.
    pub fn last_in(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let others = self.0.others.iter().filter_map(|schedule| schedule.last_in(after, until));
        others.chain(self.0.last_in(after, until)).max()
    }

    /// Returns the number of ticks in (`after`, `until`], at a cost of some nanoseconds a month.
    ///
    /// Where `rate(…)` or `at(…)` stands beside other expressions, its ticks are visited one by one; so are those of a
    /// [union](Schedule::union) of parts that have ticks in the same time.
    pub fn count_in(&self, after: Timestamp, until: Timestamp) -> u64 {
        if !self.0.others.is_empty() {
            return self.count_parts(after, until);
        }
        let Some((first, last)) = self.0.range(after, until) else { return 0 };
        count::ticks(&self.0.entries, &self.0.zone, first, last)
    }

    /// Iterates over the ticks strictly later than an instant, in order.
    pub fn upcoming(&self, after: Timestamp) -> impl Iterator<Item = Timestamp> + use<> {
        let schedule = self.clone();
        std::iter::successors(schedule.next_after(after), move |&tick| schedule.next_after(tick))
    }

    /// Returns the tick that opened a window of the given length around an instant, if one is open.
    ///
    /// A window opens at a tick and closes just before `tick + duration`. Where several are open, the newest counts.
    pub fn open_at(&self, at: Timestamp, duration: SignedDuration) -> Option<Timestamp> {
        if !duration.is_positive() {
            return None;
        }
        let before = at.checked_sub(duration).unwrap_or(Timestamp::MIN);
        self.last_in(before, at)
    }

    /// Tells whether no tick follows an instant; takes microseconds, also to prove it.
    pub fn never_fires_after(&self, after: Timestamp) -> bool {
        self.next_after(after).is_none()
    }

    /// Checks that a tick follows an instant.
    ///
    /// # Errors
    /// An error of kind [`ScheduleErrorKind::NeverFires`] if none does.
    pub fn ensure_fires_after(&self, after: Timestamp) -> Result<(), ScheduleError> {
        if self.never_fires_after(after) {
            return Err(ScheduleError::new(
                ScheduleErrorKind::NeverFires,
                format!("Schedule never fires after {after}"),
            ));
        }
        Ok(())
    }

    /// Describes in words when the schedule fires, with its time zone and bounds.
    pub fn describe(&self) -> String {
        let Parsed { expressions, zone, start, end, .. } = &*self.0;
        let entries: Vec<String> =
            expressions.iter().map(|text| describe::expression(text, *start)).collect();
        let mut words = format!("{}, {}", entries.join("; "), zone.name());
        if let Some(start) = start {
            words.push_str(&format!(", not before {start}"));
        }
        if let Some(end) = end {
            words.push_str(&format!(", not after {end}"));
        }
        for schedule in &self.0.others {
            words.push_str(&format!("; {}", schedule.describe()));
        }
        words
    }

    /// Returns warnings about valid but probably unintended settings, as of an instant, and notes on differences from
    /// other schedulers.
    pub fn warnings(&self, from: Timestamp) -> Vec<String> {
        let mut warnings = self.mistakes(from);
        warnings.extend(self.notes());
        warnings
    }

    /// Returns warnings about valid but probably mistaken settings, as of an instant.
    pub(crate) fn mistakes(&self, from: Timestamp) -> Vec<String> {
        let others = self.0.others.iter().flat_map(|schedule| schedule.mistakes(from));
        lint::mistakes(&self.0, from).into_iter().chain(others).collect()
    }

    /// Returns notes on how the two day fields combine, where both are set.
    pub fn notes(&self) -> Vec<String> {
        let others = self.0.others.iter().flat_map(Self::notes);
        lint::notes(&self.0).into_iter().chain(others).collect()
    }

    /// Describes each expression whose days were others before five fields became a crontab line.
    pub(crate) fn crontab_changes(&self) -> impl Iterator<Item = String> {
        self.expressions().filter_map(crontab_change::describe_change)
    }

    /// Returns two consecutive ticks closer together than a delay, if there are any among the next thousand.
    pub(crate) fn ticks_within(
        &self,
        from: Timestamp,
        delay: SignedDuration,
    ) -> Option<(Timestamp, Timestamp)> {
        lint::sooner_than(self, from, delay)
    }

    /// Tells whether two schedules are clones of one, or came from the same [`ScheduleCache`].
    pub fn shares_memory_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns the time zone that local times are read in; for a union over several zones, that of its first part.
    pub fn time_zone(&self) -> &TimeZone {
        self.0.zone.time_zone()
    }

    /// Returns the expressions as they were given.
    pub fn expressions(&self) -> impl Iterator<Item = &str> {
        let others = self.0.others.iter().flat_map(|schedule| &schedule.0.expressions);
        self.0.expressions.iter().chain(others).map(AsRef::as_ref)
    }
}

impl Parsed {
    /// First and last second at which a tick may lie.
    fn bounds(&self) -> (i64, i64) {
        (self.start.map_or(EARLIEST, ceil), self.end.map_or(Timestamp::MAX.as_second(), floor))
    }

    /// First and last second of (`after`, `until`] that the schedule's bounds allow; none if there is none.
    fn range(&self, after: Timestamp, until: Timestamp) -> Option<(i64, i64)> {
        let (first, last) = self.bounds();
        let (first, last) = (first.max(floor(after) + 1), last.min(floor(until)));
        (first <= last).then_some((first, last))
    }

    fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let (first, last) = self.bounds();
        let after = floor(after).max(first - 1);
        if after >= last {
            return None;
        }
        let tick = self.entries.iter().filter_map(|entry| entry.next(&self.zone, after)).min()?;
        (tick <= last).then(|| zone::at(tick))
    }

    fn last_in(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let (first, last) = self.range(after, until)?;
        let tick = self.entries.iter().filter_map(|entry| entry.previous(&self.zone, last)).max()?;
        (tick >= first).then(|| zone::at(tick))
    }
}

/// Equal schedules have the same text, zone and bounds; other spellings of the same ticks differ.
impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        let key = |parsed: &Parsed| (parsed.start, parsed.end, parsed.strictness);
        self.shares_memory_with(other)
            || self.0.expressions == other.0.expressions
                && self.0.zone.name() == other.0.zone.name()
                && key(&self.0) == key(&other.0)
    }
}

impl Eq for Schedule {}

/// No calendar names a year before 1970; a day of slack covers every time zone.
const EARLIEST: i64 = -calendar::DAY;

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedule")
            .field("expressions", &self.0.expressions)
            .field("timezone", &self.0.zone.name())
            .finish_non_exhaustive()
    }
}

/// The whole second at or before an instant.
fn floor(instant: Timestamp) -> i64 {
    instant.as_nanosecond().div_euclid(1_000_000_000).try_into().unwrap_or(i64::MIN)
}

/// The whole second at or after an instant.
fn ceil(instant: Timestamp) -> i64 {
    floor(instant) + i64::from(instant.as_nanosecond().rem_euclid(1_000_000_000) != 0)
}

#[cfg(test)]
mod tests;
