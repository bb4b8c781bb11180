//! The skew of this machine's clock, measured by the `Date` of AWS's responses.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use jiff::SignedDuration;

#[cfg(test)]
mod tests;

/// Minimum skew that is reported, in seconds. AWS accepts five minutes. A clock that is off by more than a round trip
/// and the whole seconds of `Date` is not set by NTP.
const MIN_REPORTED_SECONDS: i64 = 30;

/// The seconds by which AWS's clock is ahead of this machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Skew(i64);

impl Skew {
    /// Measures the skew. Returns nothing if the response has no date, or comes from a cache.
    pub(crate) fn measure(response: &HttpResponse, now: SystemTime) -> Option<Self> {
        let headers = response.headers();
        if headers.get("age").is_some() {
            return None;
        }
        let date = DateTime::from_str(headers.get("date")?, Format::HttpDate).ok()?;
        let now = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
        Some(Self(date.secs() - i64::try_from(now).ok()?))
    }

    /// Makes a skew of this many seconds.
    #[cfg(test)]
    pub(crate) fn seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Tells whether the skew is large enough to report.
    pub(crate) fn is_significant(&self) -> bool {
        self.0.abs() >= MIN_REPORTED_SECONDS
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.0 < 0 { "ahead of" } else { "behind" };
        write!(f, "{:#} {side} that of AWS", SignedDuration::from_secs(self.0.abs()))
    }
}
