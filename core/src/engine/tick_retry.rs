//! Retries ticks that could not be decided for a transient reason: their source or the running tasks could not be read.
//!
//! Such a tick stays open. It is evaluated again after one second, then after twice as long each time, up to 30 s, until
//! it can be decided, a later tick replaces it, or its catch-up window has passed. In the last two cases its outcome is
//! the one of the failed read, with the number of tries.
//!
//! After a restart the tick is still unsettled and is caught up like any other; [`tick_try_register`](super::tick_try_register) knows its tries. Beside these ticks are the
//! firings whose launch failed and is tried again.

use std::time::Duration;

use hashbrown::HashMap;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::backoff::Backoff;
use crate::decide::TickOutcome;
use crate::firing::{Firing, FiringId};
use crate::hash::stable;
use crate::job::{JobId, JobUid};
use crate::store::Shard;

/// The waits between tries. The jitter depends on job and tick, so that jobs that failed together are not tried together.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30)).with_jitter(25);

/// A tick or a launch that is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retrying {
    /// The nominal tick.
    pub tick: Timestamp,
    /// How it would end now: [`TickOutcome::SourceError`], [`TickOutcome::LiveUnknown`], or [`TickOutcome::LaunchFailed`] for a launch.
    pub outcome: TickOutcome,
    /// The reason why the last try failed.
    pub reason: String,
    /// The number of tries.
    pub tries: u32,
    /// When it was first tried.
    pub since: Timestamp,
    /// When it is tried next, at the latest.
    pub next_try: Timestamp,
    /// The number of failed tries in a row, including those of earlier ticks; the wait depends on it.
    #[serde(skip)]
    failures: u32,
}

impl Retrying {
    /// Records a failed try of a tick. `last` is the job's last failed try.
    pub(super) fn new(
        job: &JobId,
        tick: Timestamp,
        (outcome, reason): (TickOutcome, String),
        last: Option<&Self>,
        now: Timestamp,
    ) -> Self {
        let failures = last.map_or(0, |last| last.failures).saturating_add(1);
        let same = last.filter(|last| last.tick == tick);
        let wait = SignedDuration::try_from(retry_wait(job, tick, failures)).unwrap_or(SignedDuration::MAX);
        Self {
            tick,
            outcome,
            reason,
            tries: same.map_or(0, |last| last.tries).saturating_add(1),
            since: same.map_or(now, |last| last.since),
            next_try: now.saturating_add(wait).unwrap_or(Timestamp::MAX),
            failures,
        }
    }

    /// Records a failed try of a launch, which is tried again after `wait`. `last` is the last failed try for this job.
    fn of_launch(firing: &Firing, reason: &str, wait: Duration, last: Option<&Self>, now: Timestamp) -> Self {
        let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
        let tries = last.map_or(0, |last| last.tries).saturating_add(1);
        Self {
            tick: firing.nominal,
            outcome: TickOutcome::LaunchFailed,
            reason: reason.to_owned(),
            tries,
            since: last.map_or(now, |last| last.since),
            next_try: now.saturating_add(wait).unwrap_or(Timestamp::MAX),
            failures: tries,
        }
    }

    /// Returns the record as another engine goes on with it.
    pub(super) fn resumed(&self) -> Self {
        Self { failures: self.tries, ..self.clone() }
    }

    /// Returns the explanation of a tick that ends undecided.
    pub(super) fn final_reason(&self, reason: &str) -> String {
        // Only ticks with the same number of tries share a row.
        let times =
            if self.tries == 1 { "once, until".to_owned() } else { format!("{} times until", self.tries) };
        format!("{}; tried {times} {reason}", self.reason)
    }
}

/// Returns how long to wait after this many failures in a row.
fn retry_wait(job: &JobId, tick: Timestamp, failures: u32) -> Duration {
    let parts = [job.as_str().as_bytes(), &tick.as_second().to_be_bytes(), &failures.to_be_bytes()];
    BACKOFF.jittered_delay_after(failures, stable(&parts))
}

