//! The scope that each route needs: one table from routes to scopes.
//!
//! A route without a row is refused. The table is also the `security` of each operation in the OpenAPI document.

use serde_json::{Value, json};

use crate::access::{OpenResource, Scope};

/// The path of an operation on many jobs. It is also that of a job named `bulk`, which has other methods.
pub(super) const BULK_PATH: &str = "/jobs/bulk";

/// The need of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing.
    Nothing,
    /// A valid token with any scope.
    Token,
    /// A token with this scope.
    Scope(Scope, Reach),
}

/// The jobs that a route shows or changes, and so the way in which a token for some jobs is limited to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// No job.
    NoJob,
    /// The job in the path: one of another token is not found.
    Job,
    /// The firing in the path, and through it its job.
    Firing,
    /// Several jobs, or a document: the handler leaves out those of others, or refuses them.
    Handler,
    /// All jobs, or the scheduler: a token for some jobs is refused.
    Whole,
}

use Need::{Nothing, Token};
use Reach::{Firing, Handler, Job, NoJob, Whole};
use Scope::{Admin, HistoryRead, JobsFire, JobsRead, JobsWrite, LogsRead};

const fn scope(scope: Scope, reach: Reach) -> Need {
    Need::Scope(scope, reach)
}

/// The need of every route. `HEAD` needs what `GET` does.
const ROUTES: [(&str, &str, Need); 51] = [
    // The page and its parts have no data; it reads them as any client does.
    ("GET", "/", Nothing),
    ("GET", "/ui/style.css", Nothing),
    ("GET", "/ui/script.js", Nothing),
    ("GET", "/healthz", Nothing),
    ("GET", "/readyz", Nothing),
    ("GET", "/problems", Nothing),
    ("GET", "/problems/{kind}", Nothing),
    ("GET", "/openapi.json", Token),
    ("GET", "/spec", Token),
    ("GET", "/docs", Token),
    ("GET", "/docs/", Token),
    ("GET", "/docs/{*rest}", Token),
    ("GET", "/jobs", scope(JobsRead, Handler)),
    ("POST", "/jobs", scope(JobsWrite, Handler)),
    // To fire jobs, the handler needs `jobs:fire` too.
    ("POST", BULK_PATH, scope(JobsWrite, Handler)),
    ("GET", "/jobs/{id}", scope(JobsRead, Job)),
    ("PUT", "/jobs/{id}", scope(JobsWrite, Job)),
    ("PATCH", "/jobs/{id}", scope(JobsWrite, Job)),
    ("DELETE", "/jobs/{id}", scope(JobsWrite, Job)),
    ("POST", "/jobs/{id}/suspend", scope(JobsWrite, Job)),
    ("POST", "/jobs/{id}/resume", scope(JobsWrite, Job)),
    ("GET", "/jobs/{id}/next", scope(JobsRead, Job)),
    ("POST", "/jobs/{id}/evaluate", scope(JobsRead, Job)),
    // It reads the sources that the document names.
    ("POST", "/evaluate", scope(JobsWrite, Handler)),
    ("POST", "/schedules/preview", scope(JobsRead, NoJob)),
    ("GET", "/decisions", scope(HistoryRead, Handler)),
    ("GET", "/jobs/{id}/decisions", scope(HistoryRead, Job)),
    ("GET", "/firings", scope(HistoryRead, Handler)),
    ("GET", "/jobs/{id}/firings", scope(HistoryRead, Job)),
    ("POST", "/jobs/{id}/firings", scope(JobsFire, Job)),
    ("GET", "/firings/{id}", scope(HistoryRead, Firing)),
    ("GET", "/firings/{id}/tasks/{task}/logs", scope(LogsRead, Firing)),
    ("GET", "/jobs/{id}/backfill", scope(HistoryRead, Job)),
    ("POST", "/jobs/{id}/backfill", scope(JobsFire, Job)),
    ("DELETE", "/jobs/{id}/backfill", scope(JobsFire, Job)),
    ("GET", "/events", scope(HistoryRead, Handler)),
    ("GET", "/brake", scope(JobsRead, NoJob)),
    ("POST", "/brake", scope(Admin, Whole)),
    ("DELETE", "/brake", scope(Admin, Whole)),
    ("GET", "/budgets", scope(JobsRead, Whole)),
    ("GET", "/notifications", scope(HistoryRead, Whole)),
    ("POST", "/notifications/test", scope(Admin, Whole)),
    ("GET", "/triggers", scope(JobsRead, NoJob)),
    ("GET", "/launchers", scope(JobsRead, NoJob)),
    ("GET", "/stores", scope(JobsRead, NoJob)),
    ("GET", "/replicas", scope(HistoryRead, Whole)),
    ("GET", "/stats/aws", scope(HistoryRead, Whole)),
    ("GET", "/metrics", scope(HistoryRead, Whole)),
    ("GET", "/tokens", scope(Admin, Whole)),
    ("POST", "/tokens", scope(Admin, Whole)),
    ("DELETE", "/tokens/{id}", scope(Admin, Whole)),
];

/// Returns what a route needs; nothing where the table has no such route.
pub(super) fn need(method: &str, path: &str) -> Option<Need> {
    let method = if method == "HEAD" { "GET" } else { method };
    // A job may be named as the operation on many jobs.
    let path = if path == BULK_PATH && method != "POST" { "/jobs/{id}" } else { path };
    ROUTES.iter().find(|(its, at, _)| (*its, *at) == (method, path)).map(|(_, _, need)| *need)
}

/// Returns the `security` of an operation in the OpenAPI document; nothing for one that no token may use.
pub(super) fn security(method: &str, path: &str) -> Option<Value> {
    Some(match need(&method.to_uppercase(), path)? {
        Need::Nothing => json!([]),
        Need::Token => json!([{ "token": [] }]),
        Need::Scope(scope, _) => json!([{ "token": [scope.as_str()] }]),
    })
}

/// Returns the security scheme of the OpenAPI document.
pub(super) fn security_scheme() -> Value {
    json!({
        "type": "http",
        "scheme": "bearer",
        "description": "An access token with the scope that the operation names, or with `admin`. Without `ECSS_AUTH=tokens`, none is needed.",
    })
}

/// The setting that leaves a resource open.
pub(super) fn open_resource(path: &str) -> Option<OpenResource> {
    match path {
        "/metrics" => Some(OpenResource::Metrics),
        "/openapi.json" | "/spec" | "/docs" | "/docs/" | "/docs/{*rest}" => Some(OpenResource::Docs),
        _ => None,
    }
}

/// Tells whether the table has the path with any method.
pub(super) fn has_path(path: &str) -> bool {
    ROUTES.iter().any(|(_, at, _)| *at == path)
}

#[cfg(test)]
mod tests;
