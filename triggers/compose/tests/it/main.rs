//! Composed triggers against the suite for triggers, and what is their own.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod combine;
mod probe;
mod window;
