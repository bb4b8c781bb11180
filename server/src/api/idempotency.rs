//! `Idempotency-Key`: the same key and body have the same answer for 24 hours, whatever was lost on the way.
//!
//! A key is claimed in a register before anything is done, and the answer is written there before it is sent. A claim
//! whose owner died is taken over after the time limit of a request; what it began is recognised by the identity that
//! the claim was given.

use std::collections::VecDeque;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ecs_scheduler_core::{JobUid, StoreError, Timestamp};
use jiff::SignedDuration;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::problem::{Problem, ProblemType};
use super::state::AppState;

const KEY_HEADER: &str = "idempotency-key";
const REPLAYED_HEADER: &str = "idempotent-replayed";
const KEY_TTL: SignedDuration = SignedDuration::from_hours(24);
const MAX_KEY: usize = 255;
/// The most keys that one process remembers: more than one a second.
const MAX_KEYS: usize = 100_000;
/// The most bytes of an answer that is kept. A longer one is a refusal, which a repetition gets again.
const MAX_STORED_RESPONSE: usize = 64 * 1024;

/// What a key's register holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct IdempotencyRecord {
    /// A hash of what was asked.
    request: String,
    /// The identity for what the request makes.
    uid: JobUid,
    /// When the request was last begun.
    begun: Timestamp,
    /// After this moment the key is free again.
    until: Timestamp,
    answer: Option<StoredResponse>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoredResponse {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// What is to be done about a request.
pub(super) enum Claim {
    /// It has no key.
    NoKey,
    /// It was answered before.
    Answered(Response),
    /// It is to be done now.
    Claimed(ClaimedKey),
}

/// A claimed key. Its answer must be settled.
pub(super) struct ClaimedKey {
    register: String,
    version: u64,
    record: IdempotencyRecord,
}

/// Looks up the key of a request and claims it if it is free.
///
/// # Errors
///
/// 400 for a key that is none, 422 when it was used for another request, 409 while the first one is under way.
pub(super) async fn claim(
    app: &AppState,
    headers: &HeaderMap,
    scope: &str,
    body: &Value,
) -> Result<Claim, Problem> {
    let Some(key) = headers.get(KEY_HEADER) else { return Ok(Claim::NoKey) };
    let key = key
        .to_str()
        .ok()
        .filter(|key| (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()));
    let Some(key) = key else {
        let detail = format!("Idempotency-Key must be 1 to {MAX_KEY} printable characters without blanks.");
        return Err(Problem::new(ProblemType::Invalid, detail));
    };
    let register = format!("idempotency/{}", fingerprint(&[scope, key]));
    let request = fingerprint(&[scope, &body.to_string()]);
    let now = app.clock.now();
    let known = app.store.read(&register).await?;
    let expected = known.as_ref().map(|register| register.version);
    let known = known.and_then(|register| serde_json::from_str::<IdempotencyRecord>(&register.value).ok());
    let mut uid = JobUid::random();
    if let Some(record) = known.filter(|record| now < record.until) {
        if record.request != request {
            let detail = "This Idempotency-Key was used for another request before.";
            return Err(Problem::new(ProblemType::KeyReused, detail));
        }
        if let Some(answer) = record.answer {
            return Ok(Claim::Answered(answer.replay()));
        }
        let request_timeout = SignedDuration::try_from(app.limits.deadline).unwrap_or(SignedDuration::MAX);
        if now.duration_since(record.begun) <= request_timeout {
            return Err(pending_error());
        }
        uid = record.uid;
    }
    let until = now.checked_add(KEY_TTL).unwrap_or(Timestamp::MAX);
    let record = IdempotencyRecord { request, uid, begun: now, until, answer: None };
    if expected.is_none() && !app.keys.try_add(now, until) {
        let detail = "Too many idempotency keys were used within 24 hours; nothing was done.";
        return Err(Problem::new(ProblemType::Unavailable, detail));
    }
    match record.write(app, &register, expected).await {
        Ok(version) => Ok(Claim::Claimed(ClaimedKey { register, version, record })),
        Err(StoreError::Conflict(_)) => Err(pending_error()),
        Err(error) => Err(error.into()),
    }
}

/// When each key that was used here is forgotten, so that no client can fill the store with them.
#[derive(Debug, Default)]
pub(super) struct KeyLimiter(Mutex<VecDeque<Timestamp>>);

impl KeyLimiter {
    /// Counts a new key, if there may be one more.
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
    /// Returns the identity for what the request makes.
    pub(super) fn uid(&self) -> JobUid {
        self.record.uid
    }

    /// Keeps the answer for repetitions and returns it. A fault of the server is not kept: a repetition tries again.
    ///
    /// # Errors
    ///
    /// Fails when the answer could not be kept; a repetition finds out what was done.
    pub(super) async fn store_response(
        self,
        app: &AppState,
        outcome: Result<Response, Problem>,
    ) -> Result<Response, Problem> {
        let (parts, body) = outcome.into_response().into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let Self { register, version, mut record } = self;
        if parts.status.is_server_error() || body.len() > MAX_STORED_RESPONSE {
            record.begun = Timestamp::MIN;
        } else {
            record.answer = Some(StoredResponse::of(parts.status, &parts.headers, &body));
        }
        record.write(app, &register, Some(version)).await?;
        Ok(Response::from_parts(parts, Body::from(body)))
    }
}

impl IdempotencyRecord {
    async fn write(&self, app: &AppState, register: &str, expected: Option<u64>) -> Result<u64, StoreError> {
        let value = serde_json::to_string(self).expect("a record can be written");
        app.store.write(register, &value, expected, Some(self.until)).await
    }
}

impl StoredResponse {
    fn of(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
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
