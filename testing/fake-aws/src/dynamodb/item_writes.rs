//! The number and the size of the items that were written.

use std::sync::Arc;

use super::action::Effect;
use super::capacity::Capacity;
use super::value::{Item, size_of_item};

/// The items that were written since the start of the fake, without indexes. A check of a transaction writes none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct ItemWrites {
    /// The number of writes.
    pub items: usize,
    /// The bytes that they count with: those of the larger one of the item before and after.
    pub bytes: usize,
    /// The billed units.
    pub units: f64,
}

impl ItemWrites {
    /// Counts a write with this effect; in a transaction each unit counts twice.
    pub(crate) fn add(&mut self, before: Option<&Arc<Item>>, effect: &Effect, factor: u32) {
        let before = before.map_or(0, |item| size_of_item(item));
        let bytes = match effect {
            Effect::Nothing => return,
            Effect::Kept(after) => before.max(size_of_item(after)),
            Effect::Removed => before,
        };
        self.items += 1;
        self.bytes += bytes;
        self.units += f64::from(factor) * Capacity::writes(bytes);
    }
}
