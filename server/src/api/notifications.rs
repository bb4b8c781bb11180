//! `/notifications`: the state of deliveries, and a test of a channel.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use ecs_scheduler_core::notify::{FailedDelivery, PendingDelivery, read_deliveries};
use ecs_scheduler_core::replica::SchedulerNode;
use ecs_scheduler_core::{Clock, DeliveryError, Notification, Notifier, Store, Timestamp};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::Instant;
use utoipa::ToSchema;

use super::caller::Caller;
use super::idempotency::{Claim, Idempotency};
use super::problem::{Problem, ProblemType, TEST_INTERVAL_SECONDS};
use super::request::{JsonBody, Parsers, ensure_known};
use super::respond::{self, MayChange};

/// How long a test may take: less than a request.
const TEST_TIMEOUT: Duration = Duration::from_secs(8);
/// The maximum number of waiting notifications in an answer.
const MAX_PENDING: usize = 100;

/// The number of tests that may come at once.
const TEST_BURST: u32 = 10;
/// The interval of further tests.
const TEST_INTERVAL: Duration = Duration::from_secs(TEST_INTERVAL_SECONDS as u64);

/// Bounds the rate of tests of channels, of all channels together: receivers must not be flooded through the API.
#[derive(Debug, Default)]
pub(super) struct TestLimiter {
    /// When the bucket is full again.
    full_at: Mutex<Option<Instant>>,
}

impl TestLimiter {
    /// Tells whether a test may be sent now, and counts it then.
    fn admit(&self) -> bool {
        let now = Instant::now();
        let mut full_at = self.full_at.lock();
        let full = full_at.map_or(now, |full| full.max(now)) + TEST_INTERVAL;
        let is_admitted = full - now <= TEST_INTERVAL * TEST_BURST;
        if is_admitted {
            *full_at = Some(full);
        }
        is_admitted
    }
}

/// The channels, the notifications that wait for their delivery, and those that were given up.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeliveryList {
    /// The configured channels, by name, and those of waiting notifications.
    channels: Vec<ChannelState>,
    /// Waiting notifications, oldest first; at most 100.
    pending: Vec<DeliveryView>,
    /// Deliveries that were given up, newest first: not delivered within 24 hours, or refused. At most 20 of each shard of jobs.
    failed: Vec<DeliveryView>,
}

/// A channel and what waits for it.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ChannelState {
    /// Its name.
    name: String,
    /// Whether it is configured.
    configured: bool,
    /// The number of notifications that wait for it.
    pending: usize,
    /// The time of the oldest of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime, nullable = false)]
    oldest: Option<Timestamp>,
    /// Why its last delivery failed; absent while none of the waiting ones has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
}

/// A notification that waits for its delivery, or was given up.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DeliveryView {
    /// Its id, which every delivery of it has.
    id: String,
    /// The channel.
    channel: String,
    /// Its kind.
    #[schema(value_type = String, example = "failing")]
    kind: &'static str,
    /// Its text.
    summary: String,
    /// The time of the event; of a notification that was given up, the time at which that happened.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The number of attempts that failed.
    attempts: u32,
    /// The time of the next attempt; only of a notification that waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime, nullable = false)]
    next_attempt: Option<Timestamp>,
    /// Why the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
}

/// The channel to test.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "only its schema is used: the body is read member by member, to name every wrong one"
)]
pub(super) struct TestRequest {
    /// The name of a configured channel.
    #[schema(example = "ops")]
    channel: String,
}

/// The result of a test.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TestResult {
    /// The channel.
    channel: String,
    /// The id of the notification.
    id: String,
    /// Whether the receiver has confirmed it.
    delivered: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
}

impl From<PendingDelivery> for DeliveryView {
    fn from(pending: PendingDelivery) -> Self {
        let PendingDelivery { channel, notification, attempts, next_attempt, error, .. } = pending;
        let (kind, summary, at) = (notification.kind.as_str(), notification.summary(), notification.at);
        let next_attempt = Some(next_attempt);
        Self { id: notification.id, channel, kind, summary, at, attempts, next_attempt, error }
    }
}

impl From<FailedDelivery> for DeliveryView {
    fn from(failed: FailedDelivery) -> Self {
        let FailedDelivery { channel, id, kind, summary, at, attempts, error, .. } = failed;
        let (kind, next_attempt, error) = (kind.as_str(), None, Some(error));
        Self { id, channel, kind, summary, at, attempts, next_attempt, error }
    }
}

