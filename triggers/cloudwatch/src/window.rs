//! Which stretch of time is read.

use ecs_scheduler_core::Timestamp;

use crate::limits;

#[cfg(test)]
mod tests;

/// Datapoints that are read beyond those that a job looks at, in case some are missing.
///
/// CloudWatch's alarms look further back as well: in its worked examples at 5 datapoints for 3.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html>
const BEYOND: u32 = 2;

/// The fewest datapoints that are read, so that jobs which look at 1, 2 and 3 share a reading.
const FEWEST: u32 = 5;

const _: () = assert!(
    readable(limits::EVALUATION_PERIODS) as usize * limits::QUERIES <= limits::DATAPOINTS,
    "a full call of the longest windows is one page"
);

/// Where a stretch of datapoints ends, and how many it has at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Window {
    /// The moment after the newest complete datapoint, in seconds since 1970; a multiple of the period.
    pub(crate) end: i64,
    /// How many datapoints it has room for.
    pub(crate) points: u32,
    /// The length of a datapoint in seconds.
    pub(crate) period: u32,
}

impl Window {
    /// Makes the window of datapoints that were complete at `observed − delay`, for a job that looks at so many.
    pub(crate) fn before(observed: Timestamp, delay: u32, period: u32, evaluation_periods: u32) -> Self {
        let at = observed.as_second() - i64::from(delay);
        let end = at - at.rem_euclid(i64::from(period.max(1)));
        Self { end, points: readable(evaluation_periods), period }
    }

    /// Returns where it begins, in seconds since 1970.
    pub(crate) fn start(&self) -> i64 {
        self.end - i64::from(self.points) * i64::from(self.period)
    }
}

/// Returns how far back a job looks that is to see so many datapoints.
pub(crate) const fn range(evaluation_periods: u32) -> u32 {
    evaluation_periods.saturating_add(BEYOND)
}

/// Rounds the range up to a few sizes, so that jobs that look at different numbers of datapoints share readings.
pub(crate) const fn readable(evaluation_periods: u32) -> u32 {
    let mut points = FEWEST;
    while points < range(evaluation_periods) {
        points = points.saturating_mul(2);
    }
    points
}
