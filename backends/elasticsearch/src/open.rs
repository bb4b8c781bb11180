//! Opening a store: options, and opening for writing, for reading or for a check.

use std::sync::Arc;

use ecs_scheduler_backend_log_store::{LogStore, LogStoreOptions, ObjectLog};
use ecs_scheduler_core::{CheckResult, Clock, MemoryStore, StoreError, SystemClock, fault};

use crate::client::RestClient;
use crate::cluster::Cluster;
use crate::documents::JobDocuments;
use crate::index::IndexName;
use crate::log::{EmptyLog, JournalLog};
use crate::schema::{locate_indices, prepare_indices};
use crate::timeouts::ClusterTimeouts;

/// The kind of the store, for lists and logs.
pub(crate) const KIND: &str = "elasticsearch";

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct ElasticsearchOptions {
    /// The cluster's addresses and credentials.
    pub cluster: Cluster,
    /// The index of jobs.
    pub index: IndexName,
    /// The timeouts of calls.
    pub timeouts: ClusterTimeouts,
    /// The source of time.
    pub clock: Arc<dyn Clock>,
}

impl ElasticsearchOptions {
    /// Makes options with the default timeouts and the system's clock.
    #[must_use]
    pub fn new(cluster: Cluster, index: IndexName) -> Self {
        Self { cluster, index, timeouts: ClusterTimeouts::default(), clock: Arc::new(SystemClock) }
    }

    /// Opens the store: checks the cluster, creates missing indices, reads the journal and becomes its only writer.
    ///
    /// # Errors
    ///
    /// Fails with the problem and the remedy: no node answers, product or version are not supported, a permission is
    /// missing, an index can lose writes, or the journal is damaged or of a newer format.
    pub async fn open(self) -> Result<LogStore, StoreError> {
        let client = Arc::new(RestClient::new(&self.cluster, self.timeouts)?);
        let indices = prepare_indices(&client, &self.index, self.clock.now()).await?;
        let log = Arc::new(JournalLog::new(Arc::clone(&client), indices.journal));
        let documents = Arc::new(JobDocuments::new(client, indices.jobs));
        let options = LogStoreOptions { clock: self.clock, ..LogStoreOptions::default() };
        LogStore::open(KIND, display_name(&self.index), log, documents, options).await
    }

    /// Reads the content of the store, for a command that only reads: it creates and writes nothing, and does not disturb a
    /// running scheduler.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and when there is no index of jobs.
    pub async fn open_read_only(self) -> Result<MemoryStore, StoreError> {
        let client = Arc::new(RestClient::new(&self.cluster, self.timeouts)?);
        let (jobs, journal) = locate_indices(&client, &self.index).await?;
        let documents = JobDocuments::new(Arc::clone(&client), jobs);
        let log: Box<dyn ObjectLog> = match journal {
            Some(journal) => Box::new(JournalLog::new(client, journal)),
            None => Box::new(EmptyLog),
        };
        LogStore::open_read_only(display_name(&self.index), &*log, &documents, &*self.clock).await
    }

    /// Checks the store by reading all of it, and reports a problem with its remedy.
    pub async fn diagnose(self) -> CheckResult {
        let subject = format!("store: {}", display_name(&self.index));
        match self.open_read_only().await {
            Ok(_) => CheckResult::passed(subject),
            Err(error) => CheckResult::failed(subject, fault::chain(&error)),
        }
    }
}

fn display_name(index: &IndexName) -> String {
    format!("index \"{index}\"")
}
