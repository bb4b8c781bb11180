//! How the rest of the program talks to a replica.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::shard_owner::Leave;
use super::{Crew, ReplicaId};
use crate::decide::{DecisionDraft, DecisionRecord};
use crate::engine::{
    Brake, Counters, EngineHandle, EngineStatus, EvalOverrides, Failing, FireError, FireRequest, Retrying,
};
use crate::event::Event;
use crate::job::{Job, JobId, StoredJob};
use crate::launcher::Launcher;
use crate::store::{Shard, StoreError};

/// Who looks at a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// This process.
    Here,
    /// Another replica.
    There {
        /// Its name.
        id: ReplicaId,
        /// Where it is reached: `http://10.0.0.7:5000`.
        address: String,
    },
    /// Nobody for the moment; somebody within seconds.
    Nobody,
}

/// A replica as another one, or it itself, sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaView {
    /// Its name.
    pub id: ReplicaId,
    /// Where it is reached.
    pub address: String,
    /// When it was started, by its own clock.
    pub started: Timestamp,
    /// The shards that it owns, by number.
    pub shards: Vec<Shard>,
    /// How long ago a new sign of life was seen.
    pub silent: Duration,
    /// Whether it lives, as far as this one can tell.
    pub live: bool,
    /// Whether it is handing its shards over.
    pub leaving: bool,
    /// Whether it is this one.
    pub here: bool,
}

/// A replica at work. Clones talk to the same one. What concerns one job is done where this replica looks at it.
#[derive(Debug, Clone)]
pub struct ReplicaHandle {
    crew: Arc<Crew>,
}

impl ReplicaHandle {
    pub(super) fn new(crew: Arc<Crew>) -> Self {
        Self { crew }
    }

    /// Returns its name.
    #[must_use]
    pub fn id(&self) -> &ReplicaId {
        &self.crew.options.id
    }

