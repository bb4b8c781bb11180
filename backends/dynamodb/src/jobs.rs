//! Jobs: a document in the Python version's table, a mark and a place in ours, changed together or not at all.

use std::num::NonZeroUsize;

use ecs_scheduler_core::{JobId, JobList, ListFrom, NewJob, Revision, StoreError, StoredJob, Timestamp};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::backoff::Patience;
use crate::change_log::{EditKind, Head, edits};
use crate::codec::text;
use crate::context::Shared;
use crate::db::Committed;
use crate::job_meta::{Mark, conflict, crowded, digest, missing};
use crate::keys::{self, JSON_DATA, Key};
use crate::read_jobs::Sound;
use crate::row::Row;
use crate::write::Write;

/// One edit on its way into the table.
struct Edit<'a> {
    shared: &'a Shared,
    job: &'a JobId,
    shard: u8,
    /// Tells this edit from any other.
    stamp: String,
    patience: Patience,
}

impl<'a> Edit<'a> {
    fn new(shared: &'a Shared, job: &'a JobId) -> Self {
        let stamp = Uuid::new_v4().simple().to_string()[..16].to_owned();
        Self { shared, job, shard: keys::shard(job), stamp, patience: Patience::for_writes() }
    }

    async fn head(&self) -> Result<Head, StoreError> {
        self.shared.head(self.shard).await
    }

    /// Writes the edit and that it was made; tells whether it is durable. If not, others were faster: look again.
    async fn commit(
        &mut self,
        head: Head,
        order: u64,
        kind: EditKind,
        mut writes: Vec<Write>,
    ) -> Result<Result<(), Vec<usize>>, StoreError> {
        let what = format!("{} job \"{}\"", kind.verb(), self.job);
        writes.extend(head.next(self.job, order, kind, &self.stamp).writes());
        let db = &self.shared.db;
        let Committed::Refused(places) = db.commit(&what, writes).await? else { return Ok(Ok(())) };
        // An answer may have been lost on the way: then the edit is among the last ones.
        let since = edits(db, self.shard, head.seq, self.head().await?).await?;
        let mine = since.iter().flatten().any(|edit| edit.stamp == self.stamp);
        Ok(if mine { Ok(()) } else { Err(places) })
    }

    async fn wait(&mut self) -> Result<(), StoreError> {
        if self.patience.wait().await { Ok(()) } else { Err(crowded(&format!("edit job \"{}\"", self.job))) }
    }
}

/// Writes a new job.
pub(crate) async fn create(shared: &Shared, new: NewJob) -> Result<StoredJob, StoreError> {
    let mut edit = Edit::new(shared, &new.id);
    let _turn = shared.edits[usize::from(edit.shard)].lock().await;
    let order = shared.directory.next_number(shared.clock.now());
    let mark = Mark::new(new.id.clone(), new.uid, order, new.document.get(), new.at);
    loop {
        let head = edit.head().await?;
        let document = Write::create(Key::document(new.id.as_str()));
        let writes = vec![
            document.set(JSON_DATA, text(new.document.get())),
            mark.create()?,
            Write::put(Key::place(&new.id, order)).set("job", text(new.id.as_str())),
        ];
        match edit.commit(head, order, EditKind::Created, writes).await? {
            Ok(()) => return Ok(mark.with(new.document)),
            Err(places) if places.contains(&0) => return Err(StoreError::Exists(new.id)),
            Err(places) => {
                if places.contains(&1) {
                    // Another program removed the document only: the job is gone, and what we know of it goes too.
                    shared.resolve(&new.id).await?;
                }
                edit.wait().await?;
            }
        }
    }
}

/// Reads a job whose revision must be the expected one.
async fn expected(shared: &Shared, job: &JobId, expected: Option<Revision>) -> Result<Sound, StoreError> {
    let sound = shared.sound(job).await?.ok_or_else(|| missing(job))?;
    if expected.is_some_and(|expected| expected != sound.mark.revision) {
        return Err(conflict(job));
    }
    Ok(sound)
}

