//! `POST /jobs/bulk`: one action on many jobs. Each job gets the request that a client would send for it alone.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, IF_MATCH};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use ecs_scheduler_core::{JobId, text};
use futures::future::join_all;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout_at};

use super::caller::Caller;
use super::dto::{BulkAction, BulkBody, BulkResult, BulkView};
use super::forward::{self, Forwarder};
use super::if_match::IfMatch;
use super::job_query::{JobFilter, Sort};
use super::jobs::item;
use super::problem::{Problem, ProblemType};
use super::request::{JsonBody, Name, Query, member};
use super::state::{App, AppState};
use super::{firings, respond, suspend};
use crate::access::Scope;

/// The maximum number of jobs of one request.
const MAX_BULK_JOBS: usize = 1_000;
/// The number of jobs that are changed at once.
const CONCURRENT_JOBS: usize = 16;
/// The time after which no further job is begun, shorter than that of a request.
const BULK_TIMEOUT: Duration = Duration::from_secs(8);

/// Suspends, resumes, fires, labels or deletes many jobs.
///
/// Each job is changed by itself, and has a result of its own: a refused job does not stop the others.
#[utoipa::path(
    post, path = "/jobs/bulk", tag = "jobs", operation_id = "changeJobs",
    request_body(content = BulkBody, content_type = "application/json"),
    responses((status = 200, description = "The result of each job", body = BulkView)),
)]
pub(super) async fn change_jobs(
    State(app): State<App>,
    State(forwarder): State<Forwarder>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let begin = Instant::now();
    let body = JsonBody::read(&app.parsers, &headers, body).await?;
    let BulkBody { select, action, reason, actor, until, labels, expect, dry_run } =
        body.parse(|body| member("", body.into())).await?;
    if action == BulkAction::Fire {
        caller.ensure_scope(Scope::JobsFire)?;
    }
    let call = BulkCall::new(action, reason, actor, until, labels)?;
    let by_query = select.query.is_some();
    let ids = match (select.ids, select.query) {
        (Some(ids), None) => named(&ids)?,
        (None, Some(query)) => queried(&app, &caller, &query).await?,
        _ => return Err(Problem::field("/select", "Give ids or query, one of them.")),
    };
    if expect.is_none() && by_query && !dry_run {
        let message =
            format!("Missing: give the number of jobs that a dry run selects; now it is {}.", ids.len());
        return Err(Problem::field("/expect", message));
    }
    if let Some(expect) = expect.filter(|expect| *expect != ids.len()) {
        let detail =
            format!("{expect} jobs were expected, and {} are selected. Nothing was done.", ids.len());
        return Err(Problem::new(ProblemType::Stale, detail));
    }
    if dry_run {
        let results: Vec<BulkResult> = existing(&app, &caller, ids).await?;
        return Ok(respond::json(StatusCode::OK, &BulkView::new(results)));
    }
    tracing::info!(action = call.action.as_str(), jobs = ids.len(), reason = ?call.reason, "changes many jobs");
    let mut results = Vec::with_capacity(ids.len());
    for part in ids.chunks(CONCURRENT_JOBS) {
        let calls = part.iter().map(|id| {
            let (app, forwarder, caller) = (App::clone(&app), forwarder.clone(), caller.clone());
            change_one(
                app,
                forwarder,
                caller,
                call.clone(),
                id.clone(),
                headers.clone(),
                begin + BULK_TIMEOUT,
            )
        });
        let calls: Vec<_> = calls.collect();
        results.extend(join_all(calls).await);
    }
    Ok(respond::json(StatusCode::OK, &BulkView::new(results)))
}

/// Changes one job until a moment.
async fn change_one(
    app: App,
    forwarder: Forwarder,
    caller: Caller,
    call: BulkCall,
    id: JobId,
    headers: HeaderMap,
    until: Instant,
) -> BulkResult {
    if Instant::now() >= until {
        let detail = "The time of the request was over before this job. It was not changed.";
        return result_of(id, Problem::new(ProblemType::Unavailable, detail).into_response()).await;
    }
    let response = match timeout_at(until, call.send(&app, &forwarder, caller, &id, headers)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = "The time of the request is over. The job may or may not have been changed.";
            Problem::new(ProblemType::Unavailable, detail).into_response()
        }
    };
    result_of(id, response).await
}

/// Checks the names of jobs.
fn named(ids: &[String]) -> Result<Vec<JobId>, Problem> {
    let mut named: Vec<JobId> = Vec::with_capacity(ids.len());
    for (index, id) in ids.iter().enumerate() {
        let wrong = |message: &str| Problem::field(&format!("/select/ids/{index}"), message);
        let id = JobId::new(id).map_err(|_| wrong("Not the name of a job."))?;
        named.push(id);
    }
    named.sort_unstable();
    named.dedup();
    ensure_few("/select/ids", named.len())?;
    Ok(named)
}

/// Finds the jobs that a query selects.
async fn queried(
    app: &AppState,
    caller: &Caller,
    parameters: &Map<String, Value>,
) -> Result<Vec<JobId>, Problem> {
    let filter = read_filter(app, parameters)?.only_visible_to(caller);
    app.engine.refresh_failing_names().await;
    let found = app.index.find(&app.index_context(), &filter, Sort::default(), (0, MAX_BULK_JOBS)).await?;
    ensure_few("/select/query", found.total)?;
    Ok(found.ids)
}

