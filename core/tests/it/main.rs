//! Integration tests of the core, in one binary: linking is the cost.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod engine;
mod execution;
mod firing;
mod formats;
mod hanging_store;
mod log;
mod memory;
mod outcomes;
mod queue_model;
mod queue_rule;
mod replicas;
mod schedule;
