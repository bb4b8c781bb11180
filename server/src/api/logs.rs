//! `/firings/{id}/tasks/{task}/logs`: the output of a task, as pages or as a stream.

use std::num::NonZeroUsize;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use ecs_scheduler_core::replica::JobOwner;
use ecs_scheduler_core::{
    FaultKind, Firing, FiringId, JobId, LaunchError, LogCursor, LogPage, LogRequest, LogStart, MAX_LOG_LINES,
    TaskPhase, TaskState, fault,
};

use super::caller::Caller;
use super::dto::LogPageView;
use super::firings;
use super::problem::{Problem, ProblemType, fault_kind};
use super::request::{Name, Query, TaskSegment};
use super::respond;
use super::state::{App, AppState};

mod stream;

/// The header in which a reader of a stream that connects again names the last event that it received.
const LAST_EVENT_ID: &str = "last-event-id";

/// Reads what a task wrote to its standard output and standard error, oldest line first.
///
/// With `follow`, the answer is a stream of events: `lines`, each a page, then `end` or `problem`. The id of an event continues the stream.
#[utoipa::path(
    get, path = "/firings/{id}/tasks/{task}/logs", tag = "firings", operation_id = "readTaskLog",
    params(
        ("id" = String, Path, description = "The firing's name"),
        ("task" = String, Path, description = "The task's `taskId`, or its last part"),
        ("container" = Option<String>, Query, description = "The container; all containers of the task by default"),
        ("tail" = Option<u64>, Query, description = "Begin with the newest lines: this many of each container",
            minimum = 1, maximum = 10_000),
        ("since" = Option<String>, Query, description = "Only lines from this moment on (RFC 3339)"),
        ("after" = Option<String>, Query, description = "Cursor: lines after this position"),
        ("follow" = Option<bool>, Query, description = "Stream further lines until the task ends"),
        ("Last-Event-ID" = Option<String>, Header, description = "Sent by a reconnecting reader of a stream, which continues after that event"),
    ),
    responses((status = 200, description = "Lines that the task wrote", content(
        (LogPageView = "application/json"),
        (String = "text/event-stream"),
    ))),
)]
pub(super) async fn read(
    State(app): State<App>,
    caller: Caller,
    name: Name,
    task: TaskSegment,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wanted = WantedLog::from_query(query, &headers)?;
    let firing = FiringId::from_text(&name.0);
    let followed = FollowedTask { firing, name: task.0 };
    let (firing, task) = followed.find(&app).await?;
    let mut request = LogRequest::new(task.task_id.clone(), firing.definition.as_str());
    request.has_ended = task.phase == TaskPhase::Stopped;
    (request.container, request.since, request.start) =
        (wanted.container.clone(), wanted.since, wanted.start.clone());
    if wanted.follow {
        return stream::respond(&app, caller, followed, firing.job, request);
    }
    // A page is a large one, so that few are held at once.
    let permit = Arc::clone(&app.pages).acquire_owned().await;
    let permit = permit.map_err(|_| Problem::new(ProblemType::Unavailable, "The scheduler is stopping."))?;
    let page =
        app.engine.read_log(&request).await.map_err(|error| refusal(&app, &firing.job, &request, &error))?;
    if page.is_unwritten {
        return Err(unwritten(&request));
    }
    let LogPage { lines, next, has_more, has_gap, .. } = page;
    let next = has_more.then(|| wanted.next_link(&followed, &next));
    let view = LogPageView::new(lines, has_gap, next);
    Ok(respond::hold_until_sent(respond::json(StatusCode::OK, &view), permit))
}

/// The requested part of a task's output.
#[derive(Debug)]
struct WantedLog {
    container: Option<String>,
    since: Option<ecs_scheduler_core::Timestamp>,
    start: LogStart,
    follow: bool,
}

