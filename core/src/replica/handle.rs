//! The handle through which the rest of the program uses a replica.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::shard_owner::Release;
use super::{ReplicaId, ReplicaInner};
use crate::backfill::{Backfill, BackfillError, BackfillRequest};
use crate::decide::{DecisionDraft, DecisionRecord};
use crate::engine::{
    BreakerState, EngineHandle, EngineStatus, EvalOverrides, Failing, FailingTasks, FireError, FireRequest,
    Retrying,
};
use crate::job::{Job, JobId, StoredJob};
use crate::store::Shard;

/// The owner of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobOwner {
    /// This process.
    ThisReplica,
    /// Another replica.
    OtherReplica {
        /// Its name.
        id: ReplicaId,
        /// Its URL: `http://10.0.0.7:5000`.
        address: String,
    },
    /// None at the moment; a replica will acquire it within seconds.
    Unowned,
}

/// A replica, as this process last saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaView {
    /// Its name.
    pub id: ReplicaId,
    /// Its URL.
    pub address: String,
    /// When it was started, by its own clock.
    pub started: Timestamp,
    /// The shards that it owns, by number.
    pub shards: Vec<Shard>,
    /// How long ago its newest heartbeat was seen.
    pub silent: Duration,
    /// Whether it is live, as far as this process knows.
    pub live: bool,
    /// Whether it is handing its shards over.
    pub leaving: bool,
    /// Whether it is this process.
    pub here: bool,
}

/// A handle of a running replica; clones share it. Calls about one job are served by the engine that owns the job's
/// shard.
#[derive(Debug, Clone)]
pub struct ReplicaHandle {
    inner: Arc<ReplicaInner>,
}

impl ReplicaHandle {
    pub(super) fn new(inner: Arc<ReplicaInner>) -> Self {
        Self { inner }
    }

    /// Returns its name.
    #[must_use]
    pub fn id(&self) -> &ReplicaId {
        &self.inner.options.id
    }

