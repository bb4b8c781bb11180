//! Which tasks of which job run: one sweep of a cluster answers for all jobs.
//!
//! The engine's ledger knows what it launched; a sweep adds what it cannot know, such as tasks of an earlier data folder.
//! Why not one `ListTasks` per job is told in `doc/decisions/0008-population-by-sweep.md`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ecs::types::DesiredStatus;
use ecs_scheduler_backend_aws::{Fault, READ_CLUSTER};
use ecs_scheduler_core::{FaultKind, LaunchError, TaskId};
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use crate::clients::{Clients, Regional};
use crate::describe;

#[cfg(test)]
mod tests;

/// How long a task that was just started may be missing in a listing: listings lag.
const LAG: Duration = Duration::from_mins(1);

/// The copy of what runs in one cluster under this scheduler's name.
#[derive(Debug, Default)]
pub(crate) struct ClusterCopy {
    sweeping: AsyncMutex<()>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    swept: Option<Instant>,
    /// The newest sweep that failed: when, and how.
    failed: Option<(Instant, FaultKind, String)>,
    /// Whose a task is (its `startedBy`), and since when it is known.
    tasks: HashMap<TaskId, (Arc<str>, Instant)>,
    by_owner: HashMap<Arc<str>, HashSet<TaskId>>,
    /// Tasks of others, so that they are looked at once.
    foreign: HashSet<TaskId>,
    ended: HashMap<TaskId, Instant>,
}

impl Known {
    fn add(&mut self, task: TaskId, owner: &Arc<str>, since: Instant) {
        if self.ended.contains_key(&task) {
            return;
        }
        self.by_owner.entry(Arc::clone(owner)).or_default().insert(task.clone());
        self.tasks.entry(task).or_insert_with(|| (Arc::clone(owner), since));
    }

    fn remove(&mut self, task: &TaskId) {
        let Some((owner, _)) = self.tasks.remove(task) else { return };
        if let Some(tasks) = self.by_owner.get_mut(&owner) {
            tasks.remove(task);
            if tasks.is_empty() {
                self.by_owner.remove(&owner);
            }
        }
    }
}

impl ClusterCopy {
    /// Notes tasks that were just started.
    pub(crate) fn started(&self, owner: &str, tasks: impl Iterator<Item = TaskId>) {
        let owner: Arc<str> = owner.into();
        let now = Instant::now();
        let mut known = self.known.lock();
        for task in tasks {
            known.add(task, &owner, now);
        }
    }

    /// Notes that a task has ended: it leaves the copy, and no late listing revives it.
    pub(crate) fn ended(&self, task: &TaskId) {
        let mut known = self.known.lock();
        known.remove(task);
        known.ended.insert(task.clone(), Instant::now());
    }

    fn tasks_of(&self, owner: &str) -> Vec<TaskId> {
        self.known.lock().by_owner.get(owner).map(|tasks| tasks.iter().cloned().collect()).unwrap_or_default()
    }

    fn age(&self) -> Option<Duration> {
        self.known.lock().swept.map(|at| at.elapsed())
    }

    fn failure_since(&self, asked: Instant) -> Option<LaunchError> {
        let known = self.known.lock();
        let (at, kind, message) = known.failed.as_ref()?;
        (*at >= asked).then(|| LaunchError::new(*kind, message.clone()))
    }

    /// Takes over what a sweep that began then has found: `listed` with the owners of those not known before.
    fn replace(&self, began: Instant, every: Duration, listed: HashSet<TaskId>, found: Found) {
        let mut known = self.known.lock();
        known.ended.retain(|_, at| at.elapsed() < every * 2);
        let gone =
            known.tasks.iter().filter(|(task, (_, since))| !listed.contains(*task) && *since + LAG < began);
        let gone: Vec<_> = gone.map(|(task, _)| task.clone()).collect();
        for task in gone {
            known.remove(&task);
        }
        for (task, owner) in found.own {
            known.add(task, &owner, began);
        }
        known.foreign.retain(|task| listed.contains(task));
        known.foreign.extend(found.foreign);
        known.swept = Some(Instant::now());
        known.failed = None;
    }
}

/// Tasks that were not known before.
#[derive(Debug, Default)]
struct Found {
    own: Vec<(TaskId, Arc<str>)>,
    foreign: Vec<TaskId>,
}

