use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{RateLimiter, RateLimiters};
use crate::context::AwsScope;
use crate::limits::{FARGATE_TASKS, Quota, READ_CLUSTER, RUN_TASK, Share};

const WHOLE: Share = Share { burst: 1.0, rate: 1.0 };

fn later(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

fn seconds_since(start: Instant) -> f64 {
    start.elapsed().as_secs_f64()
}

/// The token bucket of AWS, which throttles.
struct Server {
    tokens: f64,
    at: Instant,
    throttled: u32,
}

impl Server {
    fn call(&mut self, quota: Quota) -> bool {
        let now = Instant::now();
        self.tokens = (self.tokens + (now - self.at).as_secs_f64() * quota.per_second).min(quota.burst);
        self.at = now;
        let taken = self.tokens >= 1.0;
        if taken {
            self.tokens -= 1.0;
        } else {
            self.throttled += 1;
        }
        taken
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_launches_use_the_quota_and_are_not_throttled() {
    let limiter = RateLimiter::new(RUN_TASK, Share::default());
    let start = Instant::now();
    let server = Mutex::new(Server { tokens: RUN_TASK.burst, at: start, throttled: 0 });
    join_all((0..10_000_u32).map(|n| {
        let (limiter, server) = (&limiter, &server);
        async move {
            limiter.acquire(start + Duration::from_secs(600), 1).await;
            // Requests and responses take different times.
            tokio::time::sleep(Duration::from_millis(u64::from(n * 7919 % 40))).await;
            if !server.lock().call(RUN_TASK) {
                limiter.throttled();
            }
        }
    }))
    .await;
    let took = seconds_since(start);
    assert!((247.5..247.5 * 1.02).contains(&took), "{took}");
    let throttled = server.lock().throttled;
    assert!(throttled < 10, "{throttled}");
}

#[tokio::test(start_paused = true)]
async fn earliest_deadline_is_first_then_earliest_arrival() {
    let limiter = RateLimiter::new(Quota { name: "test", burst: 1.0, per_second: 1.0 }, WHOLE);
    limiter.acquire(later(1), 1).await;
    let order = Mutex::new(Vec::new());
    let deadlines = [(30, "c"), (10, "a"), (30, "d"), (20, "b")].map(|(at, name)| (later(at), name));
    join_all(deadlines.map(|(deadline, name)| {
        let (limiter, order) = (&limiter, &order);
        async move {
            limiter.acquire(deadline, 1).await;
            order.lock().push(name);
        }
    }))
    .await;
    assert_eq!(*order.lock(), ["a", "b", "c", "d"]);
}

#[tokio::test(start_paused = true)]
async fn cancelled_caller_takes_nothing_and_delays_nobody() {
    let limiter = Arc::new(RateLimiter::new(Quota { name: "test", burst: 1.0, per_second: 1.0 }, WHOLE));
    limiter.acquire(later(1), 1).await;
    let start = Instant::now();
    let first = tokio::spawn({
        let limiter = Arc::clone(&limiter);
        let deadline = later(1);
        async move { limiter.acquire(deadline, 1).await }
    });
    let second = tokio::spawn({
        let limiter = Arc::clone(&limiter);
        let deadline = later(2);
        async move { limiter.acquire(deadline, 1).await }
    });
    tokio::task::yield_now().await;
    first.abort();
    second.await.unwrap();
    assert!((seconds_since(start) - 1.0).abs() < 0.01);
    assert!(limiter.inner.lock().waiting.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_call_may_cost_several_tokens() {
    let limiter = RateLimiter::new(FARGATE_TASKS, WHOLE);
    let start = Instant::now();
    for _ in 0..30 {
        limiter.acquire(later(60), 10).await;
    }
    assert!((seconds_since(start) - 10.0).abs() < 0.1, "{}", seconds_since(start));
}

#[tokio::test(start_paused = true)]
async fn throttling_lowers_the_rate_once_per_event_and_recovers() {
    let limiter = RateLimiter::new(RUN_TASK, WHOLE);
    for _ in 0..50 {
        limiter.throttled();
    }
    assert!((limiter.per_second() - 36.0).abs() < 1e-9);
    tokio::time::advance(Duration::from_secs(5)).await;
    assert!((limiter.per_second() - 38.0).abs() < 1e-9);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!((limiter.per_second() - 40.0).abs() < 1e-9);
}

#[tokio::test(start_paused = true)]
async fn smaller_quota_is_learnt_and_most_calls_succeed() {
    let smaller = Quota { name: "test", burst: 10.0, per_second: 10.0 };
    let limiter = RateLimiter::new(RUN_TASK, Share::default());
    let start = Instant::now();
    let server = Mutex::new(Server { tokens: smaller.burst, at: start, throttled: 0 });
    let mut done = 0;
    while done < 3_000 {
        limiter.acquire(later(600), 1).await;
        if server.lock().call(smaller) {
            done += 1;
        } else {
            limiter.throttled();
        }
    }
    let throttled = server.lock().throttled;
    assert!(throttled < 600, "{throttled} throttled");
    let took = seconds_since(start);
    assert!(took < 400.0, "{took}");
}

#[tokio::test(start_paused = true)]
async fn scopes_and_quotas_have_separate_limiters() {
    let limiters = RateLimiters::new(WHOLE);
    let here = AwsScope::default();
    let there = AwsScope { region: Some("us-east-1".to_owned()), account: None };
    let one = limiters.get(&here, RUN_TASK);
    assert!(Arc::ptr_eq(&one, &limiters.get(&here, RUN_TASK)));
    assert!(!Arc::ptr_eq(&one, &limiters.get(&there, RUN_TASK)));
    assert!(!Arc::ptr_eq(&one, &limiters.get(&here, READ_CLUSTER)));
}
