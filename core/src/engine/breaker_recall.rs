//! Reads the state of breakers from the journal, records starts, and suspends a job whose canaries have all failed.

use std::num::NonZeroUsize;

use serde_json::{Map, Value, json, value::to_raw_value};

use super::breaker::{BreakerState, MAX_STARTS, StartHistory};
use super::inner::EngineInner;
use super::status::Counters;
use crate::firing::Firing;
use crate::id::{JobId, JobUid, Revision};
use crate::job::{self, StoredJob};
use crate::policy::Breaker;
use crate::store::{FiringQuery, StoreError};

/// The maximum length of the reason of a suspension, in characters.
const MAX_REASON: usize = 1_024;

impl EngineInner {
    /// Returns the state of a breaker. It is read from the journal, unless this process knows it; `remember` keeps it then.
    ///
    /// # Errors
    ///
    /// Fails when the journal cannot be read.
    pub(super) async fn breaker_state(
        &self,
        job: &JobId,
        version: (JobUid, Revision),
        breaker: Breaker,
        remember: bool,
    ) -> Result<BreakerState, StoreError> {
        let (uid, revision) = version;
        if let Some(known) = self.breakers.state(version, self.clock.now()) {
            return Ok(known);
        }
        if remember {
            self.breakers.begin(job, version, breaker);
        }
        let limit = NonZeroUsize::new(MAX_STARTS).unwrap_or(NonZeroUsize::MIN);
        let query = FiringQuery { job: Some(job.clone()), limit, ..FiringQuery::default() };
        let firings = self.store.firings(&query).await;
        self.store.record_read(&firings);
        let firings = firings?;
        let of_version = firings.iter().filter(|firing| firing.uid == uid && firing.revision == revision);
        let (starts, now) = (StartHistory::from_firings(of_version), self.clock.now());
        if !remember {
            return Ok(starts.state(&breaker, now));
        }
        if self.breakers.complete(version, starts.clone(), now) {
            Counters::add(&self.process.counters.breakers_opened, 1);
        }
        Ok(self.breakers.state(version, now).unwrap_or_else(|| starts.state(&breaker, now)))
    }

    /// Reads the state of a job's breaker from the journal, unless this process knows it or the job has none. A failed read is ignored.
    pub(super) async fn recall_breaker(&self, stored: &StoredJob) {
        let version = (stored.uid, stored.revision);
        let is_known = self.breakers.state(version, self.clock.now()).is_some();
        if is_known || !stored.document.get().contains("\"breaker\"") {
            return;
        }
        let Some(breaker) = self.parse(stored).ok().and_then(|job| job.policy.breaker) else { return };
        // The next evaluation reads again.
        let _ = self.breaker_state(&stored.id, version, breaker, true).await;
    }

    /// Records whether the tasks of a durable firing started. Suspends the job when its last canary has failed.
    pub(super) async fn record_start(&self, firing: &Firing) {
        let Some((state, has_opened)) = self.breakers.record(firing, self.clock.now()) else { return };
        if has_opened {
            Counters::add(&self.process.counters.breakers_opened, 1);
        }
        if let Some(reason) = state.exhausted() {
            self.suspend_by_breaker(&firing.job, (firing.uid, firing.revision), reason).await;
        }
    }

    /// Suspends a version of a job, with a reason. If the store does not answer, the next evaluation tries again.
    pub(super) async fn suspend_by_breaker(
        &self,
        job: &JobId,
        (uid, revision): (JobUid, Revision),
        reason: String,
    ) {
        let reason: String = reason.chars().take(MAX_REASON).collect();
        let stored = self.store.get(std::slice::from_ref(job)).await;
        let is_version = |stored: &StoredJob| (stored.uid, stored.revision) == (uid, revision);
        let Some(stored) = stored.ok().and_then(|mut jobs| jobs.pop()).filter(is_version) else { return };
        let Ok(mut document) = serde_json::from_str::<Map<String, Value>>(stored.document.get()) else {
            return;
        };
        document.insert("suspended".to_owned(), true.into());
        document.insert("suspension".to_owned(), json!({"reason": reason, "actor": "breaker"}));
        let now = self.clock.now();
        let Ok(Some(document)) = job::replacement(&stored, document, &self.job_context(), now) else {
            return;
        };
        let document = to_raw_value(&document).expect("a document of a store is plain data");
        if self.store.replace(&stored, document, now).await.is_ok() {
            tracing::warn!(%job, reason, "the breaker suspended a job");
            self.nudge(job);
        }
    }
}
