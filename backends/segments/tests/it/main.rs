//! A store on a log and documents in memory, which can fail, lose answers, and stop at any call.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod adoption;
mod conformance;
mod crash;
mod fixtures;
mod formats;
mod place;
mod sample;
mod takeover;
mod trouble;
mod upkeep;
