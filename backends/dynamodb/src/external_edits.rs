//! At the start: which documents of the Python version's table are not known yet, and which are gone.

use std::collections::HashSet;

use ecs_scheduler_core::{JobId, StoreError};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::value::RawValue;

use crate::context::Shared;
use crate::db::{Committed, READS};
use crate::job_meta::{Mark, document};
use crate::jobs::adopt;
use crate::keys::{self, JSON_DATA, Key, SHARDS};

/// Parts in which the table is read at once.
const PARTS: i32 = 4;
/// Jobs that are taken over by one transaction: three writes each, and one for the shard.
const TOGETHER: usize = 30;

impl Shared {
    /// Compares the Python version's table with what is known.
    pub(crate) async fn take_over_all(&self) -> Result<(), StoreError> {
        self.directory.refresh(&self.db).await?;
        let scans: Vec<_> = (0..PARTS).map(|part| self.db.names(part, PARTS)).collect();
        let names: Vec<Vec<String>> =
            futures::stream::iter(scans).buffer_unordered(READS).try_collect().await?;
        let names: HashSet<String> = names.into_iter().flatten().collect();
        let known = self.directory.names();
        let gone: Vec<_> =
            known.iter().filter(|id| !names.contains(id.as_str())).map(|id| self.resolve(id)).collect();
        futures::stream::iter(gone).buffer_unordered(READS).try_collect::<()>().await?;
        let known: HashSet<&str> = known.iter().map(JobId::as_str).collect();
        let mut new: Vec<&String> = names.iter().filter(|name| !known.contains(name.as_str())).collect();
        if new.is_empty() {
            return Ok(());
        }
        new.sort_unstable();
        self.take_over_new(new).await?;
        self.directory.refresh(&self.db).await
    }

    async fn take_over_new(&self, names: Vec<&String>) -> Result<(), StoreError> {
        let mut sound = Vec::new();
        for names in names.chunks(1_000) {
            sound.extend(self.read_new(names).await?);
        }
        let count = sound.len();
        let mut shards: Vec<Vec<(Mark, Box<RawValue>)>> = (0..SHARDS).map(|_| Vec::new()).collect();
        for (mark, document) in sound {
            shards[usize::from(keys::shard(&mark.job))].push((mark, document));
        }
        let taking: Vec<_> =
            (0..SHARDS).zip(&shards).map(|(shard, jobs)| self.take_over_shard(shard, jobs)).collect();
        futures::stream::iter(taking).buffer_unordered(READS).try_collect::<()>().await?;
        if count > 0 {
            tracing::info!(jobs = count, table = self.db.jobs, "took over jobs that another program wrote");
        }
        Ok(())
    }

    /// Reads documents and makes their marks, in the order of the names; those that are no jobs are named in the log.
    async fn read_new(&self, names: &[&String]) -> Result<Vec<(Mark, Box<RawValue>)>, StoreError> {
        let mut items = self.db.get_all("read jobs", names.iter().map(|name| Key::document(name))).await?;
        let mut sound = Vec::new();
        for name in names {
            let item = items.remove(&Key::document(name)).unwrap_or_default();
            let text = item.get(JSON_DATA).and_then(document);
            match (JobId::new(name), text) {
                (Ok(id), Some(document)) => sound.push((self.adopted(&id, &document), document)),
                (Err(_), _) => {
                    tracing::warn!(
                        item = name,
                        table = self.db.jobs,
                        "no job can have this name; it is left alone"
                    );
                }
                (Ok(_), None) => {
                    tracing::warn!(
                        item = name,
                        table = self.db.jobs,
                        "its json-data is no JSON; it is left alone"
                    );
                }
            }
        }
        Ok(sound)
    }

    async fn take_over_shard(&self, shard: u8, jobs: &[(Mark, Box<RawValue>)]) -> Result<(), StoreError> {
        for some in jobs.chunks(TOGETHER) {
            let head = self.head(shard).await?;
            let mut writes = vec![head.skip(shard, some.len())];
            for (mark, document) in some {
                writes.extend(adopt(mark, document)?);
            }
            // Documents are large: what is too much for one transaction goes one by one, as does what others change.
            let weight: usize = writes.iter().map(crate::write::Write::weight).sum();
            let together = weight <= crate::limits::BYTES;
            if together && self.db.commit("take over jobs", writes).await? == Committed::Done {
                continue;
            }
            for (mark, _) in some {
                self.resolve(&mark.job).await?;
            }
        }
        Ok(())
    }
}
