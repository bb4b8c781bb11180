//! The part of an evaluation for the modes `oneShot` and `drain` only: a queue's counts, corrected by the known tasks.

use std::num::NonZeroUsize;

use jiff::{SignedDuration, Timestamp};

use super::{EvalRequest, ReadFailure, TriggerSource};
use crate::engine::inner::EngineInner;
use crate::engine::task_tracker::QueueSample;
use crate::firing::Firing;
use crate::job::Job;
use crate::queue::QueueFacts;
use crate::store::{FiringQuery, StoreError};
use crate::task::Population;
use crate::trigger::{Observation, QueueReading};

/// Firings per page that is read from the journal.
const FIRINGS_PAGE: NonZeroUsize = NonZeroUsize::new(250).expect("250 is not zero");

/// The longest run of a task that is found after a restart. Firings are read from the journal as far back as an exit
/// matters, and this much further; a task that ran for longer and ended just before the start stays unknown.
const MAX_TRACKED_RUN: SignedDuration = SignedDuration::from_hours(1);

impl EngineInner {
    /// Returns the facts about the job's queue that follow from a reading, and the number of busy tasks at that moment.
    pub(super) async fn read_queue_facts(
        &self,
        request: &EvalRequest<'_>,
        reading: &QueueReading,
        asked_at: Timestamp,
        reported: &Population,
    ) -> Result<(QueueFacts, u32), ReadFailure> {
        let (job, loaded) = (request.job, request.loaded);
        let (settle, hidden) = (signed(job.policy.settle), signed(reading.visibility_timeout));
        let remember = matches!(request.source, TriggerSource::Tick);
        if remember {
            self.task_tracker.require_launch_history(&loaded.uid, settle, hidden);
        }
        if !self.task_tracker.has_launch_history(&loaded.uid) {
            let horizon = settle + hidden + MAX_TRACKED_RUN;
            let past = self
                .recent_firings(request, asked_at.saturating_sub(horizon).unwrap_or(Timestamp::MIN))
                .await;
            self.store.record_read(&past);
            let past = past?;
            // A dry run of a job that is not stored leaves no record.
            if remember || !past.is_empty() {
                self.task_tracker.start_launch_history(&loaded.uid, &past, self.clock.now());
            }
        }
        let sample = QueueSample {
            uid: &loaded.uid,
            revision: loaded.revision,
            asked: asked_at,
            now: self.clock.now(),
            settle,
            reading,
            reported,
            remember,
        };
        let (facts, busy) = self.task_tracker.record_sample(&sample);
        if let Some(slow) = facts.slow.filter(|slow| remember && slow.at == asked_at) {
            tracing::warn!(
                job = %job.id,
                settle = settle.as_secs(),
                convergence = slow.took.as_secs(),
                "a queue's counts lag by more than the job's settle: it may launch tasks that find nothing to do"
            );
        }
        Ok((facts, busy))
    }

    /// Reads the job's firings since this moment from the journal.
    async fn recent_firings(
        &self,
        request: &EvalRequest<'_>,
        since: Timestamp,
    ) -> Result<Vec<Firing>, StoreError> {
        let mut past: Vec<Firing> = Vec::new();
        loop {
            let query = FiringQuery {
                job: Some(request.job.id.clone()),
                before: past.last().map(|firing| firing.id.clone()),
                limit: FIRINGS_PAGE,
                ..FiringQuery::default()
            };
            let page = self.store.firings(&query).await?;
            let last =
                page.len() < FIRINGS_PAGE.get() || page.last().is_some_and(|oldest| oldest.observed < since);
            past.extend(page);
            if last {
                past.retain(|firing| firing.uid == request.loaded.uid);
                return Ok(past);
            }
        }
    }
}

/// Returns how long the queue's counts took to converge, when the job's `settle` is too short or longer than needed.
pub(super) fn convergence_observation(
    facts: &QueueFacts,
    job: &Job,
    counts: Option<&Observation>,
) -> Option<Observation> {
    let known = facts.slow.or(facts.quick)?;
    Some(Observation::new(
        "convergence",
        counts.map_or_else(|| job.id.to_string(), |counts| counts.subject.clone()),
        known.took.as_secs_f64(),
        "seconds",
        known.at,
    ))
}

fn signed(duration: std::time::Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
