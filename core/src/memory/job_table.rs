//! The jobs, in the order of their creation.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::job::{JobId, Progress, Revision, StoredJob};
use crate::store::{JobList, ListFrom, NewJob, Shard, StoreError};

/// Jobs by name, and their names by age.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    jobs: HashMap<JobId, Slot>,
    /// Sorted by the number given at creation, so that any place of the list is found at once.
    order: Vec<(u64, JobId)>,
    created: u64,
}

#[derive(Debug)]
struct Slot {
    number: u64,
    job: StoredJob,
}

impl Shelf {
    /// Takes up jobs in the order of their creation.
    pub(super) fn of(jobs: Vec<StoredJob>) -> Self {
        let mut shelf = Self::default();
        for job in jobs {
            shelf.put(job);
        }
        shelf
    }

    /// Walks the jobs in the order of their creation.
    pub(super) fn all(&self) -> impl Iterator<Item = &StoredJob> {
        self.order.iter().map(|(_, id)| &self.jobs[id].job)
    }

    fn put(&mut self, job: StoredJob) {
        self.created += 1;
        self.order.push((self.created, job.id.clone()));
        self.jobs.insert(job.id.clone(), Slot { number: self.created, job });
    }

    pub(super) fn get(&self, id: &JobId) -> Option<&StoredJob> {
        self.jobs.get(id).map(|slot| &slot.job)
    }

    pub(super) fn get_mut(&mut self, id: &JobId) -> Option<&mut StoredJob> {
        self.jobs.get_mut(id).map(|slot| &mut slot.job)
    }

    pub(super) fn create(&mut self, new: NewJob) -> Result<StoredJob, StoreError> {
        let job = StoredJob {
            id: new.id,
            uid: new.uid,
            revision: Revision::FIRST,
            document: new.document,
            created: new.at,
            changed: new.at,
            progress: Progress::default(),
        };
        self.adopt(job.clone())?;
        Ok(job)
    }

    /// Puts a job at the end of the list as it is.
    pub(super) fn adopt(&mut self, job: StoredJob) -> Result<(), StoreError> {
        if self.jobs.contains_key(&job.id) {
            return Err(StoreError::Exists(job.id));
        }
        self.put(job);
        Ok(())
    }

    pub(super) fn replace(
        &mut self,
        id: &JobId,
        expected: Revision,
        document: Box<RawValue>,
        at: Timestamp,
    ) -> Result<StoredJob, StoreError> {
        self.of_revision(id, Some(expected))?;
        let job = self.get_mut(id).expect("its revision was just read");
        job.revision = expected.next();
        job.document = document;
        job.changed = at;
        Ok(job.clone())
    }

    pub(super) fn remove(&mut self, id: &JobId, expected: Option<Revision>) -> Result<(), StoreError> {
        let number = self.of_revision(id, expected)?;
        self.jobs.remove(id);
        let place = self.place(number).expect("every job has a place in the list");
        self.order.remove(place);
        Ok(())
    }

    pub(super) fn list(&self, from: &ListFrom, limit: NonZeroUsize) -> Result<JobList, StoreError> {
        let start = match from {
            ListFrom::Skip(skip) => usize::try_from(*skip).unwrap_or(usize::MAX).min(self.order.len()),
            ListFrom::After(id) => self.behind(id)?,
        };
        let page = self.order[start..].iter().take(limit.get());
        let jobs = page.map(|(_, id)| self.jobs[id].job.clone()).collect();
        Ok(JobList { jobs, total: self.order.len() as u64 })
    }

    /// Lists as [`Self::list`] does, of one shard only. It walks all jobs.
    pub(super) fn list_shard(
        &self,
        shard: Shard,
        from: &ListFrom,
        limit: NonZeroUsize,
    ) -> Result<JobList, StoreError> {
        let (start, skip) = match from {
            ListFrom::Skip(skip) => (0, usize::try_from(*skip).unwrap_or(usize::MAX)),
            ListFrom::After(id) => (self.behind(id)?, 0),
        };
        let of_shard = |order: &&(u64, JobId)| Shard::of(&order.1) == shard;
        let page = self.order[start..].iter().filter(of_shard).skip(skip).take(limit.get());
        let jobs = page.map(|(_, id)| self.jobs[id].job.clone()).collect();
        Ok(JobList { jobs, total: self.order.iter().filter(of_shard).count() as u64 })
    }

    /// Returns the place behind a job.
    fn behind(&self, id: &JobId) -> Result<usize, StoreError> {
        let place = self.place(self.of_revision(id, None)?);
        Ok(place.expect("every job has a place in the list") + 1)
    }

    /// Returns the number of a job whose revision is `expected`, where one is.
    fn of_revision(&self, id: &JobId, expected: Option<Revision>) -> Result<u64, StoreError> {
        let slot = self.jobs.get(id).ok_or_else(|| StoreError::NotFound(format!("job \"{id}\"")))?;
        if expected.is_some_and(|expected| expected != slot.job.revision) {
            return Err(StoreError::Conflict(format!("job \"{id}\"")));
        }
        Ok(slot.number)
    }

    fn place(&self, number: u64) -> Option<usize> {
        self.order.binary_search_by_key(&number, |(number, _)| *number).ok()
    }
}
