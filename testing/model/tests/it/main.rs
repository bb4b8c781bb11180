//! Tests of the model: what holds with every safeguard, what breaks without one, and that the README's table is true.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod full_protocol;
mod readme;
mod safeguards;
