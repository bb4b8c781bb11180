//! The one port of all services.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, Response, header::DATE, request::Parts};
use ecs_scheduler_core::Clock as _;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::Service;
use crate::clock::{MovableClock, later};
use crate::cloudwatch;
use crate::dynamodb;
use crate::fault::{Faults, InjectedFault};
use crate::imds;
use crate::query;
use crate::resettable_conn::ConnHandle;
use crate::scope::{AwsScope, access_key};
use crate::state::{Call, FakeState, LongPoll};
use crate::wire::{Failure, json_answer};

/// Maximum size of a request in bytes: that of DynamoDB.
const MAX_BODY: usize = 16 << 20;

/// The state that all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: MovableClock,
    pub(crate) faults: Faults,
    /// The region of the instance whose metadata is served.
    pub(crate) region: String,
    pub(crate) state: Mutex<FakeState>,
    /// Notified whenever the clock was moved or a queue was written.
    pub(crate) changed: Arc<Notify>,
}

impl Shared {
    /// Runs a function on the present state.
    pub(crate) fn with_state<T>(&self, work: impl FnOnce(&mut FakeState, Timestamp) -> T) -> T {
        let now = self.clock.now();
        let mut state = self.state.lock();
        state.advance(now);
        work(&mut state, now)
    }
}

/// Serves a request to one of the services.
pub(crate) async fn serve(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(conn): ConnectInfo<ConnHandle>,
    request: Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, MAX_BODY).await else {
        conn.reset();
        return Response::new(Body::empty());
    };
    if let Some(operation) = imds::operation(&parts) {
        let scope = AwsScope::in_region(shared.region.as_str());
        let call = Call { scope, service: Service::Imds, operation, key: None };
        return handle_with_faults(&shared, &conn, &call, &imds::request(&parts)).await;
    }
    match identify_call(&parts, &bytes) {
        Ok(call) => handle_with_faults(&shared, &conn, &call, &bytes).await,
        Err((service, failure)) => write(service, Err(failure)),
    }
}

/// Identifies the service, operation and scope of a request.
fn identify_call(parts: &Parts, bytes: &Bytes) -> Result<Call, (Service, Failure)> {
    let target = parts.headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let found = match target.split_once('.') {
        Some(("AmazonEC2ContainerServiceV20141113", operation)) => Some((Service::Ecs, operation)),
        Some(("AmazonSQS", operation)) => Some((Service::Sqs, operation)),
        Some(("DynamoDB_20120810", operation)) => Some((Service::DynamoDb, operation)),
        Some(("Logs_20140328", operation)) => Some((Service::Logs, operation)),
        _ => {
            let prefix = "/service/GraniteServiceVersion20100801/operation/";
            let cloudwatch_operation = parts.uri.path().strip_prefix(prefix);
            cloudwatch_operation
                .map(|operation| (Service::CloudWatch, operation))
                .or_else(|| query::operation(bytes))
        }
    };
    let Some((service, operation)) = found else {
        let message = "neither X-Amz-Target nor the path names an operation of ECS, SQS, CloudWatch, CloudWatch Logs, DynamoDB, SNS or STS";
        return Err((Service::Ecs, Failure::client("UnknownOperationException", message)));
    };
    let unsigned =
        || (service, Failure::client("MissingAuthenticationTokenException", "Missing Authentication Token"));
    let scope = AwsScope::signed(&parts.headers).ok_or_else(unsigned)?;
    if !scope.has_region() {
        let message = format!("there is no region \"{}\"", scope.region);
        return Err((service, Failure::client("UnrecognizedClientException", message)));
    }
    let key = access_key(&parts.headers).map(str::to_owned);
    Ok(Call { scope, service, operation: operation.to_owned(), key })
}

