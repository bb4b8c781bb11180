use axum::http::HeaderName;
use ecs_scheduler_core::{MemoryStore, SystemClock};

use super::*;
use crate::api::request::Parsers;

const SECOND: SignedDuration = SignedDuration::from_secs(1);

fn later(moment: Timestamp, by: SignedDuration) -> Timestamp {
    moment.checked_add(by).unwrap()
}

#[test]
fn keys_beyond_the_bound_are_refused_until_the_oldest_expire() {
    let (keys, now) = (KeyLimiter::default(), Timestamp::UNIX_EPOCH);
    let until = later(now, KEY_TTL);
    assert!((0..MAX_KEYS).all(|_| keys.try_add(now, until)));
    assert!(!keys.try_add(now, until));
    assert!(!keys.try_add(later(until, -SECOND), later(until, KEY_TTL - SECOND)));
    assert!(keys.try_add(until, later(until, KEY_TTL)));
    assert_eq!(keys.0.lock().len(), 1);
}

#[test]
fn keys_of_a_time_when_the_clock_was_ahead_are_dropped_and_keep_no_other_key() {
    let (keys, now) = (KeyLimiter::default(), Timestamp::UNIX_EPOCH);
    let ahead = later(now, SignedDuration::from_hours(24 * 365));
    assert!(keys.try_add(now, later(now, KEY_TTL)));
    assert!(keys.try_add(ahead, later(ahead, KEY_TTL)));
    let rest = later(now, SECOND);
    while keys.try_add(rest, later(rest, KEY_TTL)) {}
    assert_eq!(keys.0.lock().len(), MAX_KEYS);
    let day = later(rest, KEY_TTL);
    assert!(keys.try_add(day, later(day, KEY_TTL)));
    assert_eq!(keys.0.lock().len(), 1, "all of the day before have expired");
}

#[test]
fn a_long_response_counts_as_several_keys() {
    let (keys, now) = (KeyLimiter::default(), Timestamp::UNIX_EPOCH);
    let until = later(now, KEY_TTL);
    for (bytes, count) in [(0, 1), (100, 2), (MAX_STORED_REFUSAL, 3), (MAX_STORED_RESPONSE, 19)] {
        assert!(keys.try_add(now, until));
        keys.add_response(until, bytes);
        assert_eq!(keys.0.lock().len(), count, "{bytes}");
    }
}

/// Claims the key `k` for an empty body.
async fn claim(idempotency: &Idempotency) -> Claim {
    let headers =
        HeaderMap::from_iter([(HeaderName::from_static(KEY_HEADER), HeaderValue::from_static("k"))]);
    let body = JsonBody::read_optional(&Parsers::default(), &headers, Body::empty()).await.unwrap();
    idempotency.claim(&headers, None, "test", &body).await.unwrap()
}

#[tokio::test]
async fn only_a_final_response_is_stored() {
    for kind in ProblemType::ALL {
        let is_final = ![
            ProblemType::Contended,
            ProblemType::UnderWay,
            ProblemType::KeyPending,
            ProblemType::TooMany,
            ProblemType::Unavailable,
            ProblemType::Internal,
        ]
        .contains(&kind);
        let store = Arc::new(MemoryStore::default());
        let idempotency = Idempotency::new(store, Arc::new(SystemClock), Duration::from_secs(10));
        let Claim::Claimed(key) = claim(&idempotency).await else { panic!("it is free") };
        let uid = key.uid();
        key.store_response(Err(Problem::new(kind, "no"))).await.unwrap();
        match claim(&idempotency).await {
            Claim::Answered(response) => assert!(is_final && response.status() == kind.status(), "{kind:?}"),
            Claim::Claimed(key) => assert!(!is_final && key.uid() == uid, "{kind:?}"),
            Claim::NoKey => panic!("it has a key"),
        }
    }
}
