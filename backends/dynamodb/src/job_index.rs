//! The names of the jobs in their order, kept in memory: loaded once, and updated from the change logs.

use std::collections::HashMap;

use ecs_scheduler_core::{JobId, ListFrom, StoreError, Timestamp};
use futures::{StreamExt as _, TryStreamExt as _};
use parking_lot::Mutex;

use crate::change_log::{ChangeKind, ChangeLogHead, JobChange, changes_since, read_heads};
use crate::codec::ItemReader;
use crate::db::{CONCURRENT_READS, Db, PartitionQuery};
use crate::keys::{self, SHARDS};

/// The names of all jobs in the order of creation.
#[derive(Debug, Default)]
pub(crate) struct JobIndex {
    state: Mutex<JobIndexState>,
}

#[derive(Debug, Default)]
struct JobIndexState {
    /// The number of the newest edit of each shard that is applied.
    applied: [u64; SHARDS as usize],
    /// Ordered by number, then by name, because two replicas may assign the same number.
    jobs: Vec<(u64, JobId)>,
    /// The number of each job.
    numbers: HashMap<JobId, u64>,
    /// The greatest number that was assigned or read.
    last_number: u64,
    loaded: bool,
}

impl JobIndex {
    /// Applies the edits since the last call: 16 small reads when there are few.
    pub(crate) async fn refresh(&self, db: &Db) -> Result<(), StoreError> {
        let heads = read_heads(db, 0..SHARDS).await?;
        let (applied, loaded) = {
            let state = self.state.lock();
            (state.applied, state.loaded)
        };
        let mut outdated = Vec::new();
        for (shard, head) in (0..SHARDS).zip(&heads) {
            let applied = applied[usize::from(shard)];
            if loaded && head.seq <= applied {
                continue;
            }
            match changes_since(db, shard, applied, *head).await?.filter(|_| loaded) {
                Some(changes) => self.state.lock().apply_changes(shard, &changes),
                None => outdated.push(shard),
            }
        }
        if outdated.is_empty() && loaded {
            return Ok(());
        }
        let loads: Vec<_> = outdated.into_iter().map(|shard| load_shard(db, shard)).collect();
        let loaded: Vec<_> = futures::stream::iter(loads).buffered(CONCURRENT_READS).try_collect().await?;
        self.state.lock().replace_shards(&heads, loaded);
        Ok(())
    }

    /// Returns the names of a page of the jobs that `filter` accepts.
    pub(crate) fn page(
        &self,
        from: &ListFrom,
        limit: usize,
        filter: impl Fn(&JobId) -> bool,
    ) -> Result<Vec<JobId>, StoreError> {
        let state = self.state.lock();
        let (start, skip) = match from {
            ListFrom::Skip(skip) => (0, usize::try_from(*skip).unwrap_or(usize::MAX)),
            ListFrom::After(id) => {
                let number = *state.numbers.get(id).ok_or_else(|| StoreError::NotFound(id.into()))?;
                (state.jobs.partition_point(|(other, job)| (*other, job) <= (number, id)), 0)
            }
        };
        let names = state.jobs[start..].iter().map(|(_, job)| job).filter(|job| filter(job));
        Ok(names.skip(skip).take(limit).cloned().collect())
    }

    /// Counts the jobs that `filter` accepts.
    pub(crate) fn total(&self, filter: impl Fn(&JobId) -> bool) -> u64 {
        self.state.lock().jobs.iter().filter(|(_, job)| filter(job)).count() as u64
    }

    /// Returns the name of every job.
    pub(crate) fn names(&self) -> Vec<JobId> {
        self.state.lock().jobs.iter().map(|(_, job)| job.clone()).collect()
    }

    /// Assigns the number of a new job: the time, but greater than every known number.
    pub(crate) fn next_number(&self, now: Timestamp) -> u64 {
        let mut state = self.state.lock();
        let now = u64::try_from(now.as_nanosecond()).unwrap_or(0);
        state.last_number = now.max(state.last_number + 1);
        state.last_number
    }
}

impl JobIndexState {
    /// Applies edits of a shard, except those that are applied already.
    fn apply_changes(&mut self, shard: u8, changes: &[JobChange]) {
        for change in changes {
            let applied = self.applied[usize::from(shard)];
            if change.seq > applied {
                self.apply(change);
                self.applied[usize::from(shard)] = change.seq;
            }
        }
    }

    fn apply(&mut self, change: &JobChange) {
        match change.kind {
            ChangeKind::Created => self.insert(change.order, change.job.clone()),
            ChangeKind::Replaced => {}
            ChangeKind::Removed if self.numbers.get(&change.job) == Some(&change.order) => {
                self.remove(&change.job);
            }
            ChangeKind::Removed => {}
        }
    }

    fn insert(&mut self, number: u64, job: JobId) {
        self.remove(&job);
        let index = self.jobs.partition_point(|(other, name)| (*other, name) < (number, &job));
        self.jobs.insert(index, (number, job.clone()));
        self.numbers.insert(job, number);
        self.last_number = self.last_number.max(number);
    }

    fn remove(&mut self, job: &JobId) {
        let Some(number) = self.numbers.remove(job) else { return };
        let index = self.jobs.binary_search_by(|(other, name)| (*other, name).cmp(&(number, job)));
        self.jobs.remove(index.expect("every job with a number is in the list"));
    }

    /// Replaces the known jobs of some shards by those that were loaded.
    fn replace_shards(&mut self, heads: &[ChangeLogHead], loaded: Vec<LoadedShard>) {
        let outdated: Vec<u8> = loaded.iter().map(|loaded| loaded.shard).collect();
        self.jobs.retain(|(_, job)| !outdated.contains(&keys::shard(job)));
        for loaded in loaded {
            self.applied[usize::from(loaded.shard)] = heads[usize::from(loaded.shard)].seq;
            self.jobs.extend(loaded.jobs);
        }
        self.jobs.sort_unstable();
        self.numbers = self.jobs.iter().map(|(number, job)| (job.clone(), *number)).collect();
        self.last_number = self.last_number.max(self.jobs.last().map_or(0, |(number, _)| *number));
        self.loaded = true;
    }
}

/// The jobs of a shard as they are in the table.
struct LoadedShard {
    shard: u8,
    jobs: Vec<(u64, JobId)>,
}

/// Loads the names of a shard. The next refresh applies concurrent edits a second time, which has no effect.
async fn load_shard(db: &Db, shard: u8) -> Result<LoadedShard, StoreError> {
    let items =
        db.query_all("read the list of jobs", &PartitionQuery::of_table(keys::job_order(shard))).await?;
    let jobs = items.iter().map(|item| decode_position(db.reader(item))).collect::<Result<_, _>>()?;
    Ok(LoadedShard { shard, jobs })
}

fn decode_position(item: ItemReader<'_>) -> Result<(u64, JobId), StoreError> {
    let invalid = || item.corrupt("sk", "is not a position in the list of jobs");
    let (number, job) = item.text("sk")?.split_once('#').ok_or_else(invalid)?;
    let number = number.parse().map_err(|_| invalid())?;
    let job = JobId::new(job).map_err(|_| item.corrupt("sk", "does not name a job"))?;
    Ok((number, job))
}