/// What a sweep needs; it goes on when who asked for it does not wait any more.
#[derive(Debug, Clone)]
pub(crate) struct Sweeper {
    pub(crate) clients: Arc<Clients>,
    pub(crate) at: Regional,
    pub(crate) cluster: String,
    pub(crate) copy: Arc<ClusterCopy>,
    /// What the `startedBy` of own tasks begins with.
    pub(crate) prefix: Arc<str>,
    /// How old a copy may be before it is renewed behind, and twice that before it is waited for.
    pub(crate) every: Duration,
}

impl Sweeper {
    /// Returns the tasks of one owner, from a copy that is fresh enough.
    pub(crate) async fn tasks_of(self, owner: &str) -> Result<Vec<TaskId>, LaunchError> {
        let copy = Arc::clone(&self.copy);
        match copy.age() {
            Some(age) if age < self.every => {}
            Some(age) if age < self.every * 2 => {
                if copy.sweeping.try_lock().is_ok() {
                    // A failure is noted in the copy, whose age then makes the next one wait for it.
                    drop(tokio::spawn(self.when_due()));
                }
            }
            Some(_) | None => tokio::spawn(self.when_due()).await.map_err(|error| {
                LaunchError::new(FaultKind::Bug, "could not sweep the cluster: the sweep broke off")
                    .because(error)
            })??,
        }
        Ok(copy.tasks_of(owner))
    }

    async fn when_due(self) -> Result<(), LaunchError> {
        let asked = Instant::now();
        let _turn = self.copy.sweeping.lock().await;
        if self.copy.age().is_some_and(|age| age < self.every) {
            return Ok(());
        }
        if let Some(error) = self.copy.failure_since(asked) {
            return Err(error);
        }
        let answer = self.sweep().await;
        answer.map_err(|fault| {
            let text = ecs_scheduler_core::fault::chain(&fault);
            tracing::warn!(cluster = self.cluster, error = text, "a cluster could not be swept");
            self.copy.known.lock().failed = Some((Instant::now(), fault.kind(), text));
            LaunchError::from(fault)
        })
    }

    async fn sweep(&self) -> Result<(), Fault> {
        let began = Instant::now();
        let (mut listed, mut unknown, mut found) = (HashSet::new(), Vec::new(), Found::default());
        let mut token = None;
        loop {
            let (tasks, next) =
                list(&self.clients, &self.at, &self.cluster, None, DesiredStatus::Running, token).await?;
            {
                let known = self.copy.known.lock();
                let new = |task: &&TaskId| !known.tasks.contains_key(*task) && !known.foreign.contains(*task);
                unknown.extend(tasks.iter().filter(new).cloned());
            }
            listed.extend(tasks);
            while unknown.len() >= describe::MOST || (next.is_none() && !unknown.is_empty()) {
                let chunk: Vec<_> = unknown.drain(..unknown.len().min(describe::MOST)).collect();
                self.sort(&chunk, &mut found).await?;
            }
            token = next;
            if token.is_none() {
                break;
            }
        }
        tracing::debug!(cluster = self.cluster, tasks = listed.len(), "swept a cluster");
        self.copy.replace(began, self.every, listed, found);
        Ok(())
    }

    async fn sort(&self, tasks: &[TaskId], found: &mut Found) -> Result<(), Fault> {
        // A task that cannot be read belongs to no job yet. The next sweep asks for it again.
        let answer = describe::each(&self.clients, &self.at, &self.cluster, tasks, false).await?;
        for task in answer.tasks {
            let id = TaskId::new(task.task_arn().unwrap_or_default());
            match task.started_by().filter(|owner| owner.starts_with(&*self.prefix)) {
                Some(owner) => found.own.push((id, owner.into())),
                None => found.foreign.push(id),
            }
        }
        Ok(())
    }
}

/// Reads one page of a listing: up to 100 tasks, and the token of the next page.
pub(crate) async fn list(
    clients: &Clients,
    at: &Regional,
    cluster: &str,
    started_by: Option<&str>,
    status: DesiredStatus,
    token: Option<String>,
) -> Result<(Vec<TaskId>, Option<String>), Fault> {
    let call = async {
        let call = at.client.list_tasks().cluster(cluster).desired_status(status).set_next_token(token);
        let answer = call.set_started_by(started_by.map(str::to_owned)).send().await;
        answer.map_err(|error| Fault::of(error, format!("could not list the tasks of cluster \"{cluster}\"")))
    };
    let answer = clients.paced(at, READ_CLUSTER, call).await?;
    let tasks = answer.task_arns().iter().map(|arn| TaskId::new(arn.as_str())).collect();
    Ok((tasks, answer.next_token))
}
