//! The log store on a log and documents in memory that fail, lose answers or stop at any call.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod backend;
mod compaction;
mod conformance;
mod crash;
mod errors;
mod external_edits;
mod fixtures;
mod formats;
mod import;
mod sample;
