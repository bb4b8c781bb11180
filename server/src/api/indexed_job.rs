//! A job in the index: what can be searched without the store.

use std::sync::Arc;

use ecs_scheduler_core::job::Progress;
use ecs_scheduler_core::replica::SchedulerNode;
use ecs_scheduler_core::{StoredJob, Timestamp};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::job_document::document;
use super::job_status::JobStatus;
use super::job_summary::JobSummary;

/// The parts of a job that a search needs.
#[derive(Debug)]
pub(super) struct IndexedJob {
    /// The job without its document, and of its progress only the newest settled tick, as it was when the job was read.
    pub(super) job: StoredJob,
    summary: Arc<JobSummary>,
    /// Name, description and labels, in lower case.
    pub(super) text: String,
    /// Its labels.
    pub(super) labels: Map<String, Value>,
    /// The kind of its trigger; `noop` without one.
    pub(super) trigger: String,
    /// The next tick after a moment.
    next: Option<(Timestamp, Option<Timestamp>)>,
}

impl IndexedJob {
    pub(super) fn new(stored: &StoredJob, summary: Arc<JobSummary>) -> Self {
        let mut document = document(stored);
        let labels = match document.remove("labels") {
            Some(Value::Object(labels)) => labels,
            _ => Map::new(),
        };
        let trigger = document.get("trigger").and_then(|trigger| trigger["type"].as_str()).unwrap_or("noop");
        let description = document.get("description").and_then(Value::as_str).unwrap_or_default();
        let mut text = format!("{}\n{description}", stored.id);
        for (name, value) in &labels {
            text.push_str(&format!("\n{name}={}", value.as_str().unwrap_or_default()));
        }
        let job = StoredJob {
            id: stored.id.clone(),
            uid: stored.uid,
            revision: stored.revision,
            document: RawValue::NULL.to_owned(),
            created: stored.created,
            changed: stored.changed,
            progress: Progress { settled: stored.progress.settled, ..Progress::default() },
        };
        Self { job, summary, text: text.to_lowercase(), labels, trigger: trigger.to_owned(), next: None }
    }

    /// Returns the job's name.
    pub(super) fn id(&self) -> &str {
        self.job.id.as_str()
    }

    /// Returns the state of the job, by the ticks that were settled when it was read.
    pub(super) fn status(&self, engine: &SchedulerNode, now: Timestamp) -> JobStatus {
        self.summary.status(engine, &self.job, now)
    }

    /// Tells whether the job is suspended.
    pub(super) fn is_suspended(&self, now: Timestamp) -> bool {
        self.summary.is_suspended(now)
    }

    /// Returns the next tick. It is computed once for all moments before it.
    pub(super) fn next(&mut self, now: Timestamp) -> Option<Timestamp> {
        match self.next {
            Some((from, next)) if from <= now && next.is_none_or(|next| now < next) => next,
            _ => {
                let next = self.summary.next(now);
                self.next = Some((now, next));
                next
            }
        }
    }
}
