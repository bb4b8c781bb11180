//! The cluster poller: one listing of a cluster tells which tasks of which job run, for all jobs.
//!
//! The engine knows the tasks that it launched. A poll adds the tasks that the engine cannot know, such as those of
//! an earlier data folder. `doc/decisions/0008-population-by-sweep.md` says why there is not one `ListTasks` per job.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ecs::types::DesiredStatus;
use ecs_scheduler_backend_aws::{Fault, READ_CLUSTER};
use ecs_scheduler_core::{FaultKind, LaunchError, TaskId};
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use crate::clients::{Clients, RegionClients};
use crate::describe;

#[cfg(test)]
mod tests;

/// Time for which a listing may lack a task that was just started.
const LIST_LAG: Duration = Duration::from_mins(1);

/// A cache of the tasks that run in one cluster under this scheduler's name.
#[derive(Debug, Default)]
pub(crate) struct TaskListCache {
    poll_lock: AsyncMutex<()>,
    known: Mutex<TaskList>,
}

#[derive(Debug, Default)]
struct TaskList {
    polled_at: Option<Instant>,
    /// The newest poll that failed: its time, kind and message.
    failed: Option<(Instant, FaultKind, String)>,
    /// The owner of each task (its `startedBy`), and since when the task is known.
    tasks: HashMap<TaskId, (Arc<str>, Instant)>,
    by_owner: HashMap<Arc<str>, HashSet<TaskId>>,
    /// Tasks of other owners, so that they are described once.
    foreign: HashSet<TaskId>,
    /// Tasks that are listed, and whose owners could not be read.
    unreadable: HashSet<TaskId>,
    ended: HashMap<TaskId, Instant>,
}

impl TaskList {
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

impl TaskListCache {
    /// Records tasks that were just started.
    pub(crate) fn record_started(&self, owner: &str, tasks: impl Iterator<Item = TaskId>) {
        let owner: Arc<str> = owner.into();
        let now = Instant::now();
        let mut known = self.known.lock();
        for task in tasks {
            known.add(task, &owner, now);
        }
    }

    /// Records that a task has ended: it leaves the cache, and no late listing brings it back.
    pub(crate) fn record_stopped(&self, task: &TaskId) {
        let mut known = self.known.lock();
        known.remove(task);
        known.ended.insert(task.clone(), Instant::now());
    }

    /// Returns whether the task runs by the newest listing, or has been started since.
    pub(crate) fn lists(&self, task: &TaskId) -> bool {
        let known = self.known.lock();
        known.tasks.contains_key(task) || known.unreadable.contains(task)
    }

    fn tasks_of(&self, owner: &str) -> Vec<TaskId> {
        self.known.lock().by_owner.get(owner).map(|tasks| tasks.iter().cloned().collect()).unwrap_or_default()
    }

    fn age(&self) -> Option<Duration> {
        self.known.lock().polled_at.map(|at| at.elapsed())
    }

    fn failure_since(&self, asked: Instant) -> Option<LaunchError> {
        let known = self.known.lock();
        let (at, kind, message) = known.failed.as_ref()?;
        (*at >= asked).then(|| LaunchError::new(*kind, message.clone()))
    }

    /// Takes over the result of a poll that began at `began`: the tasks listed, and the owners of new ones.
    fn replace(&self, began: Instant, every: Duration, listed: HashSet<TaskId>, found: NewTasks) {
        let mut known = self.known.lock();
        known.ended.retain(|_, at| at.elapsed() < every * 2);
        let gone = known
            .tasks
            .iter()
            .filter(|(task, (_, since))| !listed.contains(*task) && *since + LIST_LAG < began);
        let gone: Vec<_> = gone.map(|(task, _)| task.clone()).collect();
        for task in gone {
            known.remove(&task);
        }
        for (task, owner) in found.own {
            known.add(task, &owner, began);
        }
        known.foreign.retain(|task| listed.contains(task));
        known.foreign.extend(found.foreign);
        known.unreadable = found.unreadable;
        known.polled_at = Some(Instant::now());
        known.failed = None;
    }
}

/// Tasks that were not known before.
#[derive(Debug, Default)]
struct NewTasks {
    own: Vec<(TaskId, Arc<str>)>,
    foreign: Vec<TaskId>,
    unreadable: HashSet<TaskId>,
}

/// Lists the tasks of one cluster. The poll goes on when its caller stops waiting.
#[derive(Debug, Clone)]
pub(crate) struct ClusterPoller {
    pub(crate) clients: Arc<Clients>,
    pub(crate) at: RegionClients,
    pub(crate) cluster: String,
    pub(crate) task_list: Arc<TaskListCache>,
    /// The prefix of the `startedBy` of own tasks.
    pub(crate) prefix: Arc<str>,
    /// The age at which the cache is renewed in the background. At twice this age, callers wait for the renewal.
    pub(crate) every: Duration,
}

impl ClusterPoller {
    /// Returns the tasks of one owner, from a cache that is fresh enough.
    pub(crate) async fn tasks_of(self, owner: &str) -> Result<Vec<TaskId>, LaunchError> {
        let list = Arc::clone(&self.task_list);
        match list.age() {
            Some(age) if age < self.every => {}
            Some(age) if age < self.every * 2 => {
                if list.poll_lock.try_lock().is_ok() {
                    // A failure is recorded in the cache. Its age then makes the next caller wait.
                    drop(tokio::spawn(self.poll_if_due()));
                }
            }
            Some(_) | None => tokio::spawn(self.poll_if_due()).await.map_err(|error| {
                LaunchError::new(FaultKind::Bug, "could not poll the cluster: the poll was aborted")
                    .with_source(error)
            })??,
        }
        Ok(list.tasks_of(owner))
    }

