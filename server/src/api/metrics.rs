//! `/metrics`: counts and gauges in the text format of Prometheus.
//!
//! The engine counts events where they happen; this module only prints the counters, so a scrape holds locks of the
//! engine only while it reads the status. A metrics crate was rejected: there is nothing to register.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use ecs_scheduler_core::engine::{Counters, EngineStatus, LATENESS_BOUNDS_MS};
use ecs_scheduler_core::replica::{ReplicaHandle, SchedulerNode};
use ecs_scheduler_core::{BudgetLimit, BudgetUse, TickOutcome};

use super::events::StreamPermits;

#[cfg(test)]
mod tests;

/// Responses by class of status code.
#[derive(Debug, Default)]
pub(super) struct ResponseCounters([AtomicU64; 5]);

impl ResponseCounters {
    /// Counts one answer.
    pub(super) fn count(&self, status: axum::http::StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.0[class].fetch_add(1, Ordering::Relaxed);
    }
}

/// Writes the metrics.
#[utoipa::path(
    get, path = "/metrics", tag = "operation", operation_id = "metrics",
    responses((status = 200, description = "Counts and gauges in the text format of Prometheus", body = String, content_type = "text/plain")),
)]
pub(super) async fn metrics(
    State(engine): State<SchedulerNode>,
    State(answered): State<Arc<ResponseCounters>>,
    State(streams): State<StreamPermits>,
) -> Response {
    let mut text = MetricsText(String::with_capacity(8 * 1024));
    let status = engine.status();
    write_counts(&mut text, engine.counters(), &status)
        .and_then(|()| write_state(&mut text, &status, engine.evaluating()))
        .and_then(|()| write_budgets(&mut text, &engine.last_budgets()))
        .and_then(|()| write_server(&mut text, &answered, streams.open()))
        .and_then(|()| engine.replica().map_or(Ok(()), |replica| write_replica(&mut text, replica)))
        .expect("writing to a string never fails");
    let media = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, media)], text.0).into_response()
}

/// Writes the counters of the engine.
fn write_counts(text: &mut MetricsText, counters: &Counters, status: &EngineStatus) -> fmt::Result {
    text.head(
        "ecs_scheduler_ticks_total",
        "counter",
        "Ticks by outcome; a tick counts when its outcome is final.",
    )?;
    for outcome in TickOutcome::occurring().filter(|outcome| *outcome != TickOutcome::Pending) {
        writeln!(text.0, "ecs_scheduler_ticks_total{{outcome=\"{outcome}\"}} {}", counters.ticks(outcome))?;
    }
    let counts = [
        ("firings_total", "Firings journalled.", &counters.firings),
        (
            "history_rows_written_total",
            "Rows of history written; a decision that folds into the row before it is not counted.",
            &counters.rows_written,
        ),
        (
            "history_rows_pruned_total",
            "Rows of old history and expired registers that were removed.",
            &counters.rows_pruned,
        ),
        ("launch_calls_total", "Calls made to the launcher to start tasks.", &counters.launch_calls),
        ("launch_errors_total", "Calls to start tasks that failed as a whole.", &counters.launch_errors),
        ("tasks_started_total", "Tasks started.", &counters.tasks_started),
        ("tasks_refused_total", "Requested tasks that were refused.", &counters.tasks_refused),
        (
            "tasks_succeeded_total",
            "Tasks that ended by themselves with exit code 0.",
            &counters.tasks_succeeded,
        ),
        ("tasks_failed_total", "Tasks that failed.", &counters.tasks_failed),
        (
            "tasks_stopped_total",
            "Tasks that were stopped by the scheduler or an operator.",
            &counters.tasks_stopped,
        ),
        (
            "breakers_opened_total",
            "Breakers of jobs that opened, or that were found open after a start.",
            &counters.breakers_opened,
        ),
    ];
    write_deliveries(text, counters)?;
    for (name, help, count) in counts {
        text.single(name, "counter", help, count.load(Ordering::Relaxed))?;
    }
    let help = "Steps of the clock by more than a minute.";
    text.single("clock_steps_total", "counter", help, status.clock_steps)?;
    write_lateness(text, counters)
}

fn write_deliveries(text: &mut MetricsText, counters: &Counters) -> fmt::Result {
    const NAME: &str = "ecs_scheduler_notification_deliveries_total";
    text.head(NAME, "counter", "Attempts to deliver notifications, by result.")?;
    let results = [
        ("delivered", &counters.notifications_delivered),
        ("retried", &counters.notifications_retried),
        ("failed", &counters.notifications_failed),
    ];
    for (result, count) in results {
        writeln!(text.0, "{NAME}{{result=\"{result}\"}} {}", count.load(Ordering::Relaxed))?;
    }
    Ok(())
}

