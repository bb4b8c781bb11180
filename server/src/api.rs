//! The REST API: one file per resource, data transfer objects (`dto`) apart from domain types.
//!
//! ```text
//! connection ──▶ middleware (id, origin, parameters, limits, conditions) ──▶ panic guard ──▶ resource ──▶ store, engine
//!                              ▲                                                   │
//!                              └──────── JSON with an entity tag, or a problem document ◀────────┘
//! ```
//!
//! Resources, status codes and bodies are those of the Python version; `doc/api.md` lists the intended differences.
//! `doc/decisions/0005-api-problem-documents.md` describes the form of errors.

use std::num::NonZeroU32;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use ecs_scheduler_core::TriggerRegistry;
use serde_json::Value;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

mod access;
mod backfill;
mod brake;
mod budgets;
mod bulk;
mod cached_body;
mod caller;
mod decisions;
mod docs;
mod dry_run;
mod dto;
mod etag;
mod evaluate;
mod events;
mod firings;
mod forward;
mod health;
mod history_filter;
mod history_seek;
mod home;
mod idempotency;
mod if_match;
mod indexed_job;
mod job_diff;
mod job_document;
mod job_query;
mod job_search;
mod job_status;
mod job_summary;
mod job_summary_cache;
mod jobs;
mod label;
mod logs;
mod manual_firing;
mod metrics;
mod middleware;
mod notifications;
mod openapi;
mod origin;
mod page;
mod page_writer;
mod paged;
mod plugins;
mod preflight;
mod preview;
mod problem;
mod recent_outcomes;
mod replicas;
mod request;
mod respond;
mod scopes;
mod search_index;
mod serve;
mod state;
mod stats;
mod suspend;
mod text;
mod tokens;
mod view;

pub(crate) use idempotency::{KEY_RULE, is_key};
pub use plugins::PluginInfo;
pub(crate) use preview::WITHOUT_JOB;
pub use serve::{ConnectionLimits, serve};
pub use state::{ApiState, Limits};

use state::App;

/// Creates the service: every resource, behind the limits of `state.limits`.
pub fn router(state: ApiState) -> Router {
    let (routes, derived) = resources().split_for_parts();
    let document = openapi::complete(&derived, &state.registry, state.max_tasks);
    let app = App::new(state, &document);
    routes
        .route("/spec", get(home::openapi))
        .route(scopes::BULK_PATH, jobs::item::methods())
        .route("/ui/style.css", get(home::style))
        .route("/ui/script.js", get(home::script))
        .merge(docs::router())
        .fallback(middleware::route_not_found)
        .method_not_allowed_fallback(middleware::method_not_allowed)
        .layer(from_fn_with_state(App::clone(&app), forward::forward_to_owner))
        .layer(CatchPanicLayer::custom(middleware::handle_panic))
        .layer(from_fn_with_state(App::clone(&app), middleware::handle_request))
        .with_state(app)
}

/// Returns the OpenAPI 3.1 document of the API with these triggers installed.
#[must_use]
pub fn openapi(registry: &TriggerRegistry, max_tasks: NonZeroU32) -> Value {
    openapi::complete(resources().get_openapi(), registry, max_tasks)
}

/// Every documented resource.
fn resources() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::frame())
        .routes(routes!(home::home))
        .routes(routes!(jobs::list::list, jobs::create::create))
        .routes(routes!(jobs::item::read, jobs::item::update, jobs::item::patch, jobs::item::remove))
        .routes(routes!(bulk::change_jobs))
        .routes(routes!(suspend::suspend))
        .routes(routes!(suspend::resume))
        .routes(routes!(preview::next))
        .routes(routes!(preview::preview))
        .routes(routes!(evaluate::stored))
        .routes(routes!(evaluate::given_job))
        .routes(routes!(decisions::of_job))
        .routes(routes!(decisions::all))
        .routes(routes!(firings::of_job, firings::fire))
        .routes(routes!(backfill::start, backfill::read, backfill::stop))
        .routes(routes!(firings::all))
        .routes(routes!(firings::read))
        .routes(routes!(logs::read))
        .routes(routes!(brake::read, brake::engage, brake::release))
        .routes(routes!(budgets::list))
        .routes(routes!(notifications::list))
        .routes(routes!(notifications::test))
        .routes(routes!(plugins::triggers))
        .routes(routes!(plugins::launchers))
        .routes(routes!(plugins::stores))
        .routes(routes!(replicas::list))
        .routes(routes!(stats::aws))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(events::stream_events))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(metrics::metrics))
        .routes(routes!(home::problems))
        .routes(routes!(home::problem))
        .routes(routes!(home::openapi))
}