    async fn poll_if_due(self) -> Result<(), LaunchError> {
        let asked = Instant::now();
        let _guard = self.task_list.poll_lock.lock().await;
        if self.task_list.age().is_some_and(|age| age < self.every) {
            return Ok(());
        }
        if let Some(error) = self.task_list.failure_since(asked) {
            return Err(error);
        }
        let answer = self.poll_cluster().await;
        let cluster = &self.cluster;
        match &answer {
            Ok(()) if self.clients.list_faults.clear(&self.at.scope, cluster) => {
                tracing::info!(cluster, "the tasks of a cluster can be listed again");
            }
            Ok(()) => {}
            Err(fault) => {
                let error = ecs_scheduler_core::fault::chain(fault);
                if self.clients.list_faults.insert(&self.at.scope, cluster, &error) {
                    tracing::warn!(cluster, error, "could not poll a cluster");
                } else {
                    tracing::debug!(cluster, error, "could not poll a cluster");
                }
                self.task_list.known.lock().failed = Some((Instant::now(), fault.kind(), error));
            }
        }
        answer.map_err(LaunchError::from)
    }

    async fn poll_cluster(&self) -> Result<(), Fault> {
        let began = Instant::now();
        let (mut listed, mut unknown, mut found) = (HashSet::new(), Vec::new(), NewTasks::default());
        let mut token = None;
        loop {
            let (tasks, next) =
                list_tasks(&self.clients, &self.at, &self.cluster, None, DesiredStatus::Running, token)
                    .await?;
            {
                let known = self.task_list.known.lock();
                let new = |task: &&TaskId| !known.tasks.contains_key(*task) && !known.foreign.contains(*task);
                unknown.extend(tasks.iter().filter(new).cloned());
            }
            listed.extend(tasks);
            while unknown.len() >= describe::MAX_TASKS || (next.is_none() && !unknown.is_empty()) {
                let chunk: Vec<_> = unknown.drain(..unknown.len().min(describe::MAX_TASKS)).collect();
                self.assign_owners(&chunk, &mut found).await?;
            }
            token = next;
            if token.is_none() {
                break;
            }
        }
        tracing::debug!(cluster = self.cluster, tasks = listed.len(), "polled a cluster");
        self.task_list.replace(began, self.every, listed, found);
        Ok(())
    }

    async fn assign_owners(&self, tasks: &[TaskId], found: &mut NewTasks) -> Result<(), Fault> {
        // A task that cannot be read belongs to no job yet. The next poll reads it again.
        let answer = describe::read_tasks(&self.clients, &self.at, &self.cluster, tasks, false).await?;
        for task in answer.tasks {
            let id = TaskId::new(task.task_arn().unwrap_or_default());
            match task.started_by().filter(|owner| owner.starts_with(&*self.prefix)) {
                Some(owner) => found.own.push((id, owner.into())),
                None => found.foreign.push(id),
            }
        }
        found.unreadable.extend(answer.unreadable.into_iter().map(|(task, _)| task));
        Ok(())
    }
}

/// Reads one page of a listing: up to 100 tasks, and the token of the next page.
pub(crate) async fn list_tasks(
    clients: &Clients,
    at: &RegionClients,
    cluster: &str,
    started_by: Option<&str>,
    status: DesiredStatus,
    token: Option<String>,
) -> Result<(Vec<TaskId>, Option<String>), Fault> {
    let call = async {
        let call = at.client.list_tasks().cluster(cluster).desired_status(status).set_next_token(token);
        let answer = call.set_started_by(started_by.map(str::to_owned)).send().await;
        answer.map_err(|error| {
            Fault::from_sdk(error, format!("could not list the tasks of cluster \"{cluster}\""))
        })
    };
    let answer = clients.call_paced(&at.scope, READ_CLUSTER, call).await?;
    let tasks = answer.task_arns().iter().map(|arn| TaskId::new(arn.as_str())).collect();
    Ok((tasks, answer.next_token))
}
