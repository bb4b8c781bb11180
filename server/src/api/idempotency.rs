//! `Idempotency-Key`: the same key and body get the same response for 24 hours, also after a lost response.
//!
//! A key is claimed in a register before the request is processed, and the response is stored there before it is sent.
//! A claim whose process crashed can be claimed again after the time limit of a request; a job, firing or backfill
//! that it created is found by the identity in the claim.

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
use super::request::JsonBody;
use super::respond::MayChange;

const KEY_HEADER: &str = "idempotency-key";
const REPLAYED_HEADER: &str = "idempotent-replayed";
const KEY_TTL: SignedDuration = SignedDuration::from_hours(24);
const MAX_KEY: usize = 255;
/// The maximum number of keys that one process remembers: more than one per second. A key whose response is longer than
/// [`MAX_STORED_REFUSAL`] counts as several, so that this bounds the bytes too.
const MAX_KEYS: usize = 100_000;
/// The maximum size of a stored refusal, in bytes. A repeated request gets a longer one again.
const MAX_STORED_REFUSAL: usize = 4 * 1024;
/// The maximum size of another stored response, in bytes. A repeated request finds what a longer one created.
const MAX_STORED_RESPONSE: usize = 64 * 1024;

/// The value of a key's register.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct IdempotencyRecord {
    /// A hash of the request.
    request: String,
    /// The identity of the job, firing or backfill that the request creates.
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
    keys: Arc<KeyLimiter>,
    register: String,
    version: u64,
    record: IdempotencyRecord,
}

/// Claims the keys of requests.
#[derive(Debug, Clone)]
pub(super) struct Idempotency {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    keys: Arc<KeyLimiter>,
    /// A claim that is older than the longest request can be claimed again.
    request_timeout: Duration,
}

impl Idempotency {
    /// Keeps keys in the registers of a store. A request takes at most `request_timeout`.
    pub(super) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, request_timeout: Duration) -> Self {
        Self { store, clock, keys: Arc::default(), request_timeout }
    }

    /// Looks up the key of a request and claims it if it is free. Each caller has keys of its own.
    ///
    /// # Errors
    ///
    /// 400 for an invalid key or body, 422 if it was used for another request, 409 while the first request is in progress.
    pub(super) async fn claim(
        &self,
        headers: &HeaderMap,
        caller: Option<&str>,
        scope: &str,
        body: &JsonBody,
    ) -> Result<Claim, Problem> {
        let mut keys = headers.get_all(KEY_HEADER).iter();
        let Some(key) = keys.next() else { return Ok(Claim::NoKey) };
        let of = scope.to_owned();
        let request =
            body.parse(move |body| Ok(fingerprint(&[&of, &Value::Object(body).to_string()]))).await?;
        if keys.next().is_some() {
            return Err(Problem::new(ProblemType::Invalid, "Idempotency-Key must be given once."));
        }
        let Some(key) = key.to_str().ok().filter(|key| is_key(key)) else {
            return Err(Problem::new(ProblemType::Invalid, format!("Idempotency-Key {KEY_RULE}.")));
        };
        let named: Vec<&str> = caller.into_iter().chain([scope, key]).collect();
        let register = format!("idempotency/{}", fingerprint(&named));
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
            // One that begins later was claimed while the clock was ahead, unless it is another replica's that is little ahead.
            if now.duration_since(record.begun).abs() <= request_timeout {
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
                let (store, keys) = (Arc::clone(&self.store), Arc::clone(&self.keys));
                Ok(Claim::Claimed(ClaimedKey { store, keys, register, version, record }))
            }
            Err(StoreError::Conflict(_)) => Err(pending_error()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The rule for an idempotency key.
pub(crate) const KEY_RULE: &str = "must be 1 to 255 printable characters without blanks";

/// Tells whether a text can be a key.
pub(crate) fn is_key(text: &str) -> bool {
    (1..=MAX_KEY).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Limits the number of keys, so that no client can fill the store with them: the expiry of each key, once for each
/// [`MAX_STORED_REFUSAL`] of its response.
#[derive(Debug, Default)]
struct KeyLimiter(Mutex<VecDeque<Timestamp>>);

impl KeyLimiter {
    /// Counts a new key, unless the limit is reached. A key that ends later than a new one can was counted while the clock was
    /// ahead; it does not count any more.
    fn try_add(&self, now: Timestamp, until: Timestamp) -> bool {
        let latest = now.checked_add(KEY_TTL).unwrap_or(Timestamp::MAX);
        let mut ends = self.0.lock();
        while ends.front().is_some_and(|end| *end <= now || *end > latest) {
            ends.pop_front();
        }
        let fits = ends.len() < MAX_KEYS;
        if fits {
            ends.push_back(until);
        }
        fits
    }

    /// Counts the bytes of the response of a key that was counted.
    fn add_response(&self, until: Timestamp, bytes: usize) {
        let more = bytes.div_ceil(MAX_STORED_REFUSAL).saturating_sub(1);
        self.0.lock().extend(std::iter::repeat_n(until, more));
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
    /// Returns the identity of the job, firing or backfill that the request creates.
    pub(super) fn uid(&self) -> JobUid {
        self.record.uid
    }

    /// Returns when the first request with the key was started.
    pub(super) fn first_requested(&self) -> Timestamp {
        self.record.until.checked_sub(KEY_TTL).unwrap_or(Timestamp::MIN)
    }

    /// Stores the response for repeated requests and returns it. One that [may change](MayChange) is not stored, so that a repeated
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
        let Self { store, keys, register, version, mut record } = self;
        let limit = if parts.status.is_success() { MAX_STORED_RESPONSE } else { MAX_STORED_REFUSAL };
        if parts.extensions.get::<MayChange>().is_some() || body.len() > limit {
            record.begun = Timestamp::MIN;
        } else {
            keys.add_response(record.until, body.len());
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
mod tests;
