//! Tests of the store on a strict fake of the documented API, and on third-party emulators.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod conformance;
mod emulator;
mod faults;
mod fixture;
mod formats;
mod legacy_index;
mod open;
mod tls;
