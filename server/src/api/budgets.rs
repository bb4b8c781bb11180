//! `/budgets`: the limits that jobs share, and their use.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use ecs_scheduler_core::replica::SchedulerNode;
use ecs_scheduler_core::{BudgetLimit, BudgetUse, Timestamp};
use serde::Serialize;
use serde_json::Number;
use utoipa::ToSchema;

use super::problem::Problem;
use super::respond;

/// The configured budgets.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BudgetList {
    /// The budgets, by name.
    budgets: Vec<BudgetView>,
}

/// A budget and its use by the jobs of all replicas.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct BudgetView {
    /// Its name.
    #[schema(example = "nightly")]
    name: String,
    /// The labels that a job must have, each with this value; every job has those of an empty selector.
    #[schema(example = json!({"team": "data"}))]
    selector: BTreeMap<String, String>,
    /// Its limits.
    limits: Vec<LimitView>,
    /// The jobs that got nothing and wait.
    waiting: WaitingView,
}

/// A limit of a budget.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LimitView {
    /// `maxTasks`, the tasks at once; `launchesPerHour`, the tasks that are launched in any 60 minutes; `maxVcpu` and `maxMemory`, the
    /// vCPU and the MiB at once; `dollarsPerDay`, the dollars for what runs in any 24 hours.
    #[schema(value_type = String, example = "maxTasks")]
    name: &'static str,
    /// The limit.
    #[schema(value_type = f64)]
    limit: Number,
    /// The use of the limit; more than the limit after it was lowered. A task that runs counts towards `dollarsPerDay` with the longest
    /// time that it may run.
    #[schema(value_type = f64)]
    used: Number,
    /// The rest of the limit.
    #[schema(value_type = f64)]
    left: Number,
}

/// The jobs that wait for a budget.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct WaitingView {
    /// Their number; at most six of each shard of jobs that another replica owns are counted.
    jobs: usize,
    /// Since when the first of them waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime, nullable = false)]
    since: Option<Timestamp>,
}

impl From<BudgetUse> for BudgetView {
    fn from(used: BudgetUse) -> Self {
        let limits = BudgetLimit::ALL.into_iter().filter_map(|limit| {
            let (most, used) = (used.budget.limit(limit)?, used.used(limit));
            let [most, used, left] =
                [most, used, most.saturating_sub(used)].map(|amount| shown(limit, amount));
            Some(LimitView { name: limit.as_str(), limit: most, used, left })
        });
        let limits = limits.collect();
        let waiting = WaitingView { jobs: used.waiting, since: used.waiting_since };
        Self { name: used.budget.name, selector: used.budget.selector, limits, waiting }
    }
}

/// Returns an amount in the unit that people see, as a whole number if it is one.
fn shown(limit: BudgetLimit, amount: u64) -> Number {
    if amount.is_multiple_of(limit.scale().into()) {
        return Number::from(amount / u64::from(limit.scale()));
    }
    Number::from_f64(limit.shown(amount)).unwrap_or_else(|| Number::from(amount))
}

/// Lists the configured budgets and their use by the jobs of all replicas.
#[utoipa::path(
    get, path = "/budgets", tag = "budgets", operation_id = "listBudgets",
    responses((status = 200, description = "The budgets, by name", body = BudgetList)),
)]
pub(super) async fn list(State(engine): State<SchedulerNode>) -> Result<Response, Problem> {
    let budgets = engine.budgets().await?.into_iter().map(BudgetView::from).collect();
    Ok(respond::json(StatusCode::OK, &BudgetList { budgets }))
}
