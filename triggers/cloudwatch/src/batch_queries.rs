//! Which queries go into one call.

use crate::limits;
use crate::query::{Key, Query};

#[cfg(test)]
mod tests;

/// Puts readings into as few calls as their queries need: all of a call end at the same moment, and have at most 500 queries
/// together. Those for which `is_alone` holds get a call of their own.
pub(crate) fn pack<'k>(keys: &'k [Key], is_alone: impl Fn(&Query) -> bool) -> Vec<Vec<&'k Key>> {
    let mut sorted: Vec<&Key> = keys.iter().collect();
    // Those that take most first: the small ones fill what is left. The sort is stable, so calls do not differ by chance.
    sorted.sort_by_key(|key| (key.window.end, std::cmp::Reverse(key.query.weight())));
    let mut calls: Vec<Call<'k>> = Vec::new();
    for key in sorted {
        let weight = key.query.weight();
        let alone = key.query.is_alone() || is_alone(&key.query);
        let fits = |call: &&mut Call<'_>| {
            !alone && !call.alone && call.end == key.window.end && call.weight + weight <= limits::QUERIES
        };
        match calls.iter_mut().find(fits) {
            Some(call) => {
                call.weight += weight;
                call.keys.push(key);
            }
            None => calls.push(Call { end: key.window.end, weight, alone, keys: vec![key] }),
        }
    }
    calls.into_iter().map(|call| call.keys).collect()
}

struct Call<'k> {
    end: i64,
    weight: usize,
    alone: bool,
    keys: Vec<&'k Key>,
}
