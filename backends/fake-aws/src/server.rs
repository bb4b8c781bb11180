//! The one port for all services.

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
use crate::fault::{Faults, Mishap};
use crate::imds;
use crate::resettable_conn::Line;
use crate::scope::{Place, access_key};
use crate::state::{Call, Patience, World};
use crate::sts;
use crate::wire::{Failure, json_answer};

/// The largest request that is read, in bytes: that of DynamoDB.
const LARGEST: usize = 16 << 20;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: MovableClock,
    pub(crate) faults: Faults,
    /// The region of the instance whose metadata is served.
    pub(crate) region: String,
    pub(crate) world: Mutex<World>,
    /// Told whenever time was moved or a queue was written.
    pub(crate) changed: Arc<Notify>,
}

impl Shared {
    /// Works on the world as it is now.
    pub(crate) fn world<T>(&self, work: impl FnOnce(&mut World, Timestamp) -> T) -> T {
        let now = self.clock.now();
        let mut world = self.world.lock();
        world.advance(now);
        work(&mut world, now)
    }
}

/// Serves a request to one of the services.
pub(crate) async fn serve(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, LARGEST).await else {
        line.cut();
        return Response::new(Body::empty());
    };
    if let Some(operation) = imds::operation(&parts) {
        let place = Place::in_region(shared.region.as_str());
        let call = Call { place, service: Service::Imds, operation, key: None };
        return befallen(&shared, &line, &call, &imds::request(&parts)).await;
    }
    match envelope(&parts, &bytes) {
        Ok(call) => befallen(&shared, &line, &call, &bytes).await,
        Err((service, failure)) => write(service, Err(failure)),
    }
}

/// Finds out which operation of which service is called, and where.
fn envelope(parts: &Parts, bytes: &Bytes) -> Result<Call, (Service, Failure)> {
    let target = parts.headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let found = match target.split_once('.') {
        Some(("AmazonEC2ContainerServiceV20141113", operation)) => Some((Service::Ecs, operation)),
        Some(("AmazonSQS", operation)) => Some((Service::Sqs, operation)),
        Some(("DynamoDB_20120810", operation)) => Some((Service::DynamoDb, operation)),
        _ => {
            let prefix = "/service/GraniteServiceVersion20100801/operation/";
            let of_cloudwatch = parts.uri.path().strip_prefix(prefix);
            of_cloudwatch
                .map(|operation| (Service::CloudWatch, operation))
                .or_else(|| Some((Service::Sts, sts::operation(bytes)?)))
        }
    };
    let Some((service, operation)) = found else {
        let message =
            "neither X-Amz-Target nor the path names an operation of ECS, SQS, CloudWatch, DynamoDB or STS";
        return Err((Service::Ecs, Failure::client("UnknownOperationException", message)));
    };
    let unsigned =
        || (service, Failure::client("MissingAuthenticationTokenException", "Missing Authentication Token"));
    let place = Place::signed(&parts.headers).ok_or_else(unsigned)?;
    let key = access_key(&parts.headers).map(str::to_owned);
    Ok(Call { place, service, operation: operation.to_owned(), key })
}

/// Answers a call unless a fault befalls it.
async fn befallen(shared: &Shared, line: &Line, call: &Call, bytes: &Bytes) -> Response<Body> {
    let mishap = shared.faults.befall(call.service, &call.operation, bytes);
    shared.world.lock().oracle.of(call.service, &call.operation).calls += 1;
    let answer = match &mishap {
        Some(Mishap::ResetBeforeEffect | Mishap::BlackHole) => {
            return lose(shared, line, call, mishap.as_ref()).await;
        }
        Some(Mishap::ServerError { status }) => Err(server_error(call.service, *status)),
        Some(Mishap::Throttled) => Err(Failure::throttled()),
        Some(Mishap::Error { status, code, message, .. }) => {
            Err(Failure::new(*status, code, message.as_str()))
        }
        Some(Mishap::Slow { by }) => {
            tokio::time::sleep(Duration::try_from(*by).unwrap_or_default()).await;
            answer(shared, call, bytes).await
        }
        Some(Mishap::LostAfterEffect | Mishap::SilentAfterEffect | Mishap::Skewed { .. }) | None => {
            answer(shared, call, bytes).await
        }
        Some(Mishap::Conflict) => Err(dynamodb::conflict(&call.operation, bytes)),
        Some(Mishap::Exceeded) => Err(dynamodb::exceeded(&call.operation, bytes)),
        Some(Mishap::InProgress) => Err(dynamodb::in_progress()),
        Some(Mishap::Unprocessed) => half(shared, call, bytes).await,
    };
    if let Err(failure) = &answer {
        let mut world = shared.world.lock();
        let calls = world.oracle.of(call.service, &call.operation);
        calls.failed += 1;
        calls.throttled += u64::from(failure.is_throttling());
    }
    if matches!(mishap, Some(Mishap::LostAfterEffect | Mishap::SilentAfterEffect)) {
        return lose(shared, line, call, mishap.as_ref()).await;
    }
    let mut response = write(call.service, answer);
    let ahead = mishap.map(|mishap| mishap.ahead()).unwrap_or_default();
    if !ahead.is_zero() {
        let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&later(shared.clock.now(), ahead));
        let date = date.ok().and_then(|date| HeaderValue::from_str(&date).ok());
        response.headers_mut().extend(date.map(|date| (DATE, date)));
    }
    response
}