/// Writes the present state of the engine.
fn write_state(text: &mut MetricsText, status: &EngineStatus, evaluating: usize) -> fmt::Result {
    let gauges = [
        ("jobs", "Jobs known.", status.jobs),
        ("invalid_jobs", "Stored documents that are not valid jobs.", status.invalid_jobs),
        ("jobs_in_rounds", "Jobs in a round.", status.in_rounds),
        (
            "jobs_retrying",
            "Jobs with a tick that cannot be decided yet, or a launch that failed, and that is tried again.",
            status.retrying,
        ),
        ("evaluations", "Triggers being evaluated.", evaluating),
        ("firings_dispatching", "Firings being launched.", status.dispatching),
        ("live_tasks", "Tasks pending or running.", status.live_tasks),
        ("brake", "1 while all launches are stopped.", flag(&status.brake)),
        ("store_fault", "1 while the last write to the store failed.", flag(&status.store_fault)),
        ("launcher_fault", "1 while tasks cannot be counted or launched.", flag(&status.launcher_fault)),
        ("source_fault", "1 while a source cannot be read.", flag(&status.source_fault)),
        (
            "jobs_failing",
            "Jobs whose newest ticks could not be read, counted, launched or recorded.",
            status.failing,
        ),
        (
            "jobs_with_failing_tasks",
            "Jobs whose newest ended firings had failed tasks.",
            status.failing_tasks,
        ),
        ("jobs_with_open_breaker", "Jobs whose breaker is open.", status.open_breakers),
        (
            "clock_fault",
            "1 while ticks are settled in the future, and for ten minutes after the clock was moved or found far ahead at the start.",
            flag(&status.clock_fault),
        ),
        (
            "jobs_settled_ahead",
            "Jobs whose ticks are settled in the future, because the clock was ahead.",
            status.jobs_ahead,
        ),
        (
            "notifications_pending",
            "Notifications that wait for their delivery.",
            status.pending_notifications,
        ),
    ];
    for (name, help, value) in gauges {
        text.single(name, "gauge", help, value)?;
    }
    Ok(())
}

/// Writes the use of each budget as this process knows it. The number of budgets is bounded, and so is that of labels.
fn write_budgets(text: &mut MetricsText, budgets: &[BudgetUse]) -> fmt::Result {
    type Value = fn(&BudgetUse, BudgetLimit) -> Option<u64>;
    const WAITING: &str = "ecs_scheduler_budget_waiting_jobs";
    if budgets.is_empty() {
        return Ok(());
    }
    let gauges: [(&str, &str, Value); 2] = [
        ("ecs_scheduler_budget_limit", "The limit of a budget.", |used, limit| used.budget.limit(limit)),
        ("ecs_scheduler_budget_use", "The use of a limit of a budget by its jobs.", |used, limit| {
            used.budget.limit(limit).map(|_| used.used(limit))
        }),
    ];
    for (name, help, value) in gauges {
        text.head(name, "gauge", help)?;
        for (used, limit) in budgets.iter().flat_map(|used| BudgetLimit::ALL.map(|limit| (used, limit))) {
            if let Some(value) = value(used, limit) {
                let (value, budget, limit) = (limit.shown(value), &used.budget.name, limit.as_str());
                writeln!(text.0, "{name}{{budget=\"{budget}\",limit=\"{limit}\"}} {value}")?;
            }
        }
    }
    text.head(WAITING, "gauge", "Jobs that got nothing of a budget and wait.")?;
    for used in budgets {
        writeln!(text.0, "{WAITING}{{budget=\"{}\"}} {}", used.budget.name, used.waiting)?;
    }
    Ok(())
}

fn write_replica(text: &mut MetricsText, replica: &ReplicaHandle) -> fmt::Result {
    let replicas = replica.replicas();
    let live = replicas.iter().filter(|view| view.live).count();
    let owned = replicas.iter().find(|view| view.here).map_or(0, |view| view.shards.len());
    text.single("replicas", "gauge", "Live replicas, as seen by this one.", live)?;
    text.single("shards", "gauge", "Shards of jobs that this replica owns, of 16.", owned)?;
    let trouble = usize::from(replica.fault().is_some());
    text.single("replica_trouble", "gauge", "1 while a fault keeps this replica from its work.", trouble)
}

fn write_lateness(text: &mut MetricsText, counters: &Counters) -> fmt::Result {
    const NAME: &str = "ecs_scheduler_lateness_seconds";
    text.head(NAME, "histogram", "Time from a tick on the schedule to its decision.")?;
    let (counts, sum_ms) = counters.lateness();
    let mut total = 0;
    for (bound, count) in LATENESS_BOUNDS_MS.iter().zip(counts) {
        total += count;
        writeln!(text.0, "{NAME}_bucket{{le=\"{}\"}} {total}", seconds(*bound))?;
    }
    total += counts[LATENESS_BOUNDS_MS.len()];
    writeln!(text.0, "{NAME}_bucket{{le=\"+Inf\"}} {total}")?;
    writeln!(text.0, "{NAME}_sum {}\n{NAME}_count {total}", seconds(sum_ms))
}

fn write_server(text: &mut MetricsText, answered: &ResponseCounters, streams: usize) -> fmt::Result {
    const NAME: &str = "ecs_scheduler_http_requests_total";
    text.head(NAME, "counter", "Requests answered, by class of status code.")?;
    for (class, count) in (1..).zip(&answered.0) {
        writeln!(text.0, "{NAME}{{class=\"{class}xx\"}} {}", count.load(Ordering::Relaxed))?;
    }
    text.single("event_streams", "gauge", "Open event streams.", streams)?;
    text.head("ecs_scheduler_build_info", "gauge", "The version of the program.")?;
    writeln!(text.0, "ecs_scheduler_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))
}

/// Returns 1 for a value and 0 for none.
fn flag<T>(something: &Option<T>) -> usize {
    usize::from(something.is_some())
}

/// Milliseconds in seconds, without rounding.
fn seconds(millis: u64) -> String {
    format!("{}.{:03}", millis / 1_000, millis % 1_000)
}

struct MetricsText(String);

impl MetricsText {
    fn head(&mut self, name: &str, kind: &str, help: &str) -> fmt::Result {
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}")
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl fmt::Display) -> fmt::Result {
        let name = format!("ecs_scheduler_{name}");
        self.head(&name, kind, help)?;
        writeln!(self.0, "{name} {value}")
    }
}
