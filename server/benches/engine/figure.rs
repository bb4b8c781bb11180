//! The output of a figure.

use serde_json::{Value, json};

/// Where a goal is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

/// One measured number, and what was measured beside it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    pub(crate) value: f64,
    /// The unit of both numbers.
    pub(crate) unit: &'static str,
    pub(crate) goal: Option<Goal>,
    /// The bare limit or peer, and its number.
    pub(crate) beside: (&'static str, f64),
}

impl Figure<'_> {
    /// Prints the figure as a line of JSON. `ratio` is the value divided by what stands beside it.
    pub(crate) fn print(&self) {
        let (goal, met): (Value, Value) = match self.goal {
            Some(Goal::AtMost(most)) => (format!("≤ {most}").into(), (self.value <= most).into()),
            Some(Goal::AtLeast(least)) => (format!("≥ {least}").into(), (self.value >= least).into()),
            None => (Value::Null, Value::Null),
        };
        let (beside, limit) = self.beside;
        println!(
            "{}",
            json!({
                "figure": self.name, "value": rounded(self.value), "unit": self.unit, "goal": goal, "met": met,
                "beside": beside, "besideValue": rounded(limit), "ratio": rounded(self.value / limit),
            })
        );
    }
}

fn rounded(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

/// Returns what at most this share of the samples exceeds not; sorts them.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a place in a list of samples"
)]
pub(crate) fn quantile(samples: &mut [f64], share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let place = ((samples.len() as f64 * share).ceil() as usize).clamp(1, samples.len());
    samples[place - 1]
}
