use proptest::prelude::*;

use super::*;

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0_u64..10_000).prop_map(Duration::from_millis),
        (any::<u64>(), 0_u32..1_000_000_000).prop_map(|(secs, nanos)| Duration::new(secs, nanos)),
        Just(Duration::MAX),
    ]
}

fn backoff() -> impl Strategy<Value = Backoff> {
    (duration(), duration(), 0_u32..200)
        .prop_map(|(initial, max, percent)| Backoff::new(initial, max).with_jitter(percent))
}

fn millis(initial: u64, max: u64) -> Backoff {
    Backoff::new(Duration::from_millis(initial), Duration::from_millis(max))
}

proptest! {
    #[test]
    fn delays_never_fall_and_at_most_double_up_to_the_maximum(backoff in backoff(), failures in 1_u32..200) {
        let (delay, next) = (backoff.delay_after(failures), backoff.delay_after(failures + 1));
        prop_assert!(delay <= next && next <= backoff.max);
        prop_assert_eq!(next, delay.saturating_mul(2).min(backoff.max));
        prop_assert_eq!(backoff.delay_after(1), backoff.initial.min(backoff.max));
    }

    #[test]
    fn jitter_removes_at_most_its_percentage(
        backoff in backoff(),
        failures in prop_oneof![0_u32..100, Just(u32::MAX)],
        random in any::<u64>(),
    ) {
        let (full, delay) = (backoff.delay_after(failures), backoff.jittered_delay_after(failures, random));
        let removed = (full - delay).as_nanos();
        prop_assert!(removed * 100 <= full.as_nanos() * u128::from(backoff.jitter_percent.min(100)));
        prop_assert_eq!(delay, backoff.jittered_delay_after(failures, random));
        prop_assert_eq!(backoff.jittered_delay_after(failures, 0), full);
    }

    #[test]
    fn next_delays_are_those_after_each_attempt(backoff in backoff(), count in 1_u32..100) {
        let mut backoff = Backoff { jitter_percent: 0, ..backoff };
        for attempt in 1..=count {
            prop_assert_eq!(backoff.attempt(), attempt);
            let expected = backoff.delay_after(attempt);
            prop_assert_eq!(backoff.next_delay(), expected);
        }
        backoff.reset();
        prop_assert_eq!(backoff.next_delay(), backoff.initial.min(backoff.max));
    }

    #[test]
    fn attempts_end_at_their_maximum(attempts in 1_u32..100) {
        let mut backoff = millis(1, 2).with_max_attempts(attempts);
        while backoff.may_retry() {
            backoff.next_delay();
        }
        prop_assert_eq!(backoff.attempt(), attempts);
    }
}

#[test]
fn full_jitter_reaches_almost_from_zero_to_the_whole_delay() {
    let backoff = millis(100, 100).with_jitter(100);
    assert!(backoff.jittered_delay_after(1, u64::MAX) < Duration::from_micros(1));
    assert_eq!(backoff.jittered_delay_after(1, 0), Duration::from_millis(100));
}

#[test]
fn counter_at_its_end_does_not_overflow() {
    let mut backoff = Backoff { attempt: u32::MAX, ..millis(250, 30_000) };
    assert_eq!(backoff.next_delay(), Duration::from_secs(30));
    assert_eq!(backoff.attempt(), u32::MAX);
    assert!(!backoff.may_retry());
}

#[tokio::test(start_paused = true)]
async fn waits_end_when_the_next_delay_lasts_beyond_the_timeout() {
    let started = Instant::now();
    let mut backoff = millis(10, 800).with_timeout(Duration::from_secs(3));
    while backoff.wait().await {}
    // 10 + 20 + … + 640 ms, and two of 800 ms.
    assert_eq!(started.elapsed(), Duration::from_millis(2_870));
    assert_eq!(backoff.attempt(), 10);
}

#[tokio::test(start_paused = true)]
async fn timeout_beyond_the_range_of_time_is_none() {
    let backoff = millis(10, 800).with_timeout(Duration::MAX);
    assert!(backoff.deadline.is_none() && backoff.may_retry());
}
