//! `/replicas`: the replicas and their shards.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use ecs_scheduler_core::replica::{ReplicaView, SchedulerNode};
use ecs_scheduler_core::store::Shard;
use ecs_scheduler_core::{Clock, Timestamp};
use jiff::SignedDuration;
use serde::Serialize;
use utoipa::ToSchema;

use super::respond;

/// The replicas of this scheduler.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Replicas {
    /// Whether the store supports replicas.
    shared: bool,
    /// The live replicas, and the failed ones whose shards have no new owner yet, by name; empty if the store does not
    /// support replicas.
    replicas: Vec<ReplicaEntry>,
}

/// One replica, as seen by the replica that answers.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ReplicaEntry {
    /// Its name.
    id: String,
    /// The URL at which the other replicas reach it.
    #[schema(example = "http://10.0.0.7:5000")]
    address: String,
    /// The time at which the replica started, by its own clock.
    #[schema(value_type = String, format = DateTime)]
    started: Timestamp,
    /// The shards of jobs that it owns.
    #[schema(value_type = Vec<u8>, example = json!([0, 1, 2]))]
    shards: Vec<u8>,
    /// The time at which its last new heartbeat was seen.
    #[schema(value_type = String, format = DateTime)]
    last_seen: Timestamp,
    /// `live`; `leaving` while it hands over its shards; `lost` if its heartbeat is too old.
    state: &'static str,
    /// Whether it is the replica that answers.
    here: bool,
}

impl ReplicaEntry {
    fn new(view: ReplicaView, now: Timestamp) -> Self {
        let silent = SignedDuration::try_from(view.silent).unwrap_or(SignedDuration::MAX);
        let state = match (view.live, view.leaving) {
            (false, _) => "lost",
            (true, true) => "leaving",
            (true, false) => "live",
        };
        Self {
            id: view.id.to_string(),
            address: view.address,
            started: view.started,
            shards: view.shards.into_iter().map(Shard::number).collect(),
            last_seen: now.checked_sub(silent).unwrap_or(Timestamp::MIN),
            state,
            here: view.here,
        }
    }
}

/// Lists the replicas of this scheduler and the shards of jobs that each owns.
#[utoipa::path(
    get, path = "/replicas", tag = "operation", operation_id = "listReplicas",
    responses((status = 200, description = "The replicas, by name", body = Replicas)),
)]
pub(super) async fn list(
    State(engine): State<SchedulerNode>,
    State(clock): State<Arc<dyn Clock>>,
) -> Response {
    let now = clock.now();
    let replica = engine.replica();
    let views = replica.map(|replica| replica.replicas()).unwrap_or_default();
    let replicas = views.into_iter().map(|view| ReplicaEntry::new(view, now)).collect();
    respond::json(StatusCode::OK, &Replicas { shared: replica.is_some(), replicas })
}
