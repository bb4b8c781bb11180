//! `Idempotency-Key`: the same key and body get the same response for 24 hours, also after a lost response.
//!
//! A key is claimed in a register before the request is processed, and the response is stored there before it is sent.
//! A claim whose process crashed can be claimed again after the time limit of a request; a job or firing that it
//! created is found by the identity in the claim.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ecs_scheduler_core::{Clock, JobUid, Store, StoreError, Timestamp};
use jiff::SignedDuration;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::problem::{Problem, ProblemType};

const KEY_HEADER: &str = "idempotency-key";
const REPLAYED_HEADER: &str = "idempotent-replayed";
const KEY_TTL: SignedDuration = SignedDuration::from_hours(24);
const MAX_KEY: usize = 255;
/// The maximum number of keys that one process remembers: more than one per second.
const MAX_KEYS: usize = 100_000;
/// The maximum size of a stored response, in bytes. A longer one is a refusal, which a repeated request gets again.
const MAX_STORED_RESPONSE: usize = 64 * 1024;

/// The value of a key's register.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct IdempotencyRecord {
    /// A hash of the request.
    request: String,
    /// The identity of the job or firing that the request creates.
    uid: JobUid,
    /// When the request was last started.
    begun: Timestamp,
    /// When the key expires: 24 hours after the first request.
    until: Timestamp,
    answer: Option<StoredResponse>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoredResponse {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// The state of the key of a request.
pub(super) enum Claim {
    /// The request has no key.
    NoKey,
    /// The request was answered before.
    Answered(Response),
    /// The key was claimed: process the request.
    Claimed(ClaimedKey),
}

/// A claimed key. Its response must be stored.
pub(super) struct ClaimedKey {
    store: Arc<dyn Store>,
    register: String,
    version: u64,
    record: IdempotencyRecord,
}

/// Claims the keys of requests.
#[derive(Debug)]
pub(super) struct Idempotency {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    keys: KeyLimiter,
    /// A claim that is older than the longest request can be claimed again.
    request_timeout: Duration,
}

impl Idempotency {
    /// Keeps keys in the registers of a store. A request takes at most `request_timeout`.
    pub(super) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, request_timeout: Duration) -> Self {
        Self { store, clock, keys: KeyLimiter::default(), request_timeout }
    }

    /// Looks up the key of a request and claims it if it is free.
    ///
    /// # Errors
    ///
    /// 400 for an invalid key, 422 if it was used for another request, 409 while the first request is in progress.
    pub(super) async fn claim(
        &self,
        headers: &HeaderMap,
        scope: &str,
        body: &Value,
    ) -> Result<Claim, Problem> {
        let Some(key) = headers.get(KEY_HEADER) else { return Ok(Claim::NoKey) };
        let key = key.to_str().ok().filter(|key| {
            (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
        });
        let Some(key) = key else {
            let detail =
                format!("Idempotency-Key must be 1 to {MAX_KEY} printable characters without blanks.");
            return Err(Problem::new(ProblemType::Invalid, detail));
        };
        let register = format!("idempotency/{}", fingerprint(&[scope, key]));
        let request = fingerprint(&[scope, &body.to_string()]);
        let now = self.clock.now();
        let known = self.store.get_register(&register).await?;
        let expected = known.as_ref().map(|register| register.version);
        let known =
            known.and_then(|register| serde_json::from_str::<IdempotencyRecord>(&register.value).ok());
        let mut uid = JobUid::random();
        let mut until = now.checked_add(KEY_TTL).unwrap_or(Timestamp::MAX);
        if let Some(record) = known.filter(|record| now < record.until) {
            if record.request != request {
                let detail = "This Idempotency-Key was used for another request before.";
                return Err(Problem::new(ProblemType::KeyReused, detail));
            }
            if let Some(answer) = record.answer {
                return Ok(Claim::Answered(answer.replay()));
            }
            let request_timeout =
                SignedDuration::try_from(self.request_timeout).unwrap_or(SignedDuration::MAX);
            if now.duration_since(record.begun) <= request_timeout {
                return Err(pending_error());
            }
            (uid, until) = (record.uid, record.until);
        }
        let record = IdempotencyRecord { request, uid, begun: now, until, answer: None };
        if expected.is_none() && !self.keys.try_add(now, until) {
            let detail = "Too many idempotency keys were used within 24 hours; nothing was done.";
            return Err(Problem::new(ProblemType::Unavailable, detail));
        }
        match record.write(&*self.store, &register, expected).await {
            Ok(version) => {
                let store = Arc::clone(&self.store);
                Ok(Claim::Claimed(ClaimedKey { store, register, version, record }))
            }
            Err(StoreError::Conflict(_)) => Err(pending_error()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Limits the number of keys, so that no client can fill the store with them: the expiry of each key.
#[derive(Debug, Default)]
struct KeyLimiter(Mutex<VecDeque<Timestamp>>);

impl KeyLimiter {
    /// Counts a new key, unless the limit is reached.
    fn try_add(&self, now: Timestamp, until: Timestamp) -> bool {
        let mut ends = self.0.lock();
        while ends.front().is_some_and(|end| *end <= now) {
            ends.pop_front();
        }
        let fits = ends.len() < MAX_KEYS;
        if fits {
            ends.push_back(until);
        }
        fits
    }
}

fn pending_error() -> Problem {
    Problem::new(ProblemType::KeyPending, "The first request with this Idempotency-Key is not answered yet.")
}

fn fingerprint(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl ClaimedKey {
    /// Returns the identity of the job or firing that the request creates.
    pub(super) fn uid(&self) -> JobUid {
        self.record.uid
    }

    /// Returns when the first request with the key was started.
    pub(super) fn first_requested(&self) -> Timestamp {
        self.record.until.checked_sub(KEY_TTL).unwrap_or(Timestamp::MIN)
    }

    /// Stores the response for repeated requests and returns it. A server error is not stored, so that a repeated
    /// request retries.
    ///
    /// # Errors
    ///
    /// Fails when the response could not be stored; a repeated request finds the created job or firing.
    pub(super) async fn store_response(
        self,
        outcome: Result<Response, Problem>,
    ) -> Result<Response, Problem> {
        let (parts, body) = outcome.into_response().into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let Self { store, register, version, mut record } = self;
        if parts.status.is_server_error() || body.len() > MAX_STORED_RESPONSE {
            record.begun = Timestamp::MIN;
        } else {
            record.answer = Some(StoredResponse::new(parts.status, &parts.headers, &body));
        }
        record.write(&*store, &register, Some(version)).await?;
        Ok(Response::from_parts(parts, Body::from(body)))
    }
}

impl IdempotencyRecord {
    async fn write(
        &self,
        store: &dyn Store,
        register: &str,
        expected: Option<u64>,
    ) -> Result<u64, StoreError> {
        let value = serde_json::to_string(self).expect("a record can be written");
        store.put_register(register, &value, expected, Some(self.until)).await
    }
}

impl StoredResponse {
    fn new(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let kept = [header::CONTENT_TYPE, header::ETAG, header::LOCATION].into_iter().filter_map(|name| {
            let value = headers.get(&name)?.to_str().ok()?.to_owned();
            Some((name.as_str().to_owned(), value))
        });
        Self {
            status: status.as_u16(),
            headers: kept.collect(),
            body: String::from_utf8_lossy(body).into_owned(),
        }
    }

    fn replay(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) = (header::HeaderName::try_from(name), HeaderValue::try_from(value))
            {
                response.headers_mut().insert(name, value);
            }
        }
        response.headers_mut().insert(REPLAYED_HEADER, HeaderValue::from_static("true"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_beyond_the_bound_are_refused_until_the_oldest_expire() {
        let (keys, now) = (KeyLimiter::default(), Timestamp::UNIX_EPOCH);
        let until = now.checked_add(KEY_TTL).unwrap();
        assert!((0..MAX_KEYS).all(|_| keys.try_add(now, until)));
        assert!(!keys.try_add(now, until));
        assert!(!keys.try_add(until.checked_sub(SignedDuration::from_secs(1)).unwrap(), Timestamp::MAX));
        assert!(keys.try_add(until, Timestamp::MAX));
        assert_eq!(keys.0.lock().len(), 1);
    }
}