/// Answers a call, or injects a fault.
async fn handle_with_faults(
    shared: &Shared,
    conn: &ConnHandle,
    call: &Call,
    bytes: &Bytes,
) -> Response<Body> {
    let fault = shared.faults.next_fault(call.service, &call.operation, bytes);
    shared.state.lock().launch_log.counters(call.service, &call.operation).calls += 1;
    let answer = match &fault {
        Some(InjectedFault::ResetBeforeEffect | InjectedFault::BlackHole) => {
            return lose_response(shared, conn, call, fault.as_ref()).await;
        }
        Some(InjectedFault::ServerError { status }) => Err(server_error(call.service, *status)),
        Some(InjectedFault::Throttled) => Err(Failure::throttled()),
        Some(InjectedFault::Error { status, code, message, .. }) => {
            Err(Failure::new(*status, code, message.as_str()))
        }
        Some(InjectedFault::Slow { by }) => {
            tokio::time::sleep(Duration::try_from(*by).unwrap_or_default()).await;
            answer(shared, call, bytes).await
        }
        Some(
            InjectedFault::LostAfterEffect | InjectedFault::SilentAfterEffect | InjectedFault::Skewed { .. },
        )
        | None => answer(shared, call, bytes).await,
        Some(InjectedFault::Conflict) => Err(dynamodb::conflict(&call.operation, bytes)),
        Some(InjectedFault::Exceeded) => Err(dynamodb::exceeded(&call.operation, bytes)),
        Some(InjectedFault::InProgress) => Err(dynamodb::in_progress()),
        Some(InjectedFault::Unprocessed) => answer_half_batch(shared, call, bytes).await,
    };
    if let Err(failure) = &answer {
        let mut state = shared.state.lock();
        let calls = state.launch_log.counters(call.service, &call.operation);
        calls.failed += 1;
        calls.throttled += u64::from(failure.is_throttling());
    }
    if matches!(fault, Some(InjectedFault::LostAfterEffect | InjectedFault::SilentAfterEffect)) {
        return lose_response(shared, conn, call, fault.as_ref()).await;
    }
    let mut response = write(call.service, answer);
    let ahead = fault.map(|fault| fault.ahead()).unwrap_or_default();
    if !ahead.is_zero() {
        let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&later(shared.clock.now(), ahead));
        let date = date.ok().and_then(|date| HeaderValue::from_str(&date).ok());
        response.headers_mut().extend(date.map(|date| (DATE, date)));
    }
    response
}

/// Leaves the caller without an answer: by a reset, or by silence.
async fn lose_response(
    shared: &Shared,
    conn: &ConnHandle,
    call: &Call,
    fault: Option<&InjectedFault>,
) -> Response<Body> {
    shared.state.lock().launch_log.counters(call.service, &call.operation).lost += 1;
    if matches!(fault, Some(InjectedFault::BlackHole | InjectedFault::SilentAfterEffect)) {
        std::future::pending::<()>().await;
    }
    conn.reset();
    Response::new(Body::empty())
}

fn server_error(service: Service, status: u16) -> Failure {
    let code = match service {
        Service::Ecs => "ServerException",
        Service::Sqs => "InternalFailure",
        Service::CloudWatch => "InternalServiceFault",
        Service::Logs => "ServiceUnavailableException",
        Service::DynamoDb => "InternalServerError",
        Service::Sns => "InternalError",
        Service::Sts | Service::Imds => "InternalFailure",
    };
    Failure::new(status, code, "Service Unavailable. Please try again later.")
}

/// Answers half of a batch.
async fn answer_half_batch(shared: &Shared, call: &Call, bytes: &Bytes) -> Result<Value, Failure> {
    let (some, others) = dynamodb::split_batch(bytes);
    let mut answer = answer(shared, call, &some).await?;
    answer["UnprocessedKeys"] = others;
    Ok(answer)
}

async fn answer(shared: &Shared, call: &Call, bytes: &Bytes) -> Result<Value, Failure> {
    let body = match call.service {
        Service::CloudWatch => cloudwatch::read_cbor(bytes)?,
        Service::Sts | Service::Sns => query::read_form(bytes),
        Service::Ecs | Service::Sqs | Service::DynamoDb | Service::Logs | Service::Imds => {
            serde_json::from_slice(bytes)
                .map_err(|error| Failure::client("SerializationException", error.to_string()))?
        }
    };
    let (answer, long_poll) = shared.with_state(|state, now| {
        let answer = state.handle(call, &body, now);
        (answer, state.long_poll(call, &body, now))
    });
    match (answer, long_poll) {
        (Ok(answer), Some(long_poll)) if answer["Messages"].is_null() => {
            poll_until_message(shared, call, &body, long_poll).await
        }
        (answer, None) => {
            shared.changed.notify_waiters();
            answer
        }
        (answer, Some(_)) => answer,
    }
}

/// Polls for messages until one arrives or the receiver's wait ends.
async fn poll_until_message(
    shared: &Shared,
    call: &Call,
    body: &Value,
    mut long_poll: LongPoll,
) -> Result<Value, Failure> {
    let end = Instant::now() + long_poll.wait;
    loop {
        let mut changed = pin!(shared.changed.notified());
        changed.as_mut().enable();
        let (answer, left) = shared.with_state(|state, now| {
            let answer = state.perform(call, body, now);
            (answer, state.long_poll(call, body, now))
        });
        long_poll = left.unwrap_or(long_poll);
        if Instant::now() >= end || answer.as_ref().map_or(true, |answer| !answer["Messages"].is_null()) {
            return answer;
        }
        let next = long_poll.next.map_or(end, |next| end.min(Instant::now() + next));
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep_until(next) => {}
        }
    }
}

fn write(service: Service, answer: Result<Value, Failure>) -> Response<Body> {
    match service {
        Service::CloudWatch => cloudwatch::answer(answer),
        Service::Sts | Service::Sns => query::answer(service, answer),
        Service::Imds => imds::answer(answer),
        Service::Ecs | Service::Sqs | Service::DynamoDb | Service::Logs => json_answer(service, answer),
    }
}
