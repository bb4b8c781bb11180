//! The report of a run.

use serde::Serialize;

/// The results of one rule in one scenario; reports can be merged.
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
    /// The sum of seconds that messages waited until they were first received.
    pub waited: u64,
    /// The maximum number of concurrent tasks.
    pub most_busy: u32,
}

impl Report {
    /// Merges the report of another run.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
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

    /// Returns the percentage of tasks that found no message.
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

/// Returns the mean and worst percentage of empty runs, and the mean wait in seconds, over scenarios.
#[must_use]
pub fn summary(reports: &[Report]) -> (f64, f64, f64) {
    let count = f64::from(u32::try_from(reports.len().max(1)).unwrap_or(u32::MAX));
    let mean = |of: fn(&Report) -> f64| reports.iter().map(of).sum::<f64>() / count;
    let worst = reports.iter().map(Report::empty_percent).fold(0.0, f64::max);
    (mean(Report::empty_percent), worst, mean(Report::mean_wait))
}
