//! Reconciliation at the start: compares the Python version's table with the known jobs.

use std::collections::HashSet;

use ecs_scheduler_core::{JobId, StoreError};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::value::RawValue;

use crate::context::StoreContext;
use crate::db::{CONCURRENT_READS, Committed};
use crate::job_meta::{JobMeta, document};
use crate::job_state::{check_document, creation_writes};
use crate::keys::{self, ItemKey, JSON_DATA, SHARDS};
use crate::limits::MAX_BYTES;
use crate::write::Write;

/// Segments of the table that are scanned at the same time.
const SCAN_SEGMENTS: i32 = 4;
/// Documents that are read before their jobs are made.
const DOCUMENTS_PER_READ: usize = 1_000;
/// Jobs that one transaction adds: three writes each, and one for the shard.
const JOBS_PER_TRANSACTION: usize = 30;

impl StoreContext {
    /// Records which documents another program created or removed. Edits of known documents are found when they are read.
    pub(crate) async fn reconcile_external_edits(&self) -> Result<(), StoreError> {
        self.job_index.refresh(&self.db).await?;
        let scans: Vec<_> =
            (0..SCAN_SEGMENTS).map(|segment| self.db.scan_job_names(segment, SCAN_SEGMENTS)).collect();
        let names: Vec<Vec<String>> =
            futures::stream::iter(scans).buffer_unordered(CONCURRENT_READS).try_collect().await?;
        let names: HashSet<String> = names.into_iter().flatten().collect();
        let known = self.job_index.names();
        let removed: Vec<_> =
            known.iter().filter(|id| !names.contains(id.as_str())).map(|id| self.reconcile(id)).collect();
        futures::stream::iter(removed).buffer_unordered(CONCURRENT_READS).try_collect::<()>().await?;
        let known: HashSet<&str> = known.iter().map(JobId::as_str).collect();
        let mut new: Vec<&String> = names.iter().filter(|name| !known.contains(name.as_str())).collect();
        if new.is_empty() {
            return Ok(());
        }
        new.sort_unstable();
        self.add_external_jobs(new).await?;
        self.job_index.refresh(&self.db).await
    }

    async fn add_external_jobs(&self, names: Vec<&String>) -> Result<(), StoreError> {
        let mut added = Vec::new();
        for names in names.chunks(DOCUMENTS_PER_READ) {
            added.extend(self.read_external_documents(names).await?);
        }
        let count = added.len();
        let mut shards: Vec<Vec<(JobMeta, Box<RawValue>)>> = (0..SHARDS).map(|_| Vec::new()).collect();
        for (meta, document) in added {
            shards[usize::from(keys::shard(&meta.job))].push((meta, document));
        }
        let additions: Vec<_> =
            (0..SHARDS).zip(&shards).map(|(shard, jobs)| self.add_external_jobs_of(shard, jobs)).collect();
        futures::stream::iter(additions).buffer_unordered(CONCURRENT_READS).try_collect::<()>().await?;
        if count > 0 {
            tracing::info!(jobs = count, table = self.db.jobs, "imported jobs that another program wrote");
        }
        Ok(())
    }

    /// Reads documents and makes their metadata, in the order of the names. Items that are not jobs are skipped with a warning.
    async fn read_external_documents(
        &self,
        names: &[&String],
    ) -> Result<Vec<(JobMeta, Box<RawValue>)>, StoreError> {
        let mut items =
            self.db.get_all("read jobs", names.iter().map(|name| ItemKey::document(name))).await?;
        let mut jobs = Vec::new();
        for name in names {
            let item = items.remove(&ItemKey::document(name)).unwrap_or_default();
            let text = item.get(JSON_DATA).and_then(document);
            match (JobId::new(name), text) {
                (Ok(id), Some(document)) => jobs.push((self.new_external_meta(&id, &document), document)),
                (Err(_), _) => {
                    tracing::warn!(
                        item = name,
                        table = self.db.jobs,
                        "skipped an item: its name is not a valid job name"
                    );
                }
                (Ok(_), None) => {
                    tracing::warn!(
                        item = name,
                        table = self.db.jobs,
                        "skipped an item: its json-data is not JSON"
                    );
                }
            }
        }
        Ok(jobs)
    }

    async fn add_external_jobs_of(
        &self,
        shard: u8,
        jobs: &[(JobMeta, Box<RawValue>)],
    ) -> Result<(), StoreError> {
        for batch in jobs.chunks(JOBS_PER_TRANSACTION) {
            let head = self.change_log_head(shard).await?;
            let mut writes = vec![head.skip_entries(shard, batch.len())];
            for (meta, document) in batch {
                writes.extend(creation_writes(meta, check_document(meta, document))?);
            }
            // A batch that is too large for one transaction, or that met other writers, is written job by job.
            let size: usize = writes.iter().map(Write::size).sum();
            if size <= MAX_BYTES && self.db.commit("import jobs", writes).await? == Committed::Done {
                continue;
            }
            for (meta, _) in batch {
                self.reconcile(&meta.job).await?;
            }
        }
        Ok(())
    }
}
