//! The control API over HTTP, for tests in another process.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::Response;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use ecs_scheduler_core::Clock as _;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::fault::FaultRule;
use crate::scope::AwsScope;
use crate::server::{Shared, serve};
use crate::state::Settings;
use crate::wire::plain_json;

type Answer = Result<Response<Body>, ControlError>;

/// The error of a control call.
#[derive(Debug)]
struct ControlError {
    status: u16,
    message: String,
}

impl IntoResponse for ControlError {
    fn into_response(self) -> Response<Body> {
        plain_json(self.status, &json!({ "error": self.message }))
    }
}

/// A request to move the clock.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MoveClock {
    advance: Option<SignedDuration>,
    hold: Option<Timestamp>,
    #[serde(default)]
    release: bool,
}

/// A request to end a task.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FinishTask {
    task: String,
    #[serde(default)]
    exit_code: i32,
}

/// Makes the routes: the control under `/_fake`, the services everywhere else.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/_fake/launches", get(launches))
        .route("/_fake/concurrency", get(concurrency))
        .route("/_fake/calls", get(calls))
        .route("/_fake/tasks", get(tasks))
        .route("/_fake/tasks/finish", post(finish))
        .route("/_fake/metrics/{region}", post(put_metrics))
        .route("/_fake/settings", get(settings).post(configure))
        .route("/_fake/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/_fake/clock", get(clock).post(move_clock))
        .fallback(serve)
        .with_state(shared)
}

async fn launches(State(shared): State<Arc<Shared>>) -> Response<Body> {
    shared.with_state(|state, _| plain_json(200, &state.launch_log.launches()))
}

async fn concurrency(State(shared): State<Arc<Shared>>) -> Response<Body> {
    shared.with_state(|state, _| plain_json(200, &state.launch_log.max_alive()))
}

async fn calls(State(shared): State<Arc<Shared>>) -> Response<Body> {
    shared.with_state(|state, _| plain_json(200, &state.launch_log.calls()))
}

async fn tasks(State(shared): State<Arc<Shared>>) -> Response<Body> {
    shared.with_state(|state, _| plain_json(200, &state.ecs.all_tasks()))
}

async fn finish(State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    let finish: FinishTask = read(&body)?;
    let done = shared.with_state(|state, now| {
        let done = state.ecs.finish(&finish.task, finish.exit_code, now);
        state.advance(now);
        done
    });
    shared.changed.notify_waiters();
    if done {
        return Ok(plain_json(200, &json!({})));
    }
    Err(control_error(404, format!("task {} is not running", finish.task)))
}

/// Stores metrics as `PutMetricData` does, of AWS's own namespaces too.
async fn put_metrics(State(shared): State<Arc<Shared>>, Path(region): Path<String>, body: Bytes) -> Answer {
    let body: Value = read(&body)?;
    let scope = AwsScope::in_region(region);
    let kept = shared.with_state(|state, now| state.cloudwatch.put(&scope, &body, now.as_second()));
    kept.map(|kept| plain_json(200, &kept)).map_err(|failure| control_error(400, failure.message))
}

async fn settings(State(shared): State<Arc<Shared>>) -> Response<Body> {
    shared.with_state(|state, _| plain_json(200, &state.settings))
}

/// Merges a document into the settings, as a JSON merge patch (RFC 7396), except where null is itself a setting.
async fn configure(State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    let patch: Value = read(&body)?;
    shared.with_state(|state, _| {
        let mut whole = serde_json::to_value(&state.settings).expect("settings can be written as JSON");
        merge(&mut whole, patch, "");
        let merged: Settings =
            serde_json::from_value(whole).map_err(|error| control_error(400, error.to_string()))?;
        state.settings = merged;
        Ok(plain_json(200, &state.settings))
    })
}

async fn faults(State(shared): State<Arc<Shared>>) -> Response<Body> {
    plain_json(200, &shared.faults.left())
}

async fn add_fault(State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    let rule: FaultRule = read(&body)?;
    shared.faults.add(rule);
    Ok(plain_json(200, &shared.faults.left()))
}

async fn clear_faults(State(shared): State<Arc<Shared>>) -> Response<Body> {
    shared.faults.clear();
    plain_json(200, &shared.faults.left())
}

async fn clock(State(shared): State<Arc<Shared>>) -> Response<Body> {
    plain_json(200, &json!({ "now": shared.clock.now() }))
}

async fn move_clock(State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    let wanted: MoveClock = read(&body)?;
    if let Some(at) = wanted.hold {
        shared.clock.hold(at);
    }
    if let Some(by) = wanted.advance {
        shared.clock.advance(by);
    }
    if wanted.release {
        shared.clock.release();
    }
    Ok(clock(State(shared)).await)
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, ControlError> {
    serde_json::from_slice(body).map_err(|error| control_error(400, error.to_string()))
}

const fn control_error(status: u16, message: String) -> ControlError {
    ControlError { status, message }
}

/// Applies a JSON merge patch at a path of the settings.
fn merge(into: &mut Value, patch: Value, path: &str) {
    let Value::Object(patch) = patch else {
        *into = patch;
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    let members = into.as_object_mut().expect("it was just made an object");
    for (name, value) in patch {
        let path = format!("{path}/{name}");
        if value.is_null() && !is_nullable(&path) {
            members.remove(&name);
        } else {
            merge(members.entry(name).or_insert(Value::Null), value, &path);
        }
    }
}

/// Tells whether null at a path of the settings is a value that differs from the default: a task may run without end.
fn is_nullable(path: &str) -> bool {
    let names: Vec<&str> = path.split('/').skip(1).collect();
    matches!(names.as_slice(), ["ecs", "life", "run"] | ["ecs", "clusterLives" | "definitionLives", _, "run"])
}