    /// Returns the fault that stops it from working, if there is one.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        if let Some(fault) = self.inner.fault.read().clone() {
            return Some(fault);
        }
        (!self.inner.commons.lease.holds())
            .then(|| "heartbeat not written before the lease expired".to_owned())
    }

    /// Returns the owner of a job, as of the last read of the cluster's registers, at most a second ago.
    #[must_use]
    pub fn owner(&self, job: &JobId) -> JobOwner {
        let shard = Shard::from_job(job);
        if self.engine_of(job).is_some() {
            return JobOwner::ThisReplica;
        }
        let peers = self.inner.peers.lock();
        let owner = peers.owner(shard, self.inner.options.timing.dead_after).1;
        let other = owner.filter(|owner| owner.incarnation != self.inner.incarnation);
        match other.and_then(|owner| peers.member(&owner.id)) {
            Some(member) => {
                JobOwner::OtherReplica { id: member.beat.id.clone(), address: member.beat.address.clone() }
            }
            None => JobOwner::Unowned,
        }
    }

    /// Lists the live replicas, and the failed ones whose shards have not been taken over yet, by name.
    #[must_use]
    pub fn replicas(&self) -> Vec<ReplicaView> {
        let dead_after = self.inner.options.timing.dead_after;
        let peers = self.inner.peers.lock();
        let views = peers.members().map(|(id, member)| {
            let owns = |shard: &Shard| {
                let holder = peers.holder(*shard);
                holder.is_some_and(|holder| holder.id == *id && holder.incarnation == member.beat.incarnation)
            };
            ReplicaView {
                id: id.clone(),
                address: member.beat.address.clone(),
                started: member.beat.started,
                shards: Shard::all().filter(owns).collect(),
                silent: Instant::now().saturating_duration_since(member.changed),
                live: peers.lives(member, dead_after),
                leaving: member.beat.leaving,
                here: member.beat.incarnation == self.inner.incarnation,
            }
        });
        views.filter(|view| view.live && !view.leaving || !view.shards.is_empty()).collect()
    }

    /// Notifies the job's engine that the job was created, replaced or removed. If another replica owns the job, it
    /// polls the change from the store.
    pub fn nudge(&self, id: &JobId) {
        if let Some(engine) = self.engine_of(id) {
            engine.nudge(id);
        }
    }

    /// Fires a job now, as [`EngineHandle::fire_now`] does.
    ///
    /// # Errors
    ///
    /// [`FireError::Elsewhere`] when this replica does not own the job; otherwise see [`FireError`].
    pub async fn fire_now(&self, id: &JobId, request: FireRequest) -> Result<DecisionRecord, FireError> {
        let engine = self.engine_of(id).ok_or(FireError::Elsewhere)?;
        engine.fire_now(id, request).await
    }

    /// Starts a backfill as [`EngineHandle::start_backfill`] does.
    ///
    /// # Errors
    ///
    /// [`BackfillError::Elsewhere`] when this replica does not own the job; otherwise see [`BackfillError`].
    pub async fn start_backfill(
        &self,
        id: &JobId,
        request: BackfillRequest,
    ) -> Result<Backfill, BackfillError> {
        self.engine_of(id).ok_or(BackfillError::Elsewhere)?.start_backfill(id, request).await
    }

    /// Stops a backfill as [`EngineHandle::stop_backfill`] does.
    ///
    /// # Errors
    ///
    /// [`BackfillError::Elsewhere`] when this replica does not own the job; otherwise see [`BackfillError`].
    pub async fn stop_backfill(&self, id: &JobId) -> Result<Backfill, BackfillError> {
        self.engine_of(id).ok_or(BackfillError::Elsewhere)?.stop_backfill(id).await
    }

    /// Evaluates a job as [`EngineHandle::evaluate`] does. If this replica does not own the job, it knows only the
    /// running tasks that the launcher reports.
    pub async fn evaluate(
        &self,
        job: &Job,
        stored: Option<&StoredJob>,
        given: EvalOverrides,
    ) -> DecisionDraft {
        let engine = self.engine_of(&job.id).unwrap_or_else(|| self.inner.idle_engine.clone());
        engine.evaluate(job, stored, given).await
    }

    /// Returns the tick or launch of a job that this replica tries again, as [`EngineHandle::retrying`] does.
    #[must_use]
    pub fn retrying(&self, job: &StoredJob) -> Option<Retrying> {
        self.engine_of(&job.id)?.retrying(&job.uid)
    }

    /// Returns how the newest ticks of a job that this replica owns fail, as [`EngineHandle::failing`] does.
    #[must_use]
    pub fn failing(&self, job: &StoredJob) -> Option<Failing> {
        self.engine_of(&job.id)?.failing(&job.uid)
    }

    /// Returns how the tasks of a job that this replica owns fail, as [`EngineHandle::failing_tasks`] does.
    #[must_use]
    pub fn failing_tasks(&self, job: &StoredJob) -> Option<FailingTasks> {
        self.engine_of(&job.id)?.failing_tasks(&job.uid)
    }

    /// Returns the state of the breaker of a job that this replica owns, as [`EngineHandle::breaker`] does.
    #[must_use]
    pub fn breaker(&self, job: &StoredJob) -> Option<BreakerState> {
        self.engine_of(&job.id)?.breaker(job)
    }

    /// Returns how many tasks of a job are pending or running, if this replica owns it.
    #[must_use]
    pub fn live_tasks(&self, job: &StoredJob) -> Option<usize> {
        Some(self.engine_of(&job.id)?.live_tasks(&job.uid))
    }

    /// Tells whether a job of another replica is among the failing jobs whose names
    /// [`Self::refresh_failing_names`] read.
    #[must_use]
    pub fn fails_elsewhere(&self, job: &JobId) -> bool {
        self.inner.failing_names.contains(job) && self.engine_of(job).is_none()
    }

    /// Reads the names of failing jobs, which their owners keep in the store, unless they were read within five seconds. A failed
    /// read leaves the names as they are.
    pub async fn refresh_failing_names(&self) {
        self.inner.refresh_failing_names().await;
    }

    /// Reads failed ticks and tasks as [`EngineHandle::recall_failing`] does, if this replica owns the job.
    pub async fn recall_failing(&self, job: &StoredJob) {
        if let Some(engine) = self.engine_of(&job.id) {
            engine.recall_failing(job).await;
        }
    }

    /// Resumes a job as [`EngineHandle::resume`] does, if this replica owns it.
    pub fn resume(&self, id: &JobId) {
        if let Some(engine) = self.engine_of(id) {
            engine.resume(id);
        }
    }

    /// Returns the current status of all engines of this replica, summed.
    #[must_use]
    pub fn status(&self) -> EngineStatus {
        let mut sum = self.inner.idle_engine.status();
        let (step, mut ahead) = (sum.clock_fault.take(), 0);
        for engine in self.engines() {
            let status = engine.status();
            sum.jobs += status.jobs;
            sum.invalid_jobs += status.invalid_jobs;
            sum.in_rounds += status.in_rounds;
            sum.retrying += status.retrying;
            sum.live_tasks += status.live_tasks;
            sum.open_breakers += status.open_breakers;
            ahead += status.jobs_ahead;
            sum.pending_notifications += status.pending_notifications;
            sum.next_due = [sum.next_due, status.next_due].into_iter().flatten().min();
        }
        sum.with_ahead(step, ahead)
    }

    /// Hands over every shard to the other replicas, and stops; returns whether the hand-over completed in time.
    ///
    /// Nothing is lost otherwise: the others take over the remaining shards a little later.
    pub async fn stop(&self, within: Duration) -> bool {
        let inner = &self.inner;
        inner.leaving.cancel();
        inner.heartbeat_now.notify_one();
        inner.release_all(&Release::HandOver);
        let left = async {
            loop {
                let more = inner.shard_left.notified();
                if inner.owned.lock().is_empty() {
                    return;
                }
                more.await;
            }
        };
        let in_time = tokio::time::timeout(within, left).await.is_ok();
        inner.ended.cancel();
        inner.release_all(&Release::Lost);
        inner.tracker.close();
        in_time
    }

    /// Returns the engine that owns no job. It shares launcher, counters, events and brake with all engines of this replica.
    pub(super) fn idle_engine(&self) -> &EngineHandle {
        &self.inner.idle_engine
    }

    fn engine_of(&self, job: &JobId) -> Option<EngineHandle> {
        self.inner.owned.lock().get(&Shard::from_job(job))?.engine()
    }

    fn engines(&self) -> Vec<EngineHandle> {
        self.inner.owned.lock().values().filter_map(|owned| owned.engine()).collect()
    }
}
