//! A cache that shares equal schedules between jobs.

use std::hash::BuildHasher as _;
use std::num::NonZeroUsize;

use hashbrown::DefaultHashBuilder;
use lru::LruCache;
use parking_lot::Mutex;

use super::{Schedule, ScheduleError, ScheduleSpec, Strictness};

/// A bounded LRU cache of parsed schedules, so that a thousand jobs with `0 0 2` share one.
///
/// The least recently used schedule is evicted first; jobs that hold it keep it.
///
/// # Example
/// ```
/// use ecs_scheduler_core::schedule::{ScheduleCache, ScheduleSpec};
///
/// let cache = ScheduleCache::new(10_000);
/// let expressions = ["0 0 2".to_owned()];
/// let first = cache.parse(&ScheduleSpec::written(&expressions))?;
/// let second = cache.parse(&ScheduleSpec::written(&expressions))?;
/// assert!(first.shares_memory_with(&second));
/// # Ok::<(), ecs_scheduler_core::schedule::ScheduleError>(())
/// ```
#[derive(Debug)]
pub struct ScheduleCache {
    hasher: DefaultHashBuilder,
    /// Keyed by the hash of the text alone; on a hit the text itself is compared.
    known: Mutex<LruCache<u64, Schedule>>,
}

impl ScheduleCache {
    /// Makes a cache for at most `capacity` schedules; 0 counts as 1.
    pub fn new(capacity: usize) -> Self {
        let capacity = NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN);
        Self { hasher: DefaultHashBuilder::default(), known: Mutex::new(LruCache::new(capacity)) }
    }

    /// Returns the schedule of that text, parsed now or earlier.
    ///
    /// # Errors
    /// As [`Schedule::parse`].
    pub fn parse(&self, spec: &ScheduleSpec<'_>) -> Result<Schedule, ScheduleError> {
        let key = self.key(spec);
        if let Some(schedule) = self.known.lock().get(&key)
            && schedule.is_of(spec)
        {
            return Ok(schedule.clone());
        }
        let schedule = Schedule::parse(spec)?;
        self.known.lock().put(key, schedule.clone());
        Ok(schedule)
    }

    /// The same, but evicts nothing when the cache is full: for loading many schedules of which few are equal.
    ///
    /// # Errors
    /// As [`Schedule::parse`].
    pub fn parse_while_room(&self, spec: &ScheduleSpec<'_>) -> Result<Schedule, ScheduleError> {
        let key = self.key(spec);
        let has_room = {
            let known = self.known.lock();
            if let Some(schedule) = known.peek(&key).filter(|schedule| schedule.is_of(spec)) {
                return Ok(schedule.clone());
            }
            known.len() < known.cap().get()
        };
        let schedule = Schedule::parse(spec)?;
        if has_room {
            self.known.lock().put(key, schedule.clone());
        }
        Ok(schedule)
    }

    fn key(&self, spec: &ScheduleSpec<'_>) -> u64 {
        let timezone = spec.timezone.unwrap_or_default();
        self.hasher.hash_one((spec.expressions, timezone, spec.start, spec.end, spec.strictness))
    }

    /// Number of schedules held.
    pub fn len(&self) -> usize {
        self.known.lock().len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Schedule {
    fn is_of(&self, spec: &ScheduleSpec<'_>) -> bool {
        let strictness: Strictness = self.0.strictness;
        let timezone = spec.timezone.filter(|name| !name.is_empty()).unwrap_or("UTC");
        (strictness, self.0.start, self.0.end) == (spec.strictness, spec.start, spec.end)
            && self.0.zone.name().eq_ignore_ascii_case(timezone)
            && self.expressions().eq(spec.expressions.iter().map(String::as_str))
    }
}

#[cfg(test)]
mod tests;
