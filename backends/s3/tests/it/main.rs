//! The S3 store against emulators of S3 that others wrote, and behind a proxy that fails.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod bucket;
mod conditions;
mod conformance;
mod cost;
mod emulator;
mod errors;
mod faults;
mod formats;
mod proxy;
mod python;
