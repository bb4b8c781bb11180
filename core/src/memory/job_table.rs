//! The jobs, in the order of their creation.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::job::{JobId, Revision, StoredJob};
use crate::store::{JobList, ListFrom, NewJob, Shard, StoreError};

/// Jobs by name, and their names in the order of creation.
#[derive(Debug, Default)]
pub(super) struct JobTable {
    jobs: HashMap<JobId, StoredRow>,
    /// Sorted by the number assigned at creation, so that an offset into the list is found without a scan.
    order: Vec<(u64, JobId)>,
    created: u64,
}

#[derive(Debug)]
struct StoredRow {
    number: u64,
    job: StoredJob,
}

impl JobTable {
    /// Makes a table of jobs that are in the order of their creation.
    pub(super) fn from_jobs(jobs: Vec<StoredJob>) -> Self {
        let mut table = Self::default();
        for job in jobs {
            table.put(job);
        }
        table
    }

    /// Iterates over the jobs in the order of their creation.
    pub(super) fn all(&self) -> impl Iterator<Item = &StoredJob> {
        self.order.iter().map(|(_, id)| &self.jobs[id].job)
    }

    fn put(&mut self, job: StoredJob) {
        self.created += 1;
        self.order.push((self.created, job.id.clone()));
        self.jobs.insert(job.id.clone(), StoredRow { number: self.created, job });
    }

    pub(super) fn get(&self, id: &JobId) -> Option<&StoredJob> {
        self.jobs.get(id).map(|row| &row.job)
    }

    pub(super) fn get_mut(&mut self, id: &JobId) -> Option<&mut StoredJob> {
        self.jobs.get_mut(id).map(|row| &mut row.job)
    }

    pub(super) fn create(&mut self, new: NewJob) -> Result<StoredJob, StoreError> {
        let job = StoredJob::from(new);
        self.import(job.clone())?;
        Ok(job)
    }

    /// Appends a job unchanged.
    pub(super) fn import(&mut self, job: StoredJob) -> Result<(), StoreError> {
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
        self.check_revision(id, Some(expected))?;
        let job = self.get_mut(id).expect("its revision was just read");
        job.revision = expected.next();
        job.document = document;
        job.changed = at;
        Ok(job.clone())
    }

    pub(super) fn remove(&mut self, id: &JobId, expected: Option<Revision>) -> Result<(), StoreError> {
        let number = self.check_revision(id, expected)?;
        self.jobs.remove(id);
        let index = self.index_of(number).expect("every job is in the list");
        self.order.remove(index);
        Ok(())
    }

    pub(super) fn list(&self, from: &ListFrom, limit: NonZeroUsize) -> Result<JobList, StoreError> {
        let start = match from {
            ListFrom::Skip(skip) => usize::try_from(*skip).unwrap_or(usize::MAX).min(self.order.len()),
            ListFrom::After(id) => self.index_after(id)?,
        };
        let page = self.order[start..].iter().take(limit.get());
        let jobs = page.map(|(_, id)| self.jobs[id].job.clone()).collect();
        Ok(JobList { jobs, total: self.order.len() as u64 })
    }

    /// Lists the jobs of one shard as [`Self::list`] lists all. Scans every job.
    pub(super) fn list_shard(
        &self,
        shard: Shard,
        from: &ListFrom,
        limit: NonZeroUsize,
    ) -> Result<JobList, StoreError> {
        let (start, skip) = match from {
            ListFrom::Skip(skip) => (0, usize::try_from(*skip).unwrap_or(usize::MAX)),
            ListFrom::After(id) => (self.index_after(id)?, 0),
        };
        let of_shard = |order: &&(u64, JobId)| Shard::from_job(&order.1) == shard;
        let page = self.order[start..].iter().filter(of_shard).skip(skip).take(limit.get());
        let jobs = page.map(|(_, id)| self.jobs[id].job.clone()).collect();
        Ok(JobList { jobs, total: self.order.iter().filter(of_shard).count() as u64 })
    }

    /// Returns the index of the job after this one.
    fn index_after(&self, id: &JobId) -> Result<usize, StoreError> {
        let index = self.index_of(self.check_revision(id, None)?);
        Ok(index.expect("every job is in the list") + 1)
    }

    /// Checks that a job exists and, where `expected` is given, has that revision; returns its number.
    fn check_revision(&self, id: &JobId, expected: Option<Revision>) -> Result<u64, StoreError> {
        let row = self.jobs.get(id).ok_or_else(|| StoreError::NotFound(id.into()))?;
        if expected.is_some_and(|expected| expected != row.job.revision) {
            return Err(StoreError::Conflict(id.into()));
        }
        Ok(row.number)
    }

    fn index_of(&self, number: u64) -> Option<usize> {
        self.order.binary_search_by_key(&number, |(number, _)| *number).ok()
    }
}
