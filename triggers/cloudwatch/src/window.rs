//! The window of time that is read.

use ecs_scheduler_core::Timestamp;

use crate::limits;

#[cfg(test)]
mod tests;

/// Number of datapoints that are read beyond those that a job evaluates, in case some are missing.
///
/// CloudWatch's alarms look further back as well: in its worked examples at 5 datapoints for 3.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html>
const EXTRA_POINTS: u32 = 2;

/// Minimum number of datapoints that are read, so that jobs that evaluate 1, 2 and 3 share a reading.
const MIN_POINTS: u32 = 5;

const _: () = assert!(
    window_size(limits::MAX_EVALUATION_PERIODS) as usize * limits::MAX_QUERIES <= limits::MAX_DATAPOINTS,
    "a full call of the longest windows is one page"
);

/// The end of a window of datapoints, and its maximum number of datapoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ReadWindow {
    /// The moment after the newest complete datapoint, in seconds since 1970; a multiple of the period.
    pub(crate) end: i64,
    /// Maximum number of datapoints.
    pub(crate) points: u32,
    /// The length of a datapoint in seconds.
    pub(crate) period: u32,
}

impl ReadWindow {
    /// Makes the window of datapoints that were complete at `observed − delay`, for a job that evaluates this many.
    pub(crate) fn before(observed: Timestamp, delay: u32, period: u32, evaluation_periods: u32) -> Self {
        let at = observed.as_second() - i64::from(delay);
        let end = at - at.rem_euclid(i64::from(period.max(1)));
        Self { end, points: window_size(evaluation_periods), period }
    }

    /// Returns its start, in seconds since 1970.
    pub(crate) fn start(&self) -> i64 {
        self.end - i64::from(self.points) * i64::from(self.period)
    }
}

/// Returns the number of datapoints back that a job looks to see this many.
pub(crate) const fn lookback(evaluation_periods: u32) -> u32 {
    evaluation_periods.saturating_add(EXTRA_POINTS)
}

/// Returns the number of datapoints to read: the lookback, rounded up to a few sizes, so that jobs that evaluate
/// different numbers of datapoints share readings.
pub(crate) const fn window_size(evaluation_periods: u32) -> u32 {
    let mut points = MIN_POINTS;
    while points < lookback(evaluation_periods) {
        points = points.saturating_mul(2);
    }
    points
}
