//! The part of an evaluation that only the modes `oneShot` and `drain` need: what the ledger adds to a queue's counts.

use std::num::NonZeroUsize;

use jiff::{SignedDuration, Timestamp};

use super::{Asker, Question, Unreadable};
use crate::engine::inner::Core;
use crate::engine::task_tracker::QueueLook;
use crate::firing::Firing;
use crate::job::Job;
use crate::queue::QueueFacts;
use crate::store::{FiringQuery, StoreError};
use crate::task::Population;
use crate::trigger::{Observation, QueueReading};

/// How many firings are read of the journal at once.
const PAGE: NonZeroUsize = NonZeroUsize::new(250).expect("250 is not zero");

/// How much longer than an exit matters a firing is looked for in the journal: tasks that ran for longer, and ended
/// just before the scheduler was started, are not known to it.
const LONGEST_RUN: SignedDuration = SignedDuration::from_hours(1);

impl Core {
    /// Takes in a reading of the job's queue: what follows from it, and how many tasks are busy at that moment.
    pub(super) async fn look_at_queue(
        &self,
        question: &Question<'_>,
        reading: &QueueReading,
        asked: Timestamp,
        reported: &Population,
    ) -> Result<(QueueFacts, u32), Unreadable> {
        let (job, loaded) = (question.job, question.loaded);
        let settle = signed(job.policy.settle);
        let remember = matches!(question.by, Asker::Tick);
        if !self.ledger.tracks(&loaded.uid) {
            let horizon = settle + signed(reading.visibility_timeout) + LONGEST_RUN;
            let past = self.past(question, asked.saturating_sub(horizon).unwrap_or(Timestamp::MIN)).await;
            self.note_read(&past);
            let past = past?;
            // Whoever asks about a job that is not stored leaves no record behind.
            if remember || !past.is_empty() {
                self.ledger.track(&loaded.uid, &past, self.clock.now());
            }
        }
        let look = QueueLook {
            uid: &loaded.uid,
            revision: loaded.revision,
            asked,
            now: self.clock.now(),
            settle,
            reading,
            reported,
            remember,
        };
        let (facts, busy) = self.ledger.look(&look);
        if let Some(slow) = facts.slow.filter(|slow| remember && slow.at == asked) {
            tracing::warn!(
                job = %job.id,
                settle = settle.as_secs(),
                convergence = slow.took.as_secs(),
                "a queue's counts lag by more than the job's settle: it may launch tasks that find nothing to do"
            );
        }
        Ok((facts, busy))
    }

    /// Reads what the journal knows of the job's firings since this moment.
    async fn past(&self, question: &Question<'_>, since: Timestamp) -> Result<Vec<Firing>, StoreError> {
        let mut past: Vec<Firing> = Vec::new();
        loop {
            let query = FiringQuery {
                job: Some(question.job.id.clone()),
                before: past.last().map(|firing| firing.id.clone()),
                limit: PAGE,
                ..FiringQuery::default()
            };
            let page = self.store.firings(&query).await?;
            let last = page.len() < PAGE.get() || page.last().is_some_and(|oldest| oldest.observed < since);
            past.extend(page);
            if last {
                past.retain(|firing| firing.uid == question.loaded.uid);
                return Ok(past);
            }
        }
    }
}

/// Makes a number of how long the queue's counts took to converge, for a job whose `settle` is too short for that or longer
/// than it need be.
pub(super) fn convergence(facts: &QueueFacts, job: &Job, of: Option<&Observation>) -> Option<Observation> {
    let known = facts.slow.or(facts.quick)?;
    Some(Observation {
        name: "convergence".to_owned(),
        subject: of.map_or_else(|| job.id.to_string(), |counts| counts.subject.clone()),
        value: known.took.as_secs_f64(),
        unit: "seconds".to_owned(),
        at: known.at,
    })
}

fn signed(duration: std::time::Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
