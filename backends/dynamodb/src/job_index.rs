//! The order of the jobs, kept in memory: read once, and brought up to date by what was edited since.

use std::collections::HashMap;

use ecs_scheduler_core::{JobId, ListFrom, StoreError, Timestamp};
use futures::{StreamExt as _, TryStreamExt as _};
use parking_lot::Mutex;

use crate::change_log::{Edit, EditKind, Head, edits, heads};
use crate::codec::Reader;
use crate::db::{Db, Query, READS};
use crate::job_meta::missing;
use crate::keys::{self, SHARDS};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Up to which edit each shard is known.
    seqs: [u64; SHARDS as usize],
    /// By place; two replicas may give the same number, so the name belongs to the place.
    order: Vec<(u64, JobId)>,
    /// The number of each job.
    numbers: HashMap<JobId, u64>,
    /// The greatest number that was given or seen.
    last: u64,
    loaded: bool,
}

impl Directory {
    /// Takes over what was edited since the last call: 16 small reads when that is little.
    pub(crate) async fn refresh(&self, db: &Db) -> Result<(), StoreError> {
        let heads = heads(db, 0..SHARDS).await?;
        let (seqs, loaded) = {
            let known = self.known.lock();
            (known.seqs, known.loaded)
        };
        let mut stale = Vec::new();
        for (shard, head) in (0..SHARDS).zip(&heads) {
            let seen = seqs[usize::from(shard)];
            if loaded && head.seq <= seen {
                continue;
            }
            match edits(db, shard, seen, *head).await?.filter(|_| loaded) {
                Some(edits) => self.known.lock().take(shard, &edits),
                None => stale.push(shard),
            }
        }
        if stale.is_empty() && loaded {
            return Ok(());
        }
        let loads: Vec<_> = stale.into_iter().map(|shard| load(db, shard)).collect();
        let loaded: Vec<_> = futures::stream::iter(loads).buffered(READS).try_collect().await?;
        self.known.lock().replace(&heads, loaded);
        Ok(())
    }

    /// Returns the names of a page of those that `wanted` names.
    pub(crate) fn page(
        &self,
        from: &ListFrom,
        limit: usize,
        wanted: impl Fn(&JobId) -> bool,
    ) -> Result<Vec<JobId>, StoreError> {
        let known = self.known.lock();
        let (start, skip) = match from {
            ListFrom::Skip(skip) => (0, usize::try_from(*skip).unwrap_or(usize::MAX)),
            ListFrom::After(id) => {
                let number = *known.numbers.get(id).ok_or_else(|| missing(id))?;
                (known.order.partition_point(|(order, job)| (*order, job) <= (number, id)), 0)
            }
        };
        let names = known.order[start..].iter().map(|(_, job)| job).filter(|job| wanted(job));
        Ok(names.skip(skip).take(limit).cloned().collect())
    }

    /// Counts the jobs that `wanted` names.
    pub(crate) fn total(&self, wanted: impl Fn(&JobId) -> bool) -> u64 {
        self.known.lock().order.iter().filter(|(_, job)| wanted(job)).count() as u64
    }

    /// Returns every job's name.
    pub(crate) fn names(&self) -> Vec<JobId> {
        self.known.lock().order.iter().map(|(_, job)| job.clone()).collect()
    }

    /// Returns the number of a new job: the time, and more than any number that was seen.
    pub(crate) fn next_number(&self, now: Timestamp) -> u64 {
        let mut known = self.known.lock();
        let now = u64::try_from(now.as_nanosecond()).unwrap_or(0);
        known.last = now.max(known.last + 1);
        known.last
    }
}

impl Known {
    /// Takes over edits of a shard that are not known yet.
    fn take(&mut self, shard: u8, edits: &[Edit]) {
        for edit in edits {
            let seen = self.seqs[usize::from(shard)];
            if edit.seq > seen {
                self.apply(edit);
                self.seqs[usize::from(shard)] = edit.seq;
            }
        }
    }

    fn apply(&mut self, edit: &Edit) {
        match edit.kind {
            EditKind::Created => self.insert(edit.order, edit.job.clone()),
            EditKind::Replaced => {}
            EditKind::Removed if self.numbers.get(&edit.job) == Some(&edit.order) => self.remove(&edit.job),
            EditKind::Removed => {}
        }
    }

    fn insert(&mut self, number: u64, job: JobId) {
        self.remove(&job);
        let place = self.order.partition_point(|(order, other)| (*order, other) < (number, &job));
        self.order.insert(place, (number, job.clone()));
        self.numbers.insert(job, number);
        self.last = self.last.max(number);
    }

    fn remove(&mut self, job: &JobId) {
        let Some(number) = self.numbers.remove(job) else { return };
        let place = self.order.binary_search_by(|(order, other)| (*order, other).cmp(&(number, job)));
        self.order.remove(place.expect("every job has a place in the order"));
    }

    /// Puts shards as they were read in the place of what was known of them.
    fn replace(&mut self, heads: &[Head], loaded: Vec<Loaded>) {
        let stale: Vec<u8> = loaded.iter().map(|loaded| loaded.shard).collect();
        self.order.retain(|(_, job)| !stale.contains(&keys::shard(job)));
        for loaded in loaded {
            self.seqs[usize::from(loaded.shard)] = heads[usize::from(loaded.shard)].seq;
            self.order.extend(loaded.places);
        }
        self.order.sort_unstable();
        self.numbers = self.order.iter().map(|(order, job)| (job.clone(), *order)).collect();
        self.last = self.last.max(self.order.last().map_or(0, |(order, _)| *order));
        self.loaded = true;
    }
}

/// A shard as it is in the table.
struct Loaded {
    shard: u8,
    places: Vec<(u64, JobId)>,
}

/// Reads the names of a shard. What is edited meanwhile is applied again by the next refresh, which does no harm.
async fn load(db: &Db, shard: u8) -> Result<Loaded, StoreError> {
    let items = db.all("read the list of jobs", &Query::of(keys::places(shard))).await?;
    let places = items.iter().map(|item| place(db.reader(item))).collect::<Result<_, _>>()?;
    Ok(Loaded { shard, places })
}

fn place(item: Reader<'_>) -> Result<(u64, JobId), StoreError> {
    let (order, job) = item.text("sk")?.split_once('#').ok_or_else(|| item.corrupt("sk", "is no place"))?;
    let order = order.parse().map_err(|_| item.corrupt("sk", "is no place"))?;
    let job = JobId::new(job).map_err(|_| item.corrupt("sk", "names no job"))?;
    Ok((order, job))
}
