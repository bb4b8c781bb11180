//! Integration tests of the SQLite store, in one binary: linking is the cost.

#![expect(clippy::unwrap_used, reason = "an error fails the test")]

mod backup;
mod conformance;
#[cfg(target_os = "linux")]
mod disk;
mod edits;
mod files;
mod formats;
mod full_store;
mod python;
mod read_only;
mod retention;
mod row_format;
mod support;
