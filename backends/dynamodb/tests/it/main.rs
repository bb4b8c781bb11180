//! The DynamoDB store on emulators of DynamoDB, alone and behind a faulty proxy.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod conformance;
mod edits;
mod emulator;
mod failures;
mod faults;
mod fences;
mod formats;
mod help;
mod large_firings;
mod proxy;
mod python;