/// Leaves the caller without an answer: by a reset, or for ever.
async fn lose(shared: &Shared, line: &Line, call: &Call, mishap: Option<&Mishap>) -> Response<Body> {
    shared.world.lock().oracle.of(call.service, &call.operation).lost += 1;
    if matches!(mishap, Some(Mishap::BlackHole | Mishap::SilentAfterEffect)) {
        std::future::pending::<()>().await;
    }
    line.cut();
    Response::new(Body::empty())
}

fn server_error(service: Service, status: u16) -> Failure {
    let code = match service {
        Service::Ecs => "ServerException",
        Service::Sqs => "InternalFailure",
        Service::CloudWatch => "InternalServiceFault",
        Service::DynamoDb => "InternalServerError",
        Service::Sts | Service::Imds => "InternalFailure",
    };
    Failure::new(status, code, "Service Unavailable. Please try again later.")
}

/// Does half of a batch.
async fn half(shared: &Shared, call: &Call, bytes: &Bytes) -> Result<Value, Failure> {
    let (some, others) = dynamodb::halved(bytes);
    let mut answer = answer(shared, call, &some).await?;
    answer["UnprocessedKeys"] = others;
    Ok(answer)
}

async fn answer(shared: &Shared, call: &Call, bytes: &Bytes) -> Result<Value, Failure> {
    let body = match call.service {
        Service::CloudWatch => cloudwatch::read_cbor(bytes)?,
        Service::Sts => sts::read_form(bytes),
        Service::Ecs | Service::Sqs | Service::DynamoDb | Service::Imds => serde_json::from_slice(bytes)
            .map_err(|error| Failure::client("SerializationException", error.to_string()))?,
    };
    let (answer, patience) = shared.world(|world, now| {
        let answer = world.handle(call, &body, now);
        (answer, world.patience(call, &body, now))
    });
    match (answer, patience) {
        (Ok(answer), Some(patience)) if answer["Messages"].is_null() => {
            wait(shared, call, &body, patience).await
        }
        (answer, None) => {
            shared.changed.notify_waiters();
            answer
        }
        (answer, Some(_)) => answer,
    }
}

/// Looks for messages again whenever something may have brought one, as long as the receiver waits.
async fn wait(shared: &Shared, call: &Call, body: &Value, mut patience: Patience) -> Result<Value, Failure> {
    let end = Instant::now() + patience.wait;
    loop {
        let mut changed = pin!(shared.changed.notified());
        changed.as_mut().enable();
        let (answer, left) = shared.world(|world, now| {
            let answer = world.perform(call, body, now);
            (answer, world.patience(call, body, now))
        });
        patience = left.unwrap_or(patience);
        if Instant::now() >= end || answer.as_ref().map_or(true, |answer| !answer["Messages"].is_null()) {
            return answer;
        }
        let next = patience.next.map_or(end, |next| end.min(Instant::now() + next));
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep_until(next) => {}
        }
    }
}

fn write(service: Service, answer: Result<Value, Failure>) -> Response<Body> {
    match service {
        Service::CloudWatch => cloudwatch::answer(answer),
        Service::Sts => sts::answer(answer),
        Service::Imds => imds::answer(answer),
        Service::Ecs | Service::Sqs | Service::DynamoDb => json_answer(service, answer),
    }
}
