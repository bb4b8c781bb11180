//! What a store is opened with.

use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_backend_segments::{LogStore, LogStoreOptions, ObjectLog};
use ecs_scheduler_core::{Clock, Examination, MemoryStore, StoreError, SystemClock, fault};

use crate::bootstrap::{find, prepare};
use crate::client::Api;
use crate::cluster::Cluster;
use crate::documents::JobDocuments;
use crate::index::IndexName;
use crate::log::{JournalLog, NoLog};

/// How long a cluster is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// To connect to a node.
    pub connect: Duration,
    /// For one answer.
    pub answer: Duration,
    /// After all nodes were tried, or a node asked for fewer calls; doubled each time.
    pub pause: Duration,
    /// For one operation, all tries together.
    pub operation: Duration,
}

impl Default for Patience {
    /// 3 s to connect, 15 s for an answer, 100 ms between rounds at first, 45 s in all.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            answer: Duration::from_secs(15),
            pause: Duration::from_millis(100),
            operation: Duration::from_secs(45),
        }
    }
}

/// What a store is opened with.
#[derive(Debug, Clone)]
pub struct ElasticsearchOptions {
    /// Where it is.
    pub cluster: Cluster,
    /// The index of jobs.
    pub index: IndexName,
    /// How long it is waited for.
    pub patience: Patience,
    /// What tells the time.
    pub clock: Arc<dyn Clock>,
}

impl ElasticsearchOptions {
    /// Makes the usual options.
    #[must_use]
    pub fn new(cluster: Cluster, index: IndexName) -> Self {
        Self { cluster, index, patience: Patience::default(), clock: Arc::new(SystemClock) }
    }
}

impl ElasticsearchOptions {
    /// Opens the store: looks at the cluster, creates the indices that are missing, reads the journal and claims it.
    ///
    /// # Errors
    ///
    /// Fails with what is wrong and the remedy: nothing answers, it is of an unknown kind or version, a permission is missing,
    /// an index cannot keep what is promised, or the journal is damaged or of a newer format.
    pub async fn open(self) -> Result<LogStore, StoreError> {
        let api = Arc::new(Api::new(&self.cluster, self.patience)?);
        let indices = prepare(&api, &self.index, self.clock.now()).await?;
        let log = Arc::new(JournalLog::new(Arc::clone(&api), indices.journal));
        let documents = Arc::new(JobDocuments::new(api, indices.jobs));
        let options = LogStoreOptions { clock: self.clock, ..LogStoreOptions::default() };
        LogStore::open("elasticsearch", place(&self.index), log, documents, options).await
    }

    /// Reads what the store holds, for a command that only looks: nothing is created or written, and a scheduler that uses it
    /// goes on.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); a missing index of jobs is not created.
    pub async fn look(self) -> Result<MemoryStore, StoreError> {
        let api = Arc::new(Api::new(&self.cluster, self.patience)?);
        let (jobs, journal) = find(&api, &self.index).await?;
        let documents = JobDocuments::new(Arc::clone(&api), jobs);
        let log: Box<dyn ObjectLog> = match journal {
            Some(journal) => Box::new(JournalLog::new(api, journal)),
            None => Box::new(NoLog),
        };
        LogStore::open_read_only(place(&self.index), &*log, &documents, &*self.clock).await
    }

    /// Tries to read everything, and says what is wrong and what to do about it.
    pub async fn examine(self) -> Examination {
        let what = format!("store: {}", place(&self.index));
        match self.look().await {
            Ok(_) => Examination::fine(what),
            Err(error) => Examination::problem(what, fault::chain(&error)),
        }
    }
}

fn place(index: &IndexName) -> String {
    format!("index \"{index}\"")
}
