//! The newest job edits of each shard, for `SharedStore::edits`.

use std::collections::VecDeque;

use crate::job::JobId;
use crate::store::{ChangeCursor, ChangedJobs, MIN_CHANGELOG, Shard, ShardChanges};

/// The change log of every shard.
#[derive(Debug, Default)]
pub(super) struct ChangeLog([ShardLog; Shard::COUNT as usize]);

/// The newest edits of a shard, oldest first.
#[derive(Debug, Default)]
struct ShardLog {
    /// How many edits there were in all, dropped ones included.
    newest: u64,
    jobs: VecDeque<JobId>,
}

impl ChangeLog {
    pub(super) fn record(&mut self, job: &JobId) {
        let log = &mut self.0[usize::from(Shard::from_job(job).number())];
        log.newest += 1;
        log.jobs.push_back(job.clone());
        if log.jobs.len() > MIN_CHANGELOG {
            log.jobs.pop_front();
        }
    }

    pub(super) fn since(&self, marks: &[(Shard, ChangeCursor)]) -> Vec<ShardChanges> {
        let edited = |(shard, mark): &(Shard, ChangeCursor)| {
            let log = &self.0[usize::from(shard.number())];
            let jobs = log.since(*mark)?;
            Some(ShardChanges { shard: *shard, cursor: ChangeCursor(log.newest), jobs })
        };
        marks.iter().filter_map(edited).collect()
    }
}

impl ShardLog {
    fn since(&self, mark: ChangeCursor) -> Option<ChangedJobs> {
        let Some(missed) = self.newest.checked_sub(mark.0) else { return Some(ChangedJobs::Unknown) };
        let Ok(missed) = usize::try_from(missed) else { return Some(ChangedJobs::Unknown) };
        match self.jobs.len().checked_sub(missed) {
            _ if missed == 0 => None,
            None => Some(ChangedJobs::Unknown),
            Some(known) => Some(ChangedJobs::Jobs(self.jobs.iter().skip(known).cloned().collect())),
        }
    }
}