    /// Returns what keeps it from its work, when something does.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        if let Some(trouble) = self.crew.trouble.read().clone() {
            return Some(trouble);
        }
        (!self.crew.commons.lease.holds()).then(|| "no sign of life could be written in time".to_owned())
    }

    /// Says who looks at a job, as of the last look at the others, at most a second ago.
    #[must_use]
    pub fn owner(&self, job: &JobId) -> Owner {
        let shard = Shard::of(job);
        if self.engine_of(job).is_some() {
            return Owner::Here;
        }
        let peers = self.crew.peers.lock();
        let owner = peers.owner(shard, self.crew.options.timing.dead_after).1;
        let other = owner.filter(|owner| owner.life != self.crew.life);
        match other.and_then(|owner| peers.member(&owner.id)) {
            Some(member) => Owner::There { id: member.beat.id.clone(), address: member.beat.address.clone() },
            None => Owner::Nobody,
        }
    }

    /// Lists the replicas that live, and those that fell and whose shards nobody has taken over yet, by name.
    #[must_use]
    pub fn replicas(&self) -> Vec<ReplicaView> {
        let dead_after = self.crew.options.timing.dead_after;
        let peers = self.crew.peers.lock();
        let views = peers.members().map(|(id, member)| {
            let owns = |shard: &Shard| {
                let holder = peers.holder(*shard);
                holder.is_some_and(|holder| holder.id == *id && holder.life == member.beat.life)
            };
            ReplicaView {
                id: id.clone(),
                address: member.beat.address.clone(),
                started: member.beat.started,
                shards: Shard::all().filter(owns).collect(),
                silent: Instant::now().saturating_duration_since(member.changed),
                live: peers.lives(member, dead_after),
                leaving: member.beat.leaving,
                here: member.beat.life == self.crew.life,
            }
        });
        views.filter(|view| view.live && !view.leaving || !view.shards.is_empty()).collect()
    }

    /// Returns the launcher, for checks that start nothing.
    #[must_use]
    pub fn launcher(&self) -> &dyn Launcher {
        self.crew.stand_by.launcher()
    }

    /// Says that a job was created, replaced or removed. The replica that looks at it hears of it from the store, if it
    /// is another one.
    pub fn nudge(&self, id: &JobId) {
        if let Some(engine) = self.engine_of(id) {
            engine.nudge(id);
        }
    }

    /// Fires a job now, as [`EngineHandle::fire_now`] does.
    ///
    /// # Errors
    ///
    /// [`FireError::Elsewhere`] when this replica does not look at the job; otherwise see [`FireError`].
    pub async fn fire_now(&self, id: &JobId, request: FireRequest) -> Result<DecisionRecord, FireError> {
        let engine = self.engine_of(id).ok_or(FireError::Elsewhere)?;
        engine.fire_now(id, request).await
    }

    /// Decides about a job as [`EngineHandle::evaluate`] does. Where this replica does not look at the job, what it
    /// knows of running tasks is what the launcher says.
    pub async fn evaluate(
        &self,
        job: &Job,
        stored: Option<&StoredJob>,
        given: EvalOverrides,
    ) -> DecisionDraft {
        let engine = self.engine_of(&job.id).unwrap_or_else(|| self.crew.stand_by.clone());
        engine.evaluate(job, stored, given).await
    }

    /// Returns the tick of a job that this replica could not decide yet and tries again, as [`EngineHandle::retrying`] does.
    #[must_use]
    pub fn retrying(&self, job: &StoredJob) -> Option<Retrying> {
        self.engine_of(&job.id)?.retrying(&job.uid)
    }

    /// Returns how the newest ticks of a job that this replica looks at fail, as [`EngineHandle::failing`] does.
    #[must_use]
    pub fn failing(&self, job: &StoredJob) -> Option<Failing> {
        self.engine_of(&job.id)?.failing(&job.uid)
    }

    /// Does what [`EngineHandle::recall_failing`] does, where this replica looks at the job.
    pub async fn recall_failing(&self, job: &StoredJob) {
        if let Some(engine) = self.engine_of(&job.id) {
            engine.recall_failing(job).await;
        }
    }

    /// Does what [`EngineHandle::resume`] does, where this replica looks at the job.
    pub fn resume(&self, id: &JobId) {
        if let Some(engine) = self.engine_of(id) {
            engine.resume(id);
        }
    }

    /// Returns a moment's view of all engines of this replica: their jobs and tasks together.
    #[must_use]
    pub fn status(&self) -> EngineStatus {
        let mut sum = self.crew.stand_by.status();
        let (step, mut ahead) = (sum.clock_fault.take(), 0);
        for engine in self.engines() {
            let status = engine.status();
            sum.jobs += status.jobs;
            sum.invalid_jobs += status.invalid_jobs;
            sum.in_rounds += status.in_rounds;
            sum.retrying += status.retrying;
            sum.live_tasks += status.live_tasks;
            ahead += status.jobs_ahead;
            sum.next_due = [sum.next_due, status.next_due].into_iter().flatten().min();
        }
        sum.with_ahead(step, ahead)
    }

    /// Returns the counts of all engines since the start of the process.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.crew.commons.counters
    }

    /// Returns how many triggers are being evaluated now.
    #[must_use]
    pub fn evaluating(&self) -> usize {
        self.crew.stand_by.evaluating()
    }

    /// Listens to what this replica does from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.crew.commons.events.subscribe()
    }

    /// Stops all launches of all replicas, durably: of this one at once, of the others within a second.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be written; the brake is then not on.
    pub async fn brake(&self, reason: String) -> Result<Brake, StoreError> {
        self.crew.stand_by.brake(reason).await
    }

    /// Allows launches again. Ticks that passed meanwhile are not fired.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be written; the brake is then still on.
    pub async fn release(&self) -> Result<(), StoreError> {
        self.crew.stand_by.release().await
    }

    /// Hands every shard over to the other replicas, and ends; returns whether all of it was done in time.
    ///
    /// Nothing is lost either way: what is not handed over is taken over a little later.
    pub async fn stop(&self, within: Duration) -> bool {
        let crew = &self.crew;
        crew.leaving.cancel();
        crew.beat_now.notify_one();
        crew.leave_all(&Leave::HandOver);
        let left = async {
            loop {
                let more = crew.shard_left.notified();
                if crew.owned.lock().is_empty() {
                    return;
                }
                more.await;
            }
        };
        let in_time = tokio::time::timeout(within, left).await.is_ok();
        crew.ended.cancel();
        crew.leave_all(&Leave::Forsaken);
        crew.tracker.close();
        in_time
    }

    fn engine_of(&self, job: &JobId) -> Option<EngineHandle> {
        self.crew.owned.lock().get(&Shard::of(job))?.engine()
    }

    fn engines(&self) -> Vec<EngineHandle> {
        self.crew.owned.lock().values().filter_map(|owned| owned.engine()).collect()
    }
}
