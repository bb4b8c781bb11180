//! The S3 store on third-party emulators of S3, and behind a faulty proxy.

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
