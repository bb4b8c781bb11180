//! The `cloudwatch` trigger with the real SDK against a strict fake of CloudWatch, and against the suite for triggers.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod batching;
mod datapoints;
mod faults;
mod help;
mod math;
mod suite;
