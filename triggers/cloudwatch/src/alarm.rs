//! From datapoints to demand: which of them count, whether they breach, and what the newest asks for.

use std::num::NonZeroU32;

use ecs_scheduler_core::Demand;

use crate::config::{Comparison, Missing};
use crate::query::Point;
use crate::window;

#[cfg(test)]
mod tests;

/// How far a quotient may be from a whole number and still count as one: 0.6 ÷ 0.2 is 3.
const ROUNDING: f64 = 1e-9;

/// How a job makes demand of datapoints.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    pub(crate) comparison: Comparison,
    pub(crate) threshold: f64,
    /// How many must breach.
    pub(crate) datapoints: u32,
    /// How many are looked at.
    pub(crate) periods: u32,
    pub(crate) missing: Missing,
    pub(crate) amount: Amount,
}

/// How many tasks a breach asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Amount {
    Floor,
    /// The value divided by this.
    Per(f64),
    /// Values and the tasks that those over them ask for, ascending.
    Steps(Vec<(f64, NonZeroU32)>),
}

/// What the datapoints say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Verdict {
    /// Whether the condition holds; unknown when too much is missing.
    pub(crate) breach: Option<bool>,
    /// How many datapoints breach.
    pub(crate) breaching: u32,
    /// How many are missing of those that are looked at.
    pub(crate) missing: u32,
    /// The newest that there is.
    pub(crate) newest: Option<Point>,
}

impl Rule {
    /// Judges datapoints, newest first, of a window with this end.
    ///
    /// As CloudWatch's alarms do it: the newest real datapoints count, also such from a little further back; only what is then
    /// still missing is filled in as `treatMissingData` says. With `hold` one real datapoint that does not breach settles it.
    ///
    /// # Source
    ///
    /// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html>
    pub(crate) fn judge(&self, points: &[Point], end: i64, period: u32) -> Verdict {
        let oldest = end - i64::from(window::range(self.periods)) * i64::from(period);
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
            Missing::Breaching => Some(enough(breaching + missing)),
            Missing::NotBreaching => Some(false),
            Missing::Hold if missing == 0 || seen > breaching => Some(false),
            Missing::Hold => None,
        };
        Verdict { breach, breaching, missing, newest }
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
    /// Returns what a breach with this newest value asks for; the floor where the value itself asks for nothing.
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

/// Divides and rounds up; saturates at `u32::MAX`, and is 0 for what is not above 0.
fn quotient(value: f64, each: f64) -> u32 {
    let exact = value / each;
    let nearest = exact.round();
    let whole = if (exact - nearest).abs() <= ROUNDING * nearest.abs() { nearest } else { exact.ceil() };
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, which is what is wanted")]
    let tasks = whole as u32;
    tasks
}
