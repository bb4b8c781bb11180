//! The local launcher with real processes.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]
#![expect(clippy::disallowed_methods, reason = "a test tells its child, and its tasks, by the environment")]

mod conformance;
mod crash;
mod fixture;
mod tasks;
