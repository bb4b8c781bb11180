//! Whole numbers in bodies, whose errors say the bounds.

use std::fmt;

use serde::Deserializer;
use serde::de::{Error, Unexpected, Visitor};

/// Reads a whole number of at least `LEAST` and at most [`u32::MAX`], or null.
pub(super) fn whole<'de, const LEAST: u32, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u32>, D::Error> {
    deserializer.deserialize_any(Whole::<LEAST>)
}

/// Reads a whole number.
pub(super) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let number = whole::<0, D>(deserializer)?;
    number.ok_or_else(|| D::Error::invalid_type(Unexpected::Option, &Whole::<0>))
}

/// Accepts a whole number of at least `LEAST`, or null.
struct Whole<const LEAST: u32>;

impl<const LEAST: u32> Visitor<'_> for Whole<LEAST> {
    type Value = Option<u32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number between {LEAST} and {}", u32::MAX)
    }

    fn visit_unit<E>(self) -> Result<Option<u32>, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Option<u32>, E> {
        let fitting = u32::try_from(number).ok().filter(|number| *number >= LEAST);
        fitting.map(Some).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }
}
