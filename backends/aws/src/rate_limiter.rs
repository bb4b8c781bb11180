//! Rate limiting: waiting for quota instead of being throttled.
//!
//! Each account, region and quota of AWS has a [`RateLimiter`]: a token bucket a little below AWS's own. A caller waits
//! until there are tokens; the earliest deadline goes first, then the earliest arrival. A throttled call shows that
//! the bucket is smaller or shared with others: the rate falls by a part, and recovers slowly.
//!
//! A semaphore that a task refills was rejected: it serves in order of arrival, knows no fractions, and ticks while
//! nobody waits.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::context::AwsScope;
use crate::limits::{Quota, Share};

#[cfg(test)]
mod tests;

/// Factor of the rate after a throttled call.
const THROTTLE_FACTOR: f64 = 0.9;
/// Minimum factor of the rate.
const MIN_FACTOR: f64 = 0.1;
/// Recovery of the factor per second without a throttled call.
const RECOVERY_PER_SECOND: f64 = 0.01;
/// Time within which further throttled calls count as the same event: they were in flight together.
const THROTTLE_WINDOW: Duration = Duration::from_secs(1);

/// A token bucket with a queue in order of deadlines.
#[derive(Debug)]
pub struct RateLimiter {
    name: &'static str,
    burst: f64,
    rate: f64,
    inner: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    /// The time of `tokens` and `factor`.
    at: Instant,
    /// The part of the rate that is used: 1 until a call is throttled.
    factor: f64,
    throttled: Option<Instant>,
    arrivals: u64,
    waiting: BTreeMap<QueuePosition, Arc<Notify>>,
}

/// A position in the queue.
type QueuePosition = (Instant, u64);

impl RateLimiter {
    /// Makes a full bucket with a share of a quota.
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

    /// Waits until `cost` tokens are available, and takes them. The earliest deadline goes first; a deadline that has
    /// passed only goes ahead of the others.
    ///
    /// Cancel safe: a cancelled caller takes nothing and delays nobody. A cost above the burst counts as the burst.
    pub async fn acquire(&self, deadline: Instant, cost: u32) {
        let cost = f64::from(cost).min(self.burst);
        let guard = self.enqueue(deadline);
        loop {
            match self.try_acquire(guard.position, cost) {
                AcquireResult::Acquired => return,
                AcquireResult::Queued => guard.notify.notified().await,
                AcquireResult::NotYet(wait) => {
                    tokio::select! {
                        () = guard.notify.notified() => {}
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        }
    }

    /// Lowers the rate after a call was throttled although tokens were available.
    pub fn throttled(&self) {
        let now = Instant::now();
        let mut bucket = self.inner.lock();
        bucket.refill(now, self.burst, self.rate);
        bucket.tokens = bucket.tokens.min(0.0);
        if bucket.throttled.is_some_and(|last| now.duration_since(last) < THROTTLE_WINDOW) {
            return;
        }
        bucket.throttled = Some(now);
        bucket.factor = (bucket.factor * THROTTLE_FACTOR).max(MIN_FACTOR);
        tracing::warn!(
            bucket = self.name,
            per_second = self.rate * bucket.factor,
            "throttled by AWS; slowing down"
        );
    }

    /// Returns the current rate in tokens per second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        let mut bucket = self.inner.lock();
        bucket.refill(Instant::now(), self.burst, self.rate);
        self.rate * bucket.factor
    }

    fn enqueue(&self, deadline: Instant) -> QueueGuard<'_> {
        let mut bucket = self.inner.lock();
        bucket.arrivals += 1;
        let position = (deadline, bucket.arrivals);
        let notify = Arc::new(Notify::new());
        bucket.waiting.insert(position, Arc::clone(&notify));
        QueueGuard { limiter: self, position, notify }
    }

    fn try_acquire(&self, position: QueuePosition, cost: f64) -> AcquireResult {
        let mut bucket = self.inner.lock();
        if bucket.waiting.first_key_value().is_some_and(|(first, _)| *first != position) {
            return AcquireResult::Queued;
        }
        bucket.refill(Instant::now(), self.burst, self.rate);
        let short = cost - bucket.tokens;
        if short <= 1e-9 {
            bucket.tokens -= cost;
            return AcquireResult::Acquired;
        }
        let wait = short / (self.rate * bucket.factor);
        AcquireResult::NotYet(Duration::from_secs_f64(wait).max(Duration::from_millis(1)))
    }
}

impl Bucket {
    /// Adds the tokens gained since the previous refill.
    fn refill(&mut self, now: Instant, burst: f64, rate: f64) {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.tokens = (self.tokens + elapsed * rate * self.factor).min(burst);
        self.factor = (self.factor + elapsed * RECOVERY_PER_SECOND).min(1.0);
    }
}

enum AcquireResult {
    Acquired,
    Queued,
    NotYet(Duration),
}

/// A position in the queue. Dropping the guard removes it.
struct QueueGuard<'a> {
    limiter: &'a RateLimiter,
    position: QueuePosition,
    notify: Arc<Notify>,
}

impl Drop for QueueGuard<'_> {
    fn drop(&mut self) {
        let mut bucket = self.limiter.inner.lock();
        bucket.waiting.remove(&self.position);
        if let Some((_, next)) = bucket.waiting.first_key_value() {
            next.notify_one();
        }
    }
}

/// The rate limiters of all scopes. Each is made on first use.
#[derive(Debug, Default)]
pub struct RateLimiters {
    share: Share,
    all: Mutex<HashMap<(AwsScope, &'static str), Arc<RateLimiter>>>,
}

impl RateLimiters {
    /// Makes rate limiters that use this share of each quota.
    #[must_use]
    pub fn new(share: Share) -> Self {
        Self { share, all: Mutex::default() }
    }

    /// Returns the rate limiter of a quota in a scope.
    #[must_use]
    pub fn get(&self, scope: &AwsScope, quota: Quota) -> Arc<RateLimiter> {
        let mut all = self.all.lock();
        let limiter = all
            .entry((scope.clone(), quota.name))
            .or_insert_with(|| Arc::new(RateLimiter::new(quota, self.share)));
        Arc::clone(limiter)
    }
}