/// The ticks and launches that are tried again, at most one of each for a job.
#[derive(Debug, Default)]
pub(super) struct Retries {
    pub(super) ticks: Mutex<HashMap<JobUid, (JobId, Retrying)>>,
    /// The ticks of jobs that an earlier engine tried, and that this one has not evaluated yet.
    pub(super) earlier: Mutex<HashMap<JobUid, (Shard, Retrying)>>,
    /// Wakes the task that writes the tries into the store.
    pub(super) changed: Notify,
    /// The firing of each job whose launch failed last.
    launches: Mutex<HashMap<JobUid, (FiringId, Retrying)>>,
}

impl Retries {
    /// Returns the tick of a job that is tried again.
    pub(super) fn tick(&self, job: &JobUid) -> Option<Retrying> {
        self.ticks.lock().get(job).map(|(_, retrying)| retrying.clone())
    }

    /// Returns the newest tick of a job that was tried, also by an earlier engine, if it is after the tick that is settled.
    pub(super) fn tried_after(&self, job: &JobUid, settled: Option<Timestamp>) -> Option<Retrying> {
        self.tick(job).or_else(|| {
            let earlier = self.earlier.lock().get(job).map(|(_, retrying)| retrying.clone());
            earlier.filter(|retrying| settled.is_none_or(|settled| retrying.tick > settled))
        })
    }

    /// Returns the jobs whose tick is tried again.
    pub(super) fn jobs(&self) -> Vec<JobId> {
        self.ticks.lock().values().map(|(job, _)| job.clone()).collect()
    }

    /// Returns the tick of a job that is tried again, or else the launch.
    pub(super) fn get(&self, job: &JobUid) -> Option<Retrying> {
        self.tick(job).or_else(|| self.launches.lock().get(job).map(|(_, retrying)| retrying.clone()))
    }

    /// Returns the number of jobs of which something is tried again.
    pub(super) fn len(&self) -> usize {
        let (ticks, launches) = (self.ticks.lock(), self.launches.lock());
        ticks.len() + launches.keys().filter(|job| !ticks.contains_key(*job)).count()
    }

    /// Records that the launch of a firing failed and is tried again after `wait`.
    pub(super) fn record_launch(&self, firing: &Firing, reason: &str, wait: Duration, now: Timestamp) {
        let mut launches = self.launches.lock();
        let last = launches.get(&firing.uid).filter(|(id, _)| *id == firing.id).map(|(_, last)| last);
        let retrying = Retrying::of_launch(firing, reason, wait, last, now);
        launches.insert(firing.uid, (firing.id.clone(), retrying));
    }

    /// Removes the record when the launch of a firing has ended.
    pub(super) fn end_launch(&self, firing: &Firing) {
        let mut launches = self.launches.lock();
        if launches.get(&firing.uid).is_some_and(|(id, _)| *id == firing.id) {
            launches.remove(&firing.uid);
        }
    }

    /// Records a tick that is tried again.
    pub(super) fn record(&self, uid: JobUid, job: &JobId, retrying: Retrying) {
        let Retrying { tick, outcome, reason, .. } = &retrying;
        tracing::debug!(%job, %tick, %outcome, error = reason, "a tick cannot be decided yet; retrying");
        self.ticks.lock().insert(uid, (job.clone(), retrying));
        self.earlier.lock().remove(&uid);
        self.changed.notify_one();
    }

    /// Removes the record when a tick of the job was decided, or no tick is open any more.
    pub(super) fn end(&self, uid: &JobUid, job: &JobId) {
        let (last, earlier) = (self.ticks.lock().remove(uid), self.earlier.lock().remove(uid));
        if let Some((_, last)) = &last {
            let (tick, failed) = (last.tick, last.failures);
            tracing::debug!(%job, %tick, failed, "the retried ticks of a job are decided");
        }
        if last.is_some() || earlier.is_some() {
            self.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_from_1_s_to_30_s_and_differs_between_jobs() {
        let tick = Timestamp::UNIX_EPOCH;
        let job = |name: &str| JobId::new(name).unwrap();
        let waits: Vec<u128> =
            (1..=8).map(|failures| retry_wait(&job("a"), tick, failures).as_millis()).collect();
        for (waited, full) in waits.iter().zip([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]) {
            assert!((full * 3 / 4..=full).contains(waited), "{waited} of {full}");
        }
        assert_ne!(retry_wait(&job("a"), tick, 6), retry_wait(&job("b"), tick, 6));
    }
}
