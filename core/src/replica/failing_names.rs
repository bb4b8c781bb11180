//! The names of failing jobs that other replicas own, as the store has them.

use std::collections::BTreeSet;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::ReplicaInner;
use crate::engine::{FAILING_JOBS, names_of_register};
use crate::job::JobId;
use crate::store::answer_within;

/// How long names that were read are used.
const MAX_AGE: Duration = Duration::from_secs(5);

/// The names that were read last.
#[derive(Debug, Default)]
pub(super) struct FailingNames(Mutex<NamesRead>);

#[derive(Debug, Default)]
struct NamesRead {
    /// When the newest read began; absent before the first one.
    at: Option<Instant>,
    names: BTreeSet<JobId>,
}

impl FailingNames {
    pub(super) fn contains(&self, job: &JobId) -> bool {
        self.0.lock().names.contains(job)
    }

    /// Begins a read, unless one began shortly before.
    fn begin_read(&self) -> bool {
        let (mut read, now) = (self.0.lock(), Instant::now());
        let is_due = read.at.is_none_or(|at| now.duration_since(at) >= MAX_AGE);
        if is_due {
            read.at = Some(now);
        }
        is_due
    }
}

impl ReplicaInner {
    /// Reads the names from the store, unless they were read shortly before. A failed read leaves them as they are.
    pub(super) async fn refresh_failing_names(&self) {
        if !self.failing_names.begin_read() {
            return;
        }
        let read = self.store.registers(FAILING_JOBS);
        if let Ok(registers) = answer_within(self.options.timing.store_timeout, read).await {
            let names = registers.iter().flat_map(|(_, register)| names_of_register(&register.value));
            self.failing_names.0.lock().names = names.collect();
        }
    }
}
