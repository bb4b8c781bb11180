//! The `sqs` trigger with the real SDK against a strict fake of SQS, and against the suite for triggers.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod batching;
mod config;
mod counts;
mod faults;
mod help;
mod suite;