/// Replaces the document of a job.
pub(crate) async fn replace(
    shared: &Shared,
    job: &JobId,
    revision: Revision,
    document: Box<RawValue>,
    at: Timestamp,
) -> Result<StoredJob, StoreError> {
    let mut edit = Edit::new(shared, job);
    let _turn = shared.edits[usize::from(edit.shard)].lock().await;
    loop {
        let head = edit.head().await?;
        let old = expected(shared, job, Some(revision)).await?;
        let mark = Mark {
            revision: revision.next(),
            changed: at,
            digest: digest(document.get()),
            ..old.mark.clone()
        };
        let text_of_old = text(old.document.get());
        let writes = vec![
            Write::update(Key::document(job.as_str()))
                .set(JSON_DATA, text(document.get()))
                .given(JSON_DATA, text_of_old),
            old.mark.edit(&mark),
        ];
        match edit.commit(head, mark.order, EditKind::Replaced, writes).await? {
            Ok(()) => return Ok(mark.with(document)),
            Err(_) => edit.wait().await?,
        }
    }
}

/// Removes a job. Its rows stay.
pub(crate) async fn remove(
    shared: &Shared,
    job: &JobId,
    revision: Option<Revision>,
) -> Result<(), StoreError> {
    let mut edit = Edit::new(shared, job);
    let _turn = shared.edits[usize::from(edit.shard)].lock().await;
    loop {
        let head = edit.head().await?;
        let old = expected(shared, job, revision).await?;
        let document = Write::delete(Key::document(job.as_str()));
        let mut writes = vec![document.given(JSON_DATA, text(old.document.get()))];
        writes.extend(forget(&old.mark)?);
        match edit.commit(head, old.mark.order, EditKind::Removed, writes).await? {
            Ok(()) => return Ok(()),
            Err(_) => edit.wait().await?,
        }
    }
}

/// Removes what is known of a job beside its document, and keeps its history.
pub(crate) fn forget(mark: &Mark) -> Result<Vec<Write>, StoreError> {
    let mut writes = vec![mark.delete(), Write::delete(Key::place(&mark.job, mark.order))];
    if let Some(tail) = mark.tail_record() {
        writes.extend(Row::new(tail, None).create()?);
    }
    Ok(writes)
}

/// Lists the jobs that `wanted` names.
pub(crate) async fn list(
    shared: &Shared,
    mut from: ListFrom,
    limit: NonZeroUsize,
    wanted: impl Fn(&JobId) -> bool + Send,
) -> Result<JobList, StoreError> {
    let directory = &shared.directory;
    directory.refresh(&shared.db).await?;
    let mut jobs = Vec::new();
    let mut gone = false;
    while jobs.len() < limit.get() {
        let names = directory.page(&from, limit.get() - jobs.len(), &wanted)?;
        let Some(last) = names.last().cloned() else { break };
        let found = shared.read(&names).await?;
        // Those that were removed since are left out, so a page may take more than one turn.
        gone |= found.len() < names.len();
        jobs.extend(found);
        from = ListFrom::After(last);
    }
    if gone {
        directory.refresh(&shared.db).await?;
    }
    Ok(JobList { jobs, total: directory.total(&wanted) })
}

/// Writes that another program changed a document: a new revision.
pub(crate) fn foreign_edit(mark: &Mark, document: &RawValue, at: Timestamp) -> (Mark, Vec<Write>) {
    let to =
        Mark { revision: mark.revision.next(), changed: at, digest: digest(document.get()), ..mark.clone() };
    let seen = Write::check(Key::document(mark.job.as_str())).given(JSON_DATA, text(document.get()));
    let writes = vec![seen, mark.edit(&to)];
    (to, writes)
}

/// Writes the mark and the place of a document that another program wrote.
pub(crate) fn adopt(mark: &Mark, document: &RawValue) -> Result<Vec<Write>, StoreError> {
    let seen = Write::check(Key::document(mark.job.as_str())).given(JSON_DATA, text(document.get()));
    let place = Write::put(Key::place(&mark.job, mark.order)).set("job", text(mark.job.as_str()));
    Ok(vec![seen, mark.create()?, place])
}
