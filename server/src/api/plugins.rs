//! `/triggers`, `/launchers`, `/stores`: the installed plugins, each with a summary and a JSON schema.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use ecs_scheduler_core::TriggerRegistry;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::respond;

/// An installed launcher or store.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginInfo {
    /// The configured kind: `local`, `sqlite`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its purpose, in one line.
    pub summary: String,
    /// Whether it is in use.
    pub active: bool,
    /// The JSON schema of its options: for a launcher those of a job's `launch`.
    #[schema(value_type = Object, additional_properties = true)]
    pub schema: Value,
}

/// The installed launchers and stores.
#[derive(Debug, Clone)]
pub(super) struct Plugins {
    pub(super) launchers: Vec<PluginInfo>,
    pub(super) stores: Vec<PluginInfo>,
}

/// An installed kind of trigger.
#[derive(Debug, Serialize, ToSchema)]
struct TriggerKind {
    /// The `type` in a job's `trigger`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Its purpose, in one line.
    summary: &'static str,
    /// The JSON schema of its other members.
    #[schema(value_type = Object, additional_properties = true)]
    schema: Value,
}

/// The installed triggers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Triggers {
    triggers: Vec<TriggerKind>,
}

/// The installed launchers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Launchers {
    launchers: Vec<PluginInfo>,
}

/// The installed stores.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Stores {
    stores: Vec<PluginInfo>,
}

/// Lists the installed triggers.
#[utoipa::path(
    get, path = "/triggers", tag = "plugins", operation_id = "listTriggers",
    responses((status = 200, description = "The installed triggers", body = Triggers)),
)]
pub(super) async fn triggers(State(registry): State<Arc<TriggerRegistry>>) -> Response {
    let triggers = registry.kinds().map(|kind| TriggerKind {
        kind: kind.kind(),
        summary: kind.summary(),
        schema: kind.schema(),
    });
    respond::json(StatusCode::OK, &Triggers { triggers: triggers.collect() })
}

/// Lists the installed launchers.
#[utoipa::path(
    get, path = "/launchers", tag = "plugins", operation_id = "listLaunchers",
    responses((status = 200, description = "The installed launchers", body = Launchers)),
)]
pub(super) async fn launchers(State(plugins): State<Arc<Plugins>>) -> Response {
    respond::json(StatusCode::OK, &Launchers { launchers: plugins.launchers.clone() })
}

/// Lists the installed stores.
#[utoipa::path(
    get, path = "/stores", tag = "plugins", operation_id = "listStores",
    responses((status = 200, description = "The installed stores", body = Stores)),
)]
pub(super) async fn stores(State(plugins): State<Arc<Plugins>>) -> Response {
    respond::json(StatusCode::OK, &Stores { stores: plugins.stores.clone() })
}
