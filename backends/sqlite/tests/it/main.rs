//! Integration tests of the SQLite store, in one binary: linking is the cost.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod conformance;
mod copies;
#[cfg(target_os = "linux")]
mod disk;
mod failures;
mod files;
mod formats;
mod help;
mod months;
mod python;
mod rows;
