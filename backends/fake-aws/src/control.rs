//! The control over HTTP: what a test in another process needs.

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
use crate::scope::Place;
use crate::server::{Shared, serve};
use crate::state::Settings;
use crate::wire::plain_json;

type Answer = Result<Response<Body>, Complaint>;

/// Why the control did not do something.
#[derive(Debug)]
struct Complaint {
    status: u16,
    message: String,
}

impl IntoResponse for Complaint {
    fn into_response(self) -> Response<Body> {
        plain_json(self.status, &json!({ "error": self.message }))
    }
}

/// How the clock is to be moved.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Move {
    advance: Option<SignedDuration>,
    hold: Option<Timestamp>,
    #[serde(default)]
    release: bool,
}

/// Which task is to end.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Finish {
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
    shared.world(|world, _| plain_json(200, &world.oracle.launches()))
}

async fn concurrency(State(shared): State<Arc<Shared>>) -> Response<Body> {
    shared.world(|world, _| plain_json(200, &world.oracle.most_alive()))
}

async fn calls(State(shared): State<Arc<Shared>>) -> Response<Body> {
    shared.world(|world, _| plain_json(200, &world.oracle.calls()))
}

async fn tasks(State(shared): State<Arc<Shared>>) -> Response<Body> {
    shared.world(|world, _| plain_json(200, &world.ecs.all_tasks()))
}

async fn finish(State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    let finish: Finish = read(&body)?;
    let done = shared.world(|world, now| {
        let done = world.ecs.finish(&finish.task, finish.exit_code, now);
        world.advance(now);
        done
    });
    shared.changed.notify_waiters();
    if done {
        return Ok(plain_json(200, &json!({})));
    }
    Err(complaint(404, format!("task {} is not running", finish.task)))
}

/// Keeps metrics as `PutMetricData` would, of AWS's own namespaces too.
async fn put_metrics(State(shared): State<Arc<Shared>>, Path(region): Path<String>, body: Bytes) -> Answer {
    let body: Value = read(&body)?;
    let place = Place::in_region(region);
    let kept = shared.world(|world, now| world.cloudwatch.put(&place, &body, now.as_second()));
    kept.map(|kept| plain_json(200, &kept)).map_err(|failure| complaint(400, failure.message))
}

async fn settings(State(shared): State<Arc<Shared>>) -> Response<Body> {
    shared.world(|world, _| plain_json(200, &world.settings))
}

/// Merges a document into the settings, as a JSON merge patch (RFC 7396), save where null is itself a setting.
async fn configure(State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    let patch: Value = read(&body)?;
    shared.world(|world, _| {
        let mut whole = serde_json::to_value(&world.settings).expect("settings can be written as JSON");
        merge(&mut whole, patch, "");
        let merged: Settings =
            serde_json::from_value(whole).map_err(|error| complaint(400, error.to_string()))?;
        world.settings = merged;
        Ok(plain_json(200, &world.settings))
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
    let wanted: Move = read(&body)?;
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

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Complaint> {
    serde_json::from_slice(body).map_err(|error| complaint(400, error.to_string()))
}

const fn complaint(status: u16, message: String) -> Complaint {
    Complaint { status, message }
}

/// Applies a JSON merge patch to what is at a place of the settings.
fn merge(into: &mut Value, patch: Value, place: &str) {
    let Value::Object(patch) = patch else {
        *into = patch;
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    let members = into.as_object_mut().expect("it was just made an object");
    for (name, value) in patch {
        let place = format!("{place}/{name}");
        if value.is_null() && !is_nullable(&place) {
            members.remove(&name);
        } else {
            merge(members.entry(name).or_insert(Value::Null), value, &place);
        }
    }
}

/// Tells whether null at a place of the settings is a value that differs from what is there at first: a task may run without
/// end.
fn is_nullable(place: &str) -> bool {
    let names: Vec<&str> = place.split('/').skip(1).collect();
    matches!(names.as_slice(), ["ecs", "life", "run"] | ["ecs", "clusterLives" | "definitionLives", _, "run"])
}
