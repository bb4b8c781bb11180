//! `/events`: live events (server-sent events).
//!
//! Nothing is kept for a slow or disconnected reader. It receives `refetch` and reads its lists again, which is correct
//! and cheaper than a replay of a thousand changes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use ecs_scheduler_core::replica::SchedulerNode;
use ecs_scheduler_core::{Event, Store};
use futures::{Stream, StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;
use tokio_util::sync::CancellationToken;

use super::caller::Caller;
use super::dto::{BrakeView, DecisionView, FiringView};
use super::problem::{Problem, ProblemType};

/// The interval of comments that keep an idle stream open.
pub(super) const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Permits for live streams.
#[derive(Debug, Clone)]
pub(super) struct StreamPermits {
    free: Arc<Semaphore>,
    limit: usize,
}

impl StreamPermits {
    /// Allows `limit` streams at once.
    pub(super) fn new(limit: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(limit)), limit }
    }

    /// Returns the number of open streams.
    pub(super) fn open(&self) -> usize {
        self.limit.saturating_sub(self.free.available_permits())
    }

    /// Takes a permit.
    ///
    /// # Errors
    ///
    /// 503 when as many streams are open as may be.
    pub(super) fn try_acquire(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let full = |_| Problem::new(ProblemType::Unavailable, "Too many open event streams.");
        Arc::clone(&self.free).try_acquire_owned().map_err(full)
    }
}

/// Streams events from now on: `decision`, `firing`, `job`, `brake`, and `refetch` when events were dropped.
#[utoipa::path(
    get, path = "/events", tag = "events", operation_id = "streamEvents",
    params(("Last-Event-ID" = Option<String>, Header, description = "Sent by a reconnecting reader, which receives `refetch`")),
    responses((status = 200, description = "An endless stream; the data of each event is JSON", body = String, content_type = "text/event-stream")),
)]
pub(super) async fn stream_events(
    State(engine): State<SchedulerNode>,
    State(permits): State<StreamPermits>,
    State(closing): State<CancellationToken>,
    State(store): State<Arc<dyn Store>>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let permit = permits.try_acquire()?;
    let ended = caller.clone().ended();
    let live = BroadcastStream::new(engine.subscribe()).filter_map(move |received| {
        let (caller, store) = (caller.clone(), Arc::clone(&store));
        async move { visible_event(&caller, &*store, received).await }
    });
    let returning = headers.contains_key("last-event-id").then(|| StreamEvent::gap("connected again"));
    let all = stream::iter(returning).chain(live).take_until(closing.cancelled_owned()).take_until(ended);
    let stream = numbered(all, permit);
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE_INTERVAL)).into_response())
}

/// Returns the event for a caller; nothing for one about a job that the caller does not see.
async fn visible_event(
    caller: &Caller,
    store: &dyn Store,
    received: Result<Event, BroadcastStreamRecvError>,
) -> Option<StreamEvent> {
    let seen = match &received {
        _ if !caller.is_limited() => Ok(true),
        // A removed job has no labels, and may have been one of the caller's.
        Ok(Event::Job { revision: None, .. }) => return Some(StreamEvent::gap("a job was removed")),
        Ok(Event::Job { id, .. }) => caller.sees_job(store, id).await,
        Ok(Event::Decision(record)) => caller.sees_history(store, &record.job, record.uid).await,
        Ok(Event::Firing(firing)) => caller.sees_history(store, &firing.job, firing.uid).await,
        Ok(_) | Err(_) => Ok(true),
    };
    match seen {
        Ok(true) => Some(StreamEvent::from(received)),
        Ok(false) => None,
        Err(_) => Some(StreamEvent::gap("the store could not be read")),
    }
}

/// One event of a stream.
struct StreamEvent {
    name: &'static str,
    body: Value,
}

impl StreamEvent {
    fn new(name: &'static str, body: &impl serde::Serialize) -> Self {
        Self { name, body: serde_json::to_value(body).expect("data transfer objects have string keys") }
    }

    fn gap(reason: &str) -> Self {
        Self { name: "refetch", body: json!({"because": reason}) }
    }
}

impl From<Result<Event, BroadcastStreamRecvError>> for StreamEvent {
    fn from(received: Result<Event, BroadcastStreamRecvError>) -> Self {
        match received {
            Ok(Event::Decision(record)) => Self::new("decision", &DecisionView::from(*record)),
            Ok(Event::Firing(firing)) => Self::new("firing", &FiringView::from(*firing)),
            Ok(Event::Job { id, revision }) => {
                Self::new("job", &json!({"id": id, "revision": revision, "removed": revision.is_none()}))
            }
            Ok(Event::Brake { on, reason }) => Self::new("brake", &BrakeView { on, reason, since: None }),
            Ok(_) => Self::gap("something changed"),
            Err(BroadcastStreamRecvError::Lagged(missed)) => {
                Self::gap(&format!("{missed} events were left out"))
            }
        }
    }
}

/// Numbers the events of one connection; the permit is held as long as the stream lives.
fn numbered(
    events: impl Stream<Item = StreamEvent> + Send + 'static,
    permit: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Message, Infallible>> + Send + 'static {
    events.enumerate().map(move |(index, event)| {
        let _held = &permit;
        let message = Message::default().event(event.name).id((index + 1).to_string());
        Ok(message.data(event.body.to_string()))
    })
}
