//! Units of data.

use crate::wire::Failure;

use super::invalid;

/// All known units.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html>
const UNITS: [&str; 27] = [
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
    "None",
];

/// The unit of data without one.
pub(crate) const NONE: &str = "None";

/// Reads a unit.
pub(crate) fn parse(name: &str) -> Result<&'static str, Failure> {
    let known = UNITS.iter().find(|unit| **unit == name);
    known.copied().ok_or_else(|| invalid(format!("The value {name} for parameter Unit is invalid.")))
}