/// Lists the channels, the notifications that wait for their delivery, and those that were given up.
#[utoipa::path(
    get, path = "/notifications", tag = "notifications", operation_id = "listNotifications",
    responses((status = 200, description = "Channels and deliveries", body = DeliveryList)),
)]
pub(super) async fn list(
    State(store): State<Arc<dyn Store>>,
    State(engine): State<SchedulerNode>,
) -> Result<Response, Problem> {
    let deliveries = read_deliveries(&*store).await?;
    let mut channels: BTreeMap<String, ChannelState> = BTreeMap::new();
    for name in engine.channels() {
        let state = ChannelState { name: name.clone(), configured: true, ..ChannelState::default() };
        channels.insert(name.clone(), state);
    }
    for pending in &deliveries.pending {
        let new = || ChannelState { name: pending.channel.clone(), ..ChannelState::default() };
        let state = channels.entry(pending.channel.clone()).or_insert_with(new);
        state.pending += 1;
        state.oldest.get_or_insert(pending.notification.at);
        state.error = pending.error.clone().or(state.error.take());
    }
    let body = DeliveryList {
        channels: channels.into_values().collect(),
        pending: deliveries.pending.into_iter().take(MAX_PENDING).map(DeliveryView::from).collect(),
        failed: deliveries.failed.into_iter().map(DeliveryView::from).collect(),
    };
    Ok(respond::json(StatusCode::OK, &body))
}

/// Sends a test to a channel, once, and returns whether its receiver has confirmed it. Ten tests are accepted at once, and ten in a
/// minute in the long run.
#[utoipa::path(
    post, path = "/notifications/test", tag = "notifications", operation_id = "testNotification",
    params(("Idempotency-Key" = Option<String>, Header, description = "Idempotency key: a test that was delivered is not sent \
        again for the same key and body within 24 hours", min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    request_body(content = TestRequest, content_type = "application/json"),
    responses((status = 200, description = "Whether the test was delivered", body = TestResult)),
)]
#[expect(clippy::too_many_arguments, reason = "they are the parts of one request and of the state")]
pub(super) async fn test(
    State(idempotency): State<Idempotency>,
    State(engine): State<SchedulerNode>,
    State(clock): State<Arc<dyn Clock>>,
    State(limiter): State<Arc<TestLimiter>>,
    State(parsers): State<Parsers>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = JsonBody::read(&parsers, &headers, body).await?;
    let channel = body.parse(channel).await?;
    let known = engine.channels();
    let notifier = engine.notifier().filter(|_| known.contains(&channel)).ok_or_else(|| {
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Problem::field("/channel", format!("Must be one of the configured channels: {known}."))
    })?;
    match idempotency.claim(&headers, caller.id(), "notifications/test", &body).await? {
        Claim::NoKey => send_test(&**notifier, channel, &limiter, clock.now()).await,
        Claim::Answered(response) => Ok(response),
        Claim::Claimed(key) => {
            let answer = send_test(&**notifier, channel, &limiter, clock.now()).await;
            key.store_response(answer).await
        }
    }
}

/// Sends a test, unless there were too many.
async fn send_test(
    notifier: &dyn Notifier,
    channel: String,
    limiter: &TestLimiter,
    now: Timestamp,
) -> Result<Response, Problem> {
    if !limiter.admit() {
        let detail = format!("{TEST_BURST} tests were sent within the last minute.");
        return Err(Problem::new(ProblemType::TooMany, detail));
    }
    let notification = Notification::test(now);
    let delivery = notifier.deliver(&channel, &notification);
    let result = tokio::time::timeout(TEST_TIMEOUT, delivery).await.unwrap_or_else(|_| {
        Err(DeliveryError::failed(format!("no answer within {} s", TEST_TIMEOUT.as_secs())))
    });
    let (delivered, error) = (result.is_ok(), result.err().map(|error| error.to_string()));
    let result = TestResult { channel, id: notification.id, delivered, error };
    let mut response = respond::json(StatusCode::OK, &result);
    if !delivered {
        response.extensions_mut().insert(MayChange);
    }
    Ok(response)
}

fn channel(given: Map<String, Value>) -> Result<String, Problem> {
    ensure_known(&given, &["channel"])?;
    match given.get("channel") {
        None => Err(Problem::field("/channel", "Missing data for required field.")),
        Some(Value::String(name)) => Ok(name.clone()),
        Some(_) => Err(Problem::field("/channel", "Not a valid string.")),
    }
}
