//! Composed triggers: the conformance suite, and their own behaviour.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod combine;
mod probe;
mod window;
