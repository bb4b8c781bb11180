//! Batching of queries into calls.

use crate::limits;
use crate::query::{MetricQuery, ReadingKey};

#[cfg(test)]
mod tests;

/// Distributes readings over as few calls as their queries need. All readings of a call end at the same moment, and
/// have at most 500 queries together. Readings for which `needs_own_call` holds get a call of their own.
pub(crate) fn batch_queries<'k>(
    keys: &'k [ReadingKey],
    needs_own_call: impl Fn(&MetricQuery) -> bool,
) -> Vec<Vec<&'k ReadingKey>> {
    let mut sorted: Vec<&ReadingKey> = keys.iter().collect();
    // Largest first: the small readings fill the rest. The sort is stable, so calls do not differ by chance.
    sorted.sort_by_key(|key| (key.window.end, std::cmp::Reverse(key.query.query_count())));
    let mut calls: Vec<Call<'k>> = Vec::new();
    for key in sorted {
        let query_count = key.query.query_count();
        let alone = key.query.needs_own_call() || needs_own_call(&key.query);
        let fits = |call: &&mut Call<'_>| {
            !alone
                && !call.alone
                && call.end == key.window.end
                && call.query_count + query_count <= limits::MAX_QUERIES
        };
        match calls.iter_mut().find(fits) {
            Some(call) => {
                call.query_count += query_count;
                call.keys.push(key);
            }
            None => calls.push(Call { end: key.window.end, query_count, alone, keys: vec![key] }),
        }
    }
    calls.into_iter().map(|call| call.keys).collect()
}

struct Call<'k> {
    end: i64,
    query_count: usize,
    alone: bool,
    keys: Vec<&'k ReadingKey>,
}
