//! Samples and their statistics.

use std::collections::BTreeMap;

/// Data points by the second at which their period begins.
pub(crate) type Series = BTreeMap<i64, f64>;

/// The value of one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Sample {
    /// A value with its count.
    Seen { value: f64, times: f64 },
    /// Values with only a summary.
    Summary { count: f64, sum: f64, least: f64, most: f64 },
}

/// A statistic that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Statistic {
    Average,
    Sum,
    Minimum,
    Maximum,
    SampleCount,
    /// The value at or below which this share (0 to 1) of all values lies.
    Percentile(f64),
}

impl Statistic {
    /// Reads the name of a statistic, as in `Average` or `p99.9`.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "Average" => Self::Average,
            "Sum" => Self::Sum,
            "Minimum" => Self::Minimum,
            "Maximum" => Self::Maximum,
            "SampleCount" => Self::SampleCount,
            _ => {
                let percent: f64 = name.strip_prefix('p')?.parse().ok()?;
                let within = (0.0..=100.0).contains(&percent);
                return within.then_some(Self::Percentile(percent / 100.0));
            }
        })
    }

    /// Computes the statistic. The percentile of summaries is unknown.
    pub(crate) fn compute(self, samples: &[Sample]) -> Option<f64> {
        if samples.is_empty() {
            return None;
        }
        let total = |of: fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>();
        Some(match self {
            Self::Sum => total(Sample::sum),
            Self::SampleCount => total(Sample::count),
            Self::Average => total(Sample::sum) / total(Sample::count),
            Self::Minimum => samples.iter().map(Sample::least).fold(f64::INFINITY, f64::min),
            Self::Maximum => samples.iter().map(Sample::most).fold(f64::NEG_INFINITY, f64::max),
            Self::Percentile(share) => return percentile(samples, share),
        })
    }
}

impl Sample {
    /// Makes a value that was seen once.
    pub(crate) const fn once(value: f64) -> Self {
        Self::Seen { value, times: 1.0 }
    }

    const fn count(&self) -> f64 {
        match self {
            Self::Seen { times, .. } => *times,
            Self::Summary { count, .. } => *count,
        }
    }

    const fn sum(&self) -> f64 {
        match self {
            Self::Seen { value, times } => *value * *times,
            Self::Summary { sum, .. } => *sum,
        }
    }

    const fn least(&self) -> f64 {
        match self {
            Self::Seen { value, .. } => *value,
            Self::Summary { least, .. } => *least,
        }
    }

    const fn most(&self) -> f64 {
        match self {
            Self::Seen { value, .. } => *value,
            Self::Summary { most, .. } => *most,
        }
    }
}

/// Returns the smallest value that has this share of the values at or below it.
fn percentile(samples: &[Sample], share: f64) -> Option<f64> {
    let mut values = Vec::new();
    for sample in samples {
        match sample {
            Sample::Seen { value, times } => values.push((*value, *times)),
            // A summary says each value when all of them are the same.
            Sample::Summary { count, least, most, .. } if *count <= 1.0 || least.total_cmp(most).is_eq() => {
                values.push((*least, *count));
            }
            Sample::Summary { .. } => return None,
        }
    }
    values.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let rank = share * values.iter().map(|(_, times)| times).sum::<f64>();
    let mut seen = 0.0;
    for (value, times) in &values {
        seen += times;
        if seen >= rank {
            return Some(*value);
        }
    }
    values.last().map(|(value, _)| *value)
}

#[cfg(test)]
mod tests;
