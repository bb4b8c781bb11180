//! How far this machine's clock is off, as the `Date` of AWS's answers tells.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use jiff::SignedDuration;

#[cfg(test)]
mod tests;

/// From how many seconds on the clock is worth a word. AWS accepts five minutes; a clock that is off by more than a round
/// trip and the whole seconds of `Date` is not set by NTP.
const WRONG: i64 = 30;

/// By how many seconds AWS's clock is ahead of this machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Skew(i64);

impl Skew {
    /// Measures it; nothing when the answer does not tell the time, or a cache gave it.
    pub(crate) fn of(response: &HttpResponse, now: SystemTime) -> Option<Self> {
        let headers = response.headers();
        if headers.get("age").is_some() {
            return None;
        }
        let date = DateTime::from_str(headers.get("date")?, Format::HttpDate).ok()?;
        let now = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
        Some(Self(date.secs() - i64::try_from(now).ok()?))
    }

    /// Makes it of so many seconds.
    #[cfg(test)]
    pub(crate) fn seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Tells whether the clock is wrong.
    pub(crate) fn matters(&self) -> bool {
        self.0.abs() >= WRONG
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.0 < 0 { "ahead of" } else { "behind" };
        write!(f, "{:#} {side} that of AWS", SignedDuration::from_secs(self.0.abs()))
    }
}
