//! The newest edits of each shard.

use std::collections::VecDeque;

use crate::job::JobId;
use crate::store::{EDITS_TOLD, EditMark, EditedJobs, Shard, ShardEdits};

/// One log for each shard.
#[derive(Debug, Default)]
pub(super) struct Edits([Log; Shard::COUNT as usize]);

/// The newest edits of a shard, oldest first.
#[derive(Debug, Default)]
struct Log {
    /// How many there were in all.
    newest: u64,
    jobs: VecDeque<JobId>,
}

impl Edits {
    pub(super) fn enter(&mut self, job: &JobId) {
        let log = &mut self.0[usize::from(Shard::of(job).number())];
        log.newest += 1;
        log.jobs.push_back(job.clone());
        if log.jobs.len() > EDITS_TOLD {
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

impl Log {
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
