//! From datapoints to demand: the datapoints that count, whether they breach, and the demand of the newest value.

use std::num::NonZeroU32;

use ecs_scheduler_core::Demand;

use crate::config::{Comparison, MissingData};
use crate::query::Point;
use crate::window;

#[cfg(test)]
mod tests;

/// Maximum relative error of a quotient that counts as a whole number: 0.6 ÷ 0.2 is 3.
const ROUNDING_TOLERANCE: f64 = 1e-9;

/// The rule by which a job turns datapoints into demand.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AlarmRule {
    pub(crate) comparison: Comparison,
    pub(crate) threshold: f64,
    /// Number of datapoints that must breach.
    pub(crate) datapoints: u32,
    /// Number of datapoints that are evaluated.
    pub(crate) periods: u32,
    pub(crate) missing: MissingData,
    pub(crate) amount: Amount,
}

/// The number of tasks for a breach.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Amount {
    Floor,
    /// The value divided by this number.
    Per(f64),
    /// Values, ascending, each with the number of tasks for values over it.
    Steps(Vec<(f64, NonZeroU32)>),
}

/// The result of evaluating datapoints.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct AlarmState {
    /// Whether the condition holds; unknown if too many datapoints are missing.
    pub(crate) breach: Option<bool>,
    /// Number of breaching datapoints.
    pub(crate) breaching: u32,
    /// Number of missing datapoints among the evaluated ones.
    pub(crate) missing: u32,
    /// The newest datapoint, if there is any.
    pub(crate) newest: Option<Point>,
}

impl AlarmRule {
    /// Evaluates datapoints, newest first, of a window with this end.
    ///
    /// The rules are those of CloudWatch's alarms: the newest real datapoints count, including some from a little
    /// further back; only datapoints that are still missing are filled in by `treatMissingData`. With `hold`, one
    /// real datapoint that does not breach decides.
    ///
    /// # Source
    ///
    /// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html>
    pub(crate) fn evaluate_alarm(&self, points: &[Point], end: i64, period: u32) -> AlarmState {
        let oldest = end - i64::from(window::lookback(self.periods)) * i64::from(period);
        let real = points.iter().filter(|point| point.start >= oldest && point.start < end);
        let (mut seen, mut breaching, mut newest) = (0, 0, None);
        for point in real.take(usize::try_from(self.periods).unwrap_or(usize::MAX)) {
            newest = newest.or(Some(*point));
            seen += 1;
            breaching += u32::from(self.breaches(point.value));
        }
        let missing = self.periods.saturating_sub(seen);
        let enough = |breaching: u32| breaching >= self.datapoints;
        let breach = match self.missing {
            _ if enough(breaching) => Some(true),
            MissingData::Breaching => Some(enough(breaching + missing)),
            MissingData::NotBreaching => Some(false),
            MissingData::Hold if missing == 0 || seen > breaching => Some(false),
            MissingData::Hold => None,
        };
        AlarmState { breach, breaching, missing, newest }
    }

    fn breaches(&self, value: f64) -> bool {
        match self.comparison {
            Comparison::Above => value > self.threshold,
            Comparison::AtLeast => value >= self.threshold,
            Comparison::Below => value < self.threshold,
            Comparison::AtMost => value <= self.threshold,
        }
    }
}

impl Amount {
    /// Returns the demand of a breach with this newest value. It is the floor if the value itself gives no tasks.
    pub(crate) fn demand(&self, newest: Option<f64>) -> Demand {
        let tasks = match (self, newest) {
            (Self::Floor, _) | (_, None) => None,
            (Self::Per(each), Some(value)) => NonZeroU32::new(quotient(value, *each)),
            (Self::Steps(steps), Some(value)) => {
                steps.iter().rev().find(|(over, _)| value > *over).map(|(_, tasks)| *tasks)
            }
        };
        tasks.map_or(Demand::Floor, Demand::Tasks)
    }
}

/// Divides and rounds up. Saturates at `u32::MAX`; returns 0 for values of 0 and below.
fn quotient(value: f64, each: f64) -> u32 {
    let exact = value / each;
    let nearest = exact.round();
    let whole =
        if (exact - nearest).abs() <= ROUNDING_TOLERANCE * nearest.abs() { nearest } else { exact.ceil() };
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, which is what is wanted")]
    let tasks = whole as u32;
    tasks
}
