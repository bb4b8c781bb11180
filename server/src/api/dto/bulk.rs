//! One action on many jobs.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::api::problem::ProblemDocument;

/// An action on many jobs.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::api) struct BulkBody {
    /// The jobs, at most 1,000.
    pub(in crate::api) select: BulkSelect,
    /// The action.
    #[serde(rename = "do")]
    pub(in crate::api) action: BulkAction,
    /// The reason: of a suspension it is kept in the job, of other actions it is written to the log.
    #[serde(default)]
    #[schema(max_length = 1024, nullable = false)]
    pub(in crate::api) reason: Option<String>,
    /// The person or program that suspends the jobs.
    #[serde(default)]
    #[schema(max_length = 1024, nullable = false)]
    pub(in crate::api) actor: Option<String>,
    /// The end of a suspension.
    #[serde(default)]
    #[schema(format = DateTime, nullable = false)]
    pub(in crate::api) until: Option<String>,
    /// Labels to set; null removes one.
    #[serde(default)]
    #[schema(value_type = Option<std::collections::BTreeMap<String, Option<String>>>, nullable = false)]
    pub(in crate::api) labels: Option<Map<String, Value>>,
    /// The number of jobs that the client expects: 412 if another number is selected. A query needs it, except in a dry run.
    #[serde(default)]
    #[schema(nullable = false)]
    pub(in crate::api) expect: Option<usize>,
    /// Whether only to show the selected jobs (default false).
    #[serde(default)]
    #[schema(default = false)]
    pub(in crate::api) dry_run: bool,
}

/// The jobs of an action: names, or the parameters of a search.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct BulkSelect {
    /// Names of jobs.
    #[serde(default)]
    #[schema(nullable = false, example = json!(["nightly-report"]))]
    pub(in crate::api) ids: Option<Vec<String>>,
    /// `q`, `label`, `trigger`, `suspended` and `state`, as `GET /jobs` has them; at least one.
    #[serde(default)]
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>, nullable = false)]
    pub(in crate::api) query: Option<Map<String, Value>>,
}

/// An action on a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) enum BulkAction {
    /// As `POST /jobs/{id}/suspend`.
    Suspend,
    /// As `POST /jobs/{id}/resume`.
    Resume,
    /// As `POST /jobs/{id}/firings`.
    Fire,
    /// As `DELETE /jobs/{id}`.
    Delete,
    /// As `PATCH /jobs/{id}` with labels.
    Label,
}

impl BulkAction {
    /// Returns its name.
    pub(in crate::api) const fn as_str(self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Fire => "fire",
            Self::Delete => "delete",
            Self::Label => "label",
        }
    }
}

/// The results of an action on many jobs.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct BulkView {
    /// The number of selected jobs.
    selected: usize,
    /// The number of jobs with a problem.
    failed: usize,
    /// The result of each job.
    results: Vec<BulkResult>,
}

/// The result of an action on one job.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct BulkResult {
    /// The job's name.
    pub(in crate::api) id: String,
    /// The status code that the action on this job alone would have.
    pub(in crate::api) status: u16,
    /// The firing that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::api) firing: Option<String>,
    /// Why the action was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::api) problem: Option<ProblemDocument>,
}

impl BulkView {
    pub(in crate::api) fn new(results: Vec<BulkResult>) -> Self {
        let failed = results.iter().filter(|result| result.problem.is_some()).count();
        Self { selected: results.len(), failed, results }
    }
}
