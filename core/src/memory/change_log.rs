//! The newest job edits of each shard, for `SharedStore::edits`.

use std::collections::VecDeque;

use crate::job::JobId;
use crate::store::{EditMark, EditedJobs, MIN_CHANGELOG, Shard, ShardEdits};

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
        let log = &mut self.0[usize::from(Shard::of(job).number())];
        log.newest += 1;
        log.jobs.push_back(job.clone());
        if log.jobs.len() > MIN_CHANGELOG {
            log.jobs.pop_front();
        }
    }

    pub(super) fn since(&self, marks: &[(Shard, EditMark)]) -> Vec<ShardEdits> {
        let edited = |(shard, mark): &(Shard, EditMark)| {
            let log = &self.0[usize::from(shard.number())];
            let jobs = log.since(*mark)?;
            Some(ShardEdits { shard: *shard, mark: EditMark(log.newest), jobs })
        };
        marks.iter().filter_map(edited).collect()
    }
}

impl ShardLog {
    fn since(&self, mark: EditMark) -> Option<EditedJobs> {
        let Some(missed) = self.newest.checked_sub(mark.0) else { return Some(EditedJobs::Unknown) };
        let Ok(missed) = usize::try_from(missed) else { return Some(EditedJobs::Unknown) };
        match self.jobs.len().checked_sub(missed) {
            _ if missed == 0 => None,
            None => Some(EditedJobs::Unknown),
            Some(known) => Some(EditedJobs::These(self.jobs.iter().skip(known).cloned().collect())),
        }
    }
}
