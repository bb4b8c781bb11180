//! Minimal samples of jobs, tasks, decisions, settlements and firings: tests and benchmarks override the relevant fields.
//!
//! Functions panic when a name is no job's name, a document no JSON, or a moment out of range.

use std::num::NonZeroUsize;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use ecs_scheduler_core::decide::{DecisionDraft, DecisionId, TickOutcome, TickSpan};
use ecs_scheduler_core::firing::{Firing, FiringId, FiringRetry, FiringState, Origin};
use ecs_scheduler_core::job::{JobId, JobUid, Revision, StoredJob};
use ecs_scheduler_core::store::{NewJob, Settlement};
use ecs_scheduler_core::task::TaskSpec;
use serde_json::value::RawValue;

/// Returns the moment `seconds` after the samples' epoch, which has nanoseconds that stores must keep.
#[must_use]
pub fn at(seconds: i64) -> Timestamp {
    let epoch = Timestamp::new(1_800_000_000, 123_456_789).expect("the moment is in range");
    epoch + SignedDuration::from_secs(seconds)
}

/// Returns a number of rows, of at least one.
#[must_use]
pub fn count(rows: usize) -> NonZeroUsize {
    NonZeroUsize::new(rows).expect("samples read at least one row")
}

/// Returns the name of a job.
#[must_use]
pub fn name(id: &str) -> JobId {
    JobId::new(id).expect("samples have valid names")
}

/// Returns a job's document from JSON text.
#[must_use]
pub fn document(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).expect("samples are JSON")
}

/// A job that was created at the samples' epoch.
#[must_use]
pub fn new_job(id: &str, text: &str) -> NewJob {
    NewJob { id: name(id), uid: JobUid::random(), document: document(text), at: at(0) }
}

/// A task without overrides and options.
#[must_use]
pub fn task(definition: &str) -> Arc<TaskSpec> {
    let definition = definition.to_owned();
    Arc::new(TaskSpec::new(definition))
}

/// The decision about one tick, made at the tick.
#[must_use]
pub fn draft(outcome: TickOutcome, tick: Timestamp) -> DecisionDraft {
    DecisionDraft {
        span: TickSpan { first: tick, last: tick, count: 1 },
        observed: tick,
        outcome,
        demand: None,
        busy: None,
        launch: 0,
        tries: 1,
        explanation: "as the sample says".to_owned(),
        steps: Vec::new(),
        observations: Vec::new(),
    }
}

/// A settlement of a stored job, up to the tick of its newest record.
#[must_use]
pub fn settlement(job: &StoredJob, records: Vec<DecisionDraft>) -> Settlement {
    Settlement {
        job: job.id.clone(),
        uid: job.uid,
        revision: job.revision,
        expected_cursor: job.progress.settled,
        new_cursor: records.last().map(|record| record.span.last),
        records,
        firing: None,
    }
}

/// The planned firing of one tick of a job's first revision: one task, to be sent within ten minutes.
#[must_use]
pub fn firing(job: &JobId, uid: JobUid, tick: Timestamp) -> Firing {
    Firing {
        id: FiringId::for_tick(&uid, tick),
        job: job.clone(),
        uid,
        revision: Revision::FIRST,
        origin: Origin::Tick,
        nominal: tick,
        observed: tick,
        decision: DecisionId::default(),
        state: FiringState::Planned,
        requested: 1,
        task: task("worker"),
        definition: "worker:7".to_owned(),
        deadline: tick + SignedDuration::from_mins(10),
        replace: false,
        replaces: Vec::new(),
        timeout_secs: None,
        start_timeout_secs: None,
        budgets: Vec::new(),
        size: ecs_scheduler_core::TaskSize::default(),
        retry: FiringRetry::default(),
        attempts: Vec::new(),
        tasks: Vec::new(),
        explanation: "one is needed".to_owned(),
        note: None,
    }
}
