//! The local launcher with real processes.

#![expect(clippy::unwrap_used, reason = "an error fails the test")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test configures its child process and its tasks by the environment"
)]

mod conformance;
mod crash;
mod fixture;
mod tasks;
