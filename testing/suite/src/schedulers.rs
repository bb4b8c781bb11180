//! The schedulers of a job: one alone, or replicas on one store.

use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::engine::FireRequest;
use ecs_scheduler_core::job::JobId;
use ecs_scheduler_core::store::SharedStore;

use super::member::{Member, join};
use super::{EngineRun, Simulation, StoreFaults};

/// The schedulers of a job.
#[derive(Debug)]
pub enum Schedulers {
    /// One, whose store has faults.
    Alone(Option<EngineRun>),
    /// At most two.
    Replicas {
        /// Their store.
        shared: Arc<dyn SharedStore>,
        /// Those that run.
        members: Vec<Member>,
        /// How many have been started.
        joined: usize,
    },
}

impl Schedulers {
    /// Makes replicas of which none runs.
    #[must_use]
    pub fn replicas(shared: Arc<dyn SharedStore>) -> Self {
        Self::Replicas { shared, members: Vec::new(), joined: 0 }
    }

    /// Returns how many run.
    #[must_use]
    pub fn running(&self) -> usize {
        match self {
            Self::Alone(run) => usize::from(run.is_some()),
            Self::Replicas { members, .. } => members.len(),
        }
    }

    /// Starts a scheduler, unless there are enough.
    ///
    /// # Panics
    ///
    /// Panics when the store cannot be read.
    pub async fn start(&mut self, world: &Simulation, faults: StoreFaults, seed: u64) {
        match self {
            Self::Alone(Some(_)) => {}
            Self::Alone(run) => *run = Some(world.boot(faults, seed).await.expect("the store can be read")),
            Self::Replicas { members, .. } if members.len() >= 2 => {}
            Self::Replicas { shared, members, joined } => {
                *joined += 1;
                let name = format!("replica-{joined}");
                members.push(join(world, shared, &name, &name).await);
            }
        }
    }

    /// Ends one of those that run as `kill -9` does.
    pub async fn crash(&mut self, victim: usize) {
        match self {
            Self::Alone(run) => {
                if let Some(run) = run.take() {
                    run.crash().await;
                }
            }
            Self::Replicas { members, .. } if members.is_empty() => {}
            Self::Replicas { members, .. } => members.remove(victim).kill(),
        }
    }

    /// Stops one of those that run.
    pub async fn stop_one(&mut self, victim: usize, within: Duration) {
        match self {
            Self::Alone(run) => {
                if let Some(run) = run.take() {
                    run.engine.stop(within).await;
                }
            }
            Self::Replicas { members, .. } if members.is_empty() => {}
            Self::Replicas { members, .. } => {
                members.remove(victim).replica.stop(within).await;
            }
        }
    }

    /// Announces an edit; returns whether the schedulers know of it.
    pub fn nudge(&self, job: &JobId) -> bool {
        match self {
            Self::Alone(Some(run)) => run.engine.nudge(job),
            Self::Alone(None) => return false,
            Self::Replicas { members, .. } => members.iter().for_each(|member| member.replica.nudge(job)),
        }
        true
    }

    /// Fires a job by hand, if a scheduler owns it. The store may not answer.
    pub async fn fire(&self, job: &JobId, request: FireRequest) {
        match self {
            Self::Alone(Some(run)) => drop(run.engine.fire_now(job, request).await),
            Self::Alone(None) => {}
            Self::Replicas { members, .. } => {
                for member in members {
                    drop(member.replica.fire_now(job, request.clone()).await);
                }
            }
        }
    }

    /// Stops all; returns whether everything ended in time.
    pub async fn stop(mut self, within: Duration) -> bool {
        let mut in_time = true;
        match &mut self {
            Self::Alone(run) => {
                if let Some(run) = run.take() {
                    in_time = run.engine.stop(within).await;
                }
            }
            Self::Replicas { members, .. } => {
                for member in members.drain(..) {
                    in_time &= member.replica.stop(within).await;
                }
            }
        }
        in_time
    }
}
