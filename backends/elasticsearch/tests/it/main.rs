//! The store against a strict fake of the documented API, and against look-alikes that others wrote.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod conformance;
mod emulator;
mod faults;
mod fixture;
mod formats;
mod legacy_index;
mod open;
mod tls;
