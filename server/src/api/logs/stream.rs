//! The output of a task as a stream of events, until the task has ended.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use ecs_scheduler_core::{JobId, LogPage, LogRequest, LogStart, TaskPhase};
use futures::{Stream, StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::{FollowedTask, refusal};
use crate::api::caller::Caller;
use crate::api::dto::LogPageView;
use crate::api::events::KEEP_ALIVE_INTERVAL;
use crate::api::problem::Problem;
use crate::api::state::App;

/// The time between two reads when there is nothing new.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The maximum number of lines of one event.
const MAX_EVENT_LINES: usize = 1_000;

/// The number of reads without a line after which the output of an ended task is complete: its last lines may arrive late.
const FINAL_READS: u32 = 3;

/// The number of consecutive failed reads after which the stream ends.
const MAX_FAILURES: u32 = 30;

/// Answers with a stream, until the caller's token is no longer valid.
///
/// # Errors
///
/// 503 when too many streams are open.
pub(super) fn respond(
    app: &App,
    caller: Caller,
    task: FollowedTask,
    job: JobId,
    mut request: LogRequest,
) -> Result<Response, Problem> {
    let permit = app.streams.try_acquire()?;
    request.max_lines = MAX_EVENT_LINES;
    let closing = app.closing.clone().cancelled_owned();
    let follower = Follower {
        app: App::clone(app),
        task,
        job,
        request,
        is_waiting: false,
        empty_reads: 0,
        failures: 0,
        permit,
    };
    let events = follower.into_events().take_until(closing).take_until(caller.ended());
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE_INTERVAL)).into_response())
}

/// The state of a stream.
struct Follower {
    app: App,
    task: FollowedTask,
    job: JobId,
    /// The next read.
    request: LogRequest,
    /// Whether the next read waits for the interval.
    is_waiting: bool,
    empty_reads: u32,
    failures: u32,
    /// Held as long as the stream lives.
    permit: OwnedSemaphorePermit,
}

/// The effect of one read on the stream.
enum ReadResult {
    /// Lines.
    Lines(Message),
    /// Nothing new.
    Nothing,
    /// The last event.
    Last(Message),
}

impl Follower {
    fn into_events(self) -> impl Stream<Item = Result<Message, Infallible>> + Send + 'static {
        stream::unfold(Some(self), |state| async move {
            let mut follower = state?;
            loop {
                if std::mem::replace(&mut follower.is_waiting, true) {
                    tokio::time::sleep(POLL_INTERVAL).await;
                }
                match follower.read().await {
                    ReadResult::Lines(message) => return Some((Ok(message), Some(follower))),
                    ReadResult::Last(message) => return Some((Ok(message), None)),
                    ReadResult::Nothing => {}
                }
            }
        })
    }

    async fn read(&mut self) -> ReadResult {
        let _held = &self.permit;
        // The state is read first: all lines of a task that had ended by then can be read.
        if !self.request.has_ended {
            match self.task.find(&self.app).await {
                Ok((_, task)) => self.request.has_ended = task.phase == TaskPhase::Stopped,
                Err(problem) => return self.record_failure(&problem),
            }
        }
        match self.app.engine.read_log(&self.request).await {
            Ok(page) => self.take_page(page),
            Err(error) => self.record_failure(&refusal(&self.app, &self.job, &self.request, &error)),
        }
    }

    fn take_page(&mut self, page: LogPage) -> ReadResult {
        let LogPage { lines, next, has_more, has_gap, .. } = page;
        self.failures = 0;
        self.is_waiting = !has_more;
        let id = next.to_string();
        self.request.start = LogStart::After(next);
        if !lines.is_empty() {
            self.empty_reads = 0;
            return ReadResult::Lines(message("lines", &id, &LogPageView::new(lines, has_gap, None)));
        }
        self.empty_reads += u32::from(self.request.has_ended && !has_more);
        if self.empty_reads >= FINAL_READS {
            return ReadResult::Last(message("end", &id, &json!({"because": "the task has ended"})));
        }
        ReadResult::Nothing
    }

    /// Ends the stream, unless the failure may pass.
    fn record_failure(&mut self, problem: &Problem) -> ReadResult {
        self.failures += 1;
        let document = problem.document();
        if document.status == StatusCode::SERVICE_UNAVAILABLE.as_u16() && self.failures < MAX_FAILURES {
            return ReadResult::Nothing;
        }
        let id = match &self.request.start {
            LogStart::After(cursor) => cursor.as_str(),
            LogStart::Oldest | LogStart::Newest(_) => "",
        };
        ReadResult::Last(message("problem", id, &document))
    }
}

fn message(name: &str, id: &str, body: &impl serde::Serialize) -> Message {
    let body: Value = serde_json::to_value(body).expect("data transfer objects have string keys");
    let message = Message::default().event(name).data(body.to_string());
    if id.is_empty() { message } else { message.id(id) }
}
