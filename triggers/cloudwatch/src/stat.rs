//! The statistics that CloudWatch accepts.
//!
//! # Source
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html>

#[cfg(test)]
mod tests;

/// The error message for an unknown statistic.
pub(crate) const EXPECTED: &str = "must be Average, Sum, Minimum, Maximum, SampleCount, IQM, a percentile such as p99 or \
     p99.9, or a trimmed statistic such as tm90, wm90, tc90, ts90, TM(10%:90%), PR(:300)";

const SIMPLE: [&str; 6] = ["Average", "Sum", "Minimum", "Maximum", "SampleCount", "IQM"];

/// Statistics of the values between two bounds; `PR` has no short form.
const BOUNDED: [&str; 5] = ["TM", "WM", "TC", "TS", "PR"];

/// Maximum number of decimals.
const MAX_DECIMALS: usize = 10;

/// Tells whether CloudWatch knows this statistic.
pub(crate) fn is_known(stat: &str) -> bool {
    if SIMPLE.contains(&stat) {
        return true;
    }
    if let Some((name, bounds)) = stat.split_once('(') {
        return BOUNDED.contains(&name) && bounds.strip_suffix(')').is_some_and(is_range);
    }
    let short = ["p", "tm", "wm", "tc", "ts"];
    short
        .iter()
        .filter_map(|name| stat.strip_prefix(name))
        .any(|rest| number(rest).is_some_and(|n| n <= 100.0))
}

/// Tells whether a text is `low:high`, of which one may be left out; both are percentages or both are values.
fn is_range(bounds: &str) -> bool {
    let Some((low, high)) = bounds.split_once(':') else { return false };
    let bound = |text: &str| match text.strip_suffix('%') {
        Some(percent) => number(percent).filter(|n| *n <= 100.0).map(|n| (n, true)),
        None => number(text.strip_prefix('-').unwrap_or(text))
            .map(|n| (if text.starts_with('-') { -n } else { n }, false)),
    };
    match (low.is_empty(), high.is_empty()) {
        (true, true) => false,
        (true, false) => bound(high).is_some(),
        (false, true) => bound(low).is_some(),
        (false, false) => bound(low)
            .zip(bound(high))
            .is_some_and(|((low, of_low), (high, of_high))| of_low == of_high && low < high),
    }
}

/// Parses a number without a sign, with up to ten decimals.
fn number(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > MAX_DECIMALS {
        return None;
    }
    text.parse().ok()
}