/// Reads a query, which has at least one condition.
fn read_filter(app: &AppState, parameters: &Map<String, Value>) -> Result<JobFilter, Problem> {
    let mut text = form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters {
        let pointer = format!("/select/query/{name}");
        if !JobFilter::PARAMETERS.contains(&name.as_str()) {
            let known = JobFilter::PARAMETERS.join(", ");
            return Err(Problem::field(&pointer, format!("Unknown field. Known are {known}.")));
        }
        match value {
            Value::String(value) => text.append_pair(name, value),
            Value::Bool(value) => text.append_pair(name, if *value { "true" } else { "false" }),
            Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                return Err(Problem::field(&pointer, "Must be a text."));
            }
        };
    }
    let mut query = Query::parse(&text.finish());
    let filter = JobFilter::from_query(&mut query, app.trigger_kinds());
    query.finish().map_err(|problem| problem.under("/select/query/"))?;
    if filter.is_empty() {
        return Err(Problem::field("/select/query", "Must not be empty, which selects all jobs."));
    }
    Ok(filter)
}

fn ensure_few(pointer: &str, jobs: usize) -> Result<(), Problem> {
    if jobs <= MAX_BULK_JOBS {
        return Ok(());
    }
    Err(Problem::field(
        pointer,
        format!("Selects {jobs} jobs; at most {MAX_BULK_JOBS} can be changed at once."),
    ))
}

/// Lists the jobs that an action would be about.
async fn existing(app: &AppState, caller: &Caller, ids: Vec<JobId>) -> Result<Vec<BulkResult>, Problem> {
    let found = app.store.get(&ids).await?;
    let mut results = Vec::with_capacity(ids.len());
    for id in ids {
        let is_there = found.iter().any(|job| job.id == id && caller.sees(job.document.get()));
        let missing = (!is_there).then(|| Problem::no_job(id.as_str()).document());
        results.push(BulkResult {
            id: id.to_string(),
            status: if is_there { 200 } else { 404 },
            firing: None,
            problem: missing,
        });
    }
    Ok(results)
}

/// The request that each job gets.
#[derive(Debug, Clone)]
struct BulkCall {
    action: BulkAction,
    reason: Option<String>,
    body: Value,
}

impl BulkCall {
    fn new(
        action: BulkAction,
        reason: Option<String>,
        actor: Option<String>,
        until: Option<String>,
        labels: Option<Map<String, Value>>,
    ) -> Result<Self, Problem> {
        if let Some(refusal) = reason.as_deref().and_then(text::refusal) {
            return Err(Problem::field("/reason", refusal));
        }
        let is = |expected: BulkAction| action == expected;
        if !is(BulkAction::Suspend) {
            for (pointer, given) in [("/actor", actor.is_some()), ("/until", until.is_some())] {
                if given {
                    return Err(Problem::field(pointer, "Needs `do` suspend."));
                }
            }
        }
        if is(BulkAction::Label) != labels.is_some() {
            return Err(Problem::field("/labels", "Give them with `do` label, and only then."));
        }
        let body = match action {
            BulkAction::Suspend => json!({"reason": reason, "actor": actor, "until": until}),
            BulkAction::Label => json!({ "labels": labels }),
            BulkAction::Resume | BulkAction::Fire | BulkAction::Delete => json!({}),
        };
        Ok(Self { action, reason, body })
    }

    /// Changes one job, here or by the replica that owns it.
    async fn send(
        &self,
        app: &App,
        forwarder: &Forwarder,
        caller: Caller,
        id: &JobId,
        mut headers: HeaderMap,
    ) -> Response {
        match caller.sees_job(&*app.store, id).await {
            Ok(true) => {}
            Ok(false) => return Problem::no_job(id.as_str()).into_response(),
            Err(error) => return Problem::from(error).into_response(),
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // A version of one job is none of another.
        headers.remove(IF_MATCH);
        let needs_owner = match self.action {
            BulkAction::Fire => Some("firings"),
            BulkAction::Resume => Some("resume"),
            BulkAction::Suspend | BulkAction::Label | BulkAction::Delete => None,
        };
        if let Some(rest) = needs_owner {
            let mut request = Request::new(Body::from(self.body.to_string()));
            *request.method_mut() = Method::POST;
            *request.uri_mut() =
                format!("/jobs/{id}/{rest}").parse().expect("a job's name is a part of a path");
            *request.headers_mut() = headers.clone();
            if let Err(answer) = forward::route_to_owner(forwarder, request).await {
                return *answer;
            }
        }
        let (app, name) = (State(App::clone(app)), Name(id.to_string()));
        let (conditions, body) = (IfMatch::default(), Body::from(self.body.to_string()));
        let answer = match self.action {
            BulkAction::Suspend => suspend::suspend(app, caller, name, conditions, headers, body).await,
            BulkAction::Resume => suspend::resume(app, caller, name, conditions, headers, body).await,
            BulkAction::Fire => firings::fire(app, name, caller, headers, body).await,
            BulkAction::Label => {
                item::patch(app, caller, name, Query::default(), conditions, headers, body).await
            }
            BulkAction::Delete => item::remove(app, caller, name, conditions).await,
        };
        answer.unwrap_or_else(IntoResponse::into_response)
    }
}

/// Makes the result of a job of its response.
async fn result_of(id: JobId, response: Response) -> BulkResult {
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let is_firing = status == StatusCode::CREATED;
    let firing = body["id"].as_str().filter(|_| is_firing).map(str::to_owned);
    let problem = if status.is_success() { None } else { serde_json::from_value(body).ok() };
    BulkResult { id: id.to_string(), status: status.as_u16(), firing, problem }
}
