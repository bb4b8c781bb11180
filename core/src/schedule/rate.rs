//! `rate(…)` and `at(…)`: ticks that need no calendar.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::error::ScheduleError;

const RATE: &str = "rate(N unit), N from 1, unit second(s), minute(s), hour(s) or day(s)";
const AT: &str = "at(yyyy-mm-ddThh:mm:ss), a local time without offset";

/// Longest period: a hundred years.
const MAX_PERIOD_SECONDS: i64 = 36_525 * 86_400;

/// Ticks at `anchor + k × period`, in seconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) anchor: i64,
    /// At least 1.
    pub(super) period: i64,
}

impl Rate {
    /// Parses the content of `rate(…)`.
    pub(super) fn parse(body: &str, anchor: i64) -> Result<Self, ScheduleError> {
        let refuse = |why: &str| {
            let message = format!("could not read \"rate({body})\": {why}, expected {RATE}");
            Err(ScheduleError::syntax(message).in_field("rate", RATE).at_position(5))
        };
        let mut words = body.split_ascii_whitespace();
        let (Some(number), Some(unit), None) = (words.next(), words.next(), words.next()) else {
            return refuse("not a number and a unit");
        };
        let unit = unit.to_ascii_lowercase();
        let unit = match unit.strip_suffix('s').unwrap_or(&unit) {
            "second" => 1,
            "minute" => 60,
            "hour" => 3_600,
            "day" => 86_400,
            _ => return refuse("unknown unit"),
        };
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return refuse("not a whole number");
        }
        let period = number.parse::<i64>().ok().and_then(|number| number.checked_mul(unit));
        match period {
            Some(period @ 1..=MAX_PERIOD_SECONDS) => Ok(Self { anchor, period }),
            Some(0) => refuse("zero"),
            _ => refuse("longer than 100 years"),
        }
    }

    pub(super) fn next(&self, after: i64) -> Option<i64> {
        Some(self.anchor + ((after - self.anchor).div_euclid(self.period) + 1) * self.period)
    }

    pub(super) fn previous(&self, until: i64) -> Option<i64> {
        Some(self.anchor + (until - self.anchor).div_euclid(self.period) * self.period)
    }

    /// Number of ticks in `from..=to`.
    pub(super) fn count(&self, from: i64, to: i64) -> u64 {
        let steps = |instant: i64| (instant - self.anchor).div_euclid(self.period);
        steps(to).saturating_sub(steps(from - 1)).unsigned_abs()
    }
}

/// Parses the content of `at(…)` and resolves it: shifted out of a gap, the first pass of a fold.
pub(super) fn parse_at(body: &str, zone: &TimeZone) -> Result<i64, ScheduleError> {
    let refuse = || {
        let message = format!("could not read \"at({body})\": expected {AT}");
        ScheduleError::syntax(message).in_field("at", AT).at_position(3)
    };
    let shape = b"0000-00-00T00:00:00";
    let fits =
        |(&byte, &model): (&u8, &u8)| if model == b'0' { byte.is_ascii_digit() } else { byte == model };
    if body.len() != shape.len() || !body.as_bytes().iter().zip(shape).all(fits) {
        return Err(refuse());
    }
    let local: DateTime = body.parse().map_err(|_| refuse())?;
    let instant = zone.to_ambiguous_timestamp(local).compatible().map_err(|_| refuse())?;
    Ok(instant.as_second())
}
