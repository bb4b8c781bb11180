//! What came of a run.

use serde::Serialize;

/// What came of one rule in one scenario; reports add up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Messages that arrived.
    pub messages: u32,
    /// Messages that were never done.
    pub unserved: u32,
    /// Tasks launched.
    pub launched: u32,
    /// Tasks that ended without having received a message.
    pub empty: u32,
    /// Tasks that crashed.
    pub failed: u32,
    /// Seconds that messages waited until they were received first, summed.
    pub waited: u64,
    /// The most tasks that existed at once.
    pub most_busy: u32,
}

impl Report {
    /// Adds the report of another run.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            messages: self.messages + other.messages,
            unserved: self.unserved + other.unserved,
            launched: self.launched + other.launched,
            empty: self.empty + other.empty,
            failed: self.failed + other.failed,
            waited: self.waited + other.waited,
            most_busy: self.most_busy.max(other.most_busy),
        }
    }

    /// Returns the share of tasks that found nothing to do, in percent.
    #[must_use]
    pub fn empty_percent(&self) -> f64 {
        100.0 * f64::from(self.empty) / f64::from(self.launched.max(1))
    }

    /// Returns how long a message waited on average, in seconds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "seconds of a few hours are exact in a float")]
    pub fn mean_wait(&self) -> f64 {
        self.waited as f64 / f64::from(self.messages.max(1))
    }
}

/// Returns mean and worst share of empty runs, in percent, and the mean wait in seconds, over scenarios.
#[must_use]
pub fn summary(reports: &[Report]) -> (f64, f64, f64) {
    let count = f64::from(u32::try_from(reports.len().max(1)).unwrap_or(u32::MAX));
    let mean = |of: fn(&Report) -> f64| reports.iter().map(of).sum::<f64>() / count;
    let worst = reports.iter().map(Report::empty_percent).fold(0.0, f64::max);
    (mean(Report::empty_percent), worst, mean(Report::mean_wait))
}
