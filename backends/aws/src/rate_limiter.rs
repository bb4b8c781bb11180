//! Waiting for quota instead of being throttled.
//!
//! Each account, region and bucket of AWS has a [`Pacer`]: a token bucket a little below AWS's own. Who wants to call
//! waits until there are tokens; the earliest deadline goes first, then the earliest arrival. A throttled call shows that
//! the bucket is smaller or shared with others: the rate falls by a part, and rises again slowly.
//!
//! A semaphore that a task refills was rejected: it serves in order of arrival, knows no fractions, and ticks while
//! nobody waits.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::context::Place;
use crate::limits::{Quota, Share};

#[cfg(test)]
mod tests;

/// What a throttled call leaves of the rate.
const FALL: f64 = 0.9;
/// What is left of the rate at least.
const FLOOR: f64 = 0.1;
/// What the rate gains each second without a throttled call, as a part of the quota.
const RISE: f64 = 0.01;
/// Throttled calls that come this soon after another say nothing new: they were under way together.
const ONE_EVENT: Duration = Duration::from_secs(1);

/// A token bucket with a queue in order of deadlines.
#[derive(Debug)]
pub struct Pacer {
    name: &'static str,
    burst: f64,
    rate: f64,
    inner: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    /// When `tokens` and `factor` were right.
    at: Instant,
    /// The part of the rate that is used: 1 until something is throttled.
    factor: f64,
    throttled: Option<Instant>,
    arrivals: u64,
    waiting: BTreeMap<Turn, Arc<Notify>>,
}

/// A place in the queue.
type Turn = (Instant, u64);

impl Pacer {
    /// Makes a full bucket of a quota's share.
    #[must_use]
    pub fn new(quota: Quota, share: Share) -> Self {
        let burst = (quota.burst * share.burst).max(1.0);
        let bucket = Bucket {
            tokens: burst,
            at: Instant::now(),
            factor: 1.0,
            throttled: None,
            arrivals: 0,
            waiting: BTreeMap::new(),
        };
        Self { name: quota.name, burst, rate: quota.per_second * share.rate, inner: Mutex::new(bucket) }
    }

    /// Waits until `cost` tokens may be used, and takes them. The earliest deadline goes first; a deadline that has
    /// passed only goes before the others.
    ///
    /// Cancel safe: who stops waiting takes nothing and holds up nobody. A cost above the burst is taken as the burst.
    pub async fn admit(&self, deadline: Instant, cost: u32) {
        let cost = f64::from(cost).min(self.burst);
        let place = self.enter(deadline);
        loop {
            match self.try_take(place.turn, cost) {
                Attempt::Taken => return,
                Attempt::Behind => place.called.notified().await,
                Attempt::Early(wait) => {
                    tokio::select! {
                        () = place.called.notified() => {}
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        }
    }

    /// Learns that a call was throttled although tokens were there.
    pub fn throttled(&self) {
        let now = Instant::now();
        let mut bucket = self.inner.lock();
        bucket.refill(now, self.burst, self.rate);
        bucket.tokens = bucket.tokens.min(0.0);
        if bucket.throttled.is_some_and(|last| now.duration_since(last) < ONE_EVENT) {
            return;
        }
        bucket.throttled = Some(now);
        bucket.factor = (bucket.factor * FALL).max(FLOOR);
        tracing::warn!(
            bucket = self.name,
            per_second = self.rate * bucket.factor,
            "throttled by AWS; slowing down"
        );
    }

    /// Returns the tokens a second that are used now.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        let mut bucket = self.inner.lock();
        bucket.refill(Instant::now(), self.burst, self.rate);
        self.rate * bucket.factor
    }

    fn enter(&self, deadline: Instant) -> InQueue<'_> {
        let mut bucket = self.inner.lock();
        bucket.arrivals += 1;
        let turn = (deadline, bucket.arrivals);
        let called = Arc::new(Notify::new());
        bucket.waiting.insert(turn, Arc::clone(&called));
        InQueue { pacer: self, turn, called }
    }

    fn try_take(&self, turn: Turn, cost: f64) -> Attempt {
        let mut bucket = self.inner.lock();
        if bucket.waiting.first_key_value().is_some_and(|(first, _)| *first != turn) {
            return Attempt::Behind;
        }
        bucket.refill(Instant::now(), self.burst, self.rate);
        let short = cost - bucket.tokens;
        if short <= 1e-9 {
            bucket.tokens -= cost;
            return Attempt::Taken;
        }
        let wait = short / (self.rate * bucket.factor);
        Attempt::Early(Duration::from_secs_f64(wait).max(Duration::from_millis(1)))
    }
}

impl Bucket {
    /// Adds what was gained since the last look.
    fn refill(&mut self, now: Instant, burst: f64, rate: f64) {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.tokens = (self.tokens + elapsed * rate * self.factor).min(burst);
        self.factor = (self.factor + elapsed * RISE).min(1.0);
    }
}

enum Attempt {
    Taken,
    Behind,
    Early(Duration),
}

/// A place in the queue that is given up however the wait ends.
struct InQueue<'a> {
    pacer: &'a Pacer,
    turn: Turn,
    called: Arc<Notify>,
}

impl Drop for InQueue<'_> {
    fn drop(&mut self) {
        let mut bucket = self.pacer.inner.lock();
        bucket.waiting.remove(&self.turn);
        if let Some((_, next)) = bucket.waiting.first_key_value() {
            next.notify_one();
        }
    }
}

/// The pacers of all places, made when they are first asked for.
#[derive(Debug, Default)]
pub struct Pacers {
    share: Share,
    all: Mutex<HashMap<(Place, &'static str), Arc<Pacer>>>,
}

impl Pacers {
    /// Makes pacers that use this share of each quota.
    #[must_use]
    pub fn new(share: Share) -> Self {
        Self { share, all: Mutex::default() }
    }

    /// Returns the pacer of a quota in a place.
    #[must_use]
    pub fn get(&self, place: &Place, quota: Quota) -> Arc<Pacer> {
        let mut all = self.all.lock();
        let pacer =
            all.entry((place.clone(), quota.name)).or_insert_with(|| Arc::new(Pacer::new(quota, self.share)));
        Arc::clone(pacer)
    }
}
