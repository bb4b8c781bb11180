//! Finds jobs whose days have changed since five fields of `cron` are read as a crontab line.
//!
//! A stored job does not name the version that wrote it. The first start of a version that knows the rule therefore records the moment
//! in a register of the store: jobs that were written earlier, or before there was a register, may be those of an older version. The
//! register also records that none of them is left, so that later starts need not read all jobs.

use ecs_scheduler_core::job::{Job, JobContext, StoredJob};
use ecs_scheduler_core::store::MAX_PAGE;
use ecs_scheduler_core::{JobId, ListFrom, Store, StoreError, Timestamp, fault};
use serde::{Deserialize, Serialize};

/// The name of the register.
const REGISTER: &str = "crontab-rule";
/// The maximum number of jobs that the log names.
const MAX_NAMES: usize = 20;

/// The content of the register.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    /// When a version that knows the rule was started first.
    since: Timestamp,
    /// Whether jobs may be left whose days have changed.
    remaining: bool,
}

/// Tells which jobs an older version may have written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OlderJobs {
    /// Jobs that were written at or after this moment are not among them; without it, every job is.
    since: Option<Timestamp>,
}

impl OlderJobs {
    /// Reads the register.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read.
    pub(crate) async fn load(store: &dyn Store) -> Result<Self, StoreError> {
        Ok(Self { since: read(store).await?.0.map(|record| record.since) })
    }

    /// Describes the changed days of a job; empty if they are the same, or if this version wrote the job.
    pub(crate) fn changes(self, stored: &StoredJob, job: &Job) -> Vec<String> {
        let is_older = self.since.is_none_or(|since| stored.changed < since);
        if is_older { job.crontab_changes() } else { Vec::new() }
    }
}

/// Writes one warning to the log if there are such jobs. `now` is a moment before the start of the API.
pub(crate) async fn warn_at_start(store: &dyn Store, now: Timestamp, cx: &JobContext<'_>) {
    let found = match find(store, now, cx).await {
        Ok(found) if found.is_empty() => return,
        Ok(found) => found,
        Err(error) => {
            let error = fault::chain(&error);
            tracing::warn!(error, "could not search for jobs that the rule for crontab lines has moved");
            return;
        }
    };
    let mut names: Vec<&str> = found.iter().take(MAX_NAMES).map(JobId::as_str).collect();
    let more = found.len().saturating_sub(MAX_NAMES);
    let rest = format!("and {more} more");
    names.extend((more > 0).then_some(rest.as_str()));
    tracing::warn!(
        count = found.len(),
        jobs = names.join(", "),
        "stored jobs may fire on other days than before, because five fields of cron are a crontab line now; \
         `ecs-scheduler doctor` shows the days"
    );
}

async fn read(store: &dyn Store) -> Result<(Option<Record>, Option<u64>), StoreError> {
    let register = store.get_register(REGISTER).await?;
    let record = register.as_ref().and_then(|register| serde_json::from_str(&register.value).ok());
    Ok((record, register.map(|register| register.version)))
}

/// Writes the register; returns its version, or `None` if another replica wrote it meanwhile.
async fn write(store: &dyn Store, record: Record, version: Option<u64>) -> Result<Option<u64>, StoreError> {
    let value = serde_json::to_string(&record).expect("a record is plain data");
    match store.put_register(REGISTER, &value, version, None).await {
        Ok(version) => Ok(Some(version)),
        Err(StoreError::Conflict(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the jobs whose days have changed, in the order of their creation.
async fn find(store: &dyn Store, now: Timestamp, cx: &JobContext<'_>) -> Result<Vec<JobId>, StoreError> {
    let (known, mut version) = read(store).await?;
    let record = known.unwrap_or(Record { since: now, remaining: true });
    if !record.remaining {
        return Ok(Vec::new());
    }
    if known.is_none() {
        version = write(store, record, version).await?;
    }
    let older = OlderJobs { since: Some(record.since) };
    let (mut found, mut from) = (Vec::new(), ListFrom::Skip(0));
    loop {
        let page = match store.list(from, MAX_PAGE).await {
            Ok(page) => page.jobs,
            // The job at the end of the last page was removed meanwhile.
            Err(StoreError::NotFound(_)) => {
                (found, from) = (Vec::new(), ListFrom::Skip(0));
                continue;
            }
            Err(error) => return Err(error),
        };
        let Some(last) = page.last() else { break };
        from = ListFrom::After(last.id.clone());
        for stored in &page {
            // An invalid job is not evaluated, and is reported by itself.
            let job = stored.parse(cx).ok();
            if job.is_some_and(|job| !older.changes(stored, &job).is_empty()) {
                found.push(stored.id.clone());
            }
            tokio::task::coop::consume_budget().await;
        }
    }
    if found.is_empty() && version.is_some() {
        write(store, Record { remaining: false, ..record }, version).await?;
    }
    Ok(found)
}