impl WantedLog {
    /// Reads the parameters.
    ///
    /// # Errors
    ///
    /// 400 with each invalid one.
    fn from_query(mut query: Query, headers: &HeaderMap) -> Result<Self, Problem> {
        let most = u64::try_from(MAX_LOG_LINES).unwrap_or(u64::MAX);
        let tail = query.text("tail").is_some().then(|| query.bounded("tail", 1, 1, most));
        let tail = tail.and_then(|tail| NonZeroUsize::new(usize::try_from(tail).unwrap_or(MAX_LOG_LINES)));
        let follow = query.flag("follow");
        let again = headers.get(LAST_EVENT_ID).filter(|_| follow).and_then(|id| id.to_str().ok());
        let after = again.or_else(|| query.text("after")).map(LogCursor::parse);
        let start = match (after, tail) {
            (Some(None), _) => {
                query.refuse("after", "Not a position in the output of a task.");
                LogStart::Oldest
            }
            (Some(Some(_)), Some(_)) if again.is_none() => {
                query.refuse("tail", "Must be left out if `after` is given.");
                LogStart::Oldest
            }
            (Some(Some(cursor)), _) => LogStart::After(cursor),
            (None, Some(lines)) => LogStart::Newest(lines),
            (None, None) => LogStart::Oldest,
        };
        let (container, since) = (query.text("container").map(str::to_owned), query.moment("since"));
        query.finish()?;
        Ok(Self { container, since, start, follow })
    }

    /// Links to the page after a position.
    fn next_link(&self, task: &FollowedTask, after: &LogCursor) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(container) = &self.container {
            query.append_pair("container", container);
        }
        if let Some(since) = self.since {
            query.append_pair("since", &since.to_string());
        }
        query.append_pair("after", after.as_str());
        let name = task.name.rsplit('/').next().unwrap_or_default();
        let name: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
        format!("/firings/{}/tasks/{name}/logs?{}", task.firing, query.finish())
    }
}

/// The task whose output is read.
#[derive(Debug)]
struct FollowedTask {
    firing: FiringId,
    /// Its id, or the last part of it.
    name: String,
}

impl FollowedTask {
    /// Finds the firing and the task.
    ///
    /// # Errors
    ///
    /// 404 when there is no such firing, or it has no such task; fails when the store cannot be read.
    async fn find(&self, app: &AppState) -> Result<(Firing, TaskState), Problem> {
        let missing = |detail: String| Problem::new(ProblemType::NotFound, detail);
        let firing = firings::find(app, &self.firing).await?;
        let firing = firing.ok_or_else(|| missing(format!("Firing {} does not exist.", self.firing)))?;
        let is_named = |task: &&TaskState| {
            let id = task.task_id.as_str();
            id == self.name || id.rsplit('/').next() == Some(&self.name)
        };
        let found = firing.tasks.iter().find(is_named).cloned();
        let found = found.ok_or_else(|| {
            missing(format!(
                "Firing {} has no task {}; `tasks` in its answer lists its {} tasks.",
                self.firing,
                self.name,
                firing.tasks.len()
            ))
        })?;
        Ok((firing, found))
    }
}

/// Makes the problem of a task that has not written anything yet.
fn unwritten(request: &LogRequest) -> Problem {
    let detail = format!(
        "Task {} has not written anything yet; repeat the request, or use `follow=true`, which waits for lines.",
        request.task
    );
    Problem::new(ProblemType::NotFound, detail)
}

/// Makes the problem of output that cannot be read. Where another replica runs the job, the text names it.
fn refusal(app: &AppState, job: &JobId, request: &LogRequest, error: &LaunchError) -> Problem {
    if error.kind() == FaultKind::Config {
        let parameter = if request.since.is_some() { "?since" } else { "?after" };
        return Problem::field(parameter, fault::chain(error));
    }
    let kind = match error.kind() {
        FaultKind::NotFound => ProblemType::NotFound,
        FaultKind::Denied => ProblemType::Denied,
        FaultKind::Config | FaultKind::Throttled | FaultKind::Unavailable | FaultKind::Bug => {
            fault_kind(error.kind())
        }
    };
    let mut detail = fault::chain(error);
    if kind == ProblemType::Internal {
        tracing::error!(error = detail, "could not read the output of a task");
    }
    if kind == ProblemType::NotFound
        && let Some(JobOwner::OtherReplica { id, address }) =
            app.engine.replica().map(|replica| replica.owner(job))
    {
        detail.push_str(&format!(
            ". Replica {id} at {address} runs job {job} now: ask it, if its host ran the task"
        ));
    }
    Problem::new(kind, detail)
}
