//! Reading jobs, and noticing what another program did to their documents.
//!
//! Document and mark are two items, read one after the other, so they may not fit although nothing is wrong: somebody
//! replaced the job in between. What does not fit is read again, and a repair is written under the condition that
//! everything is still as it was seen; so a reader that was too late repairs nothing.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use ecs_scheduler_core::{JobId, JobUid, StoreError, StoredJob};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::value::RawValue;

use crate::backoff::Patience;
use crate::change_log::EditKind;
use crate::codec::Item;
use crate::context::Shared;
use crate::db::{Committed, READS};
use crate::job_meta::{Mark, crowded, digest, document};
use crate::jobs::{adopt, foreign_edit, forget};
use crate::keys::{self, JSON_DATA, Key};
use crate::write::Write;

/// The kind of store from which the identities of the Python version's jobs are derived.
const KIND: &str = "dynamodb";

/// A job whose document is the one that its mark is about.
#[derive(Debug)]
pub(crate) struct Sound {
    pub(crate) mark: Mark,
    pub(crate) document: Box<RawValue>,
}

/// What the two items of a job say together.
enum Seen {
    /// The document is the one that the mark is about.
    Sound(Sound),
    /// There is no job.
    Nothing,
    /// Another program wrote a document, or changed it.
    Foreign(Option<Mark>, Box<RawValue>),
    /// Another program removed the document, or made it something that is not JSON.
    Lost(Mark, Option<AttributeValue>),
}

impl Shared {
    /// Reads the named jobs that exist, in the order of the names.
    pub(crate) async fn read(&self, ids: &[JobId]) -> Result<Vec<StoredJob>, StoreError> {
        let keys = ids.iter().flat_map(|id| [Key::document(id.as_str()), Key::mark(id)]);
        let items = self.db.get_all("read jobs", keys).await?;
        let mut found: HashMap<&JobId, StoredJob> = HashMap::with_capacity(ids.len());
        let mut odd = Vec::new();
        for id in ids {
            match self.see(id, &items)? {
                Seen::Sound(sound) => drop(found.insert(id, sound.mark.with(sound.document))),
                Seen::Nothing => {}
                Seen::Foreign(..) | Seen::Lost(..) => odd.push(id),
            }
        }
        let resolving: Vec<_> = odd
            .into_iter()
            .map(|id| async move { Ok::<_, StoreError>((id, self.sound(id).await?)) })
            .collect();
        let resolved: Vec<(&JobId, Option<Sound>)> =
            futures::stream::iter(resolving).buffer_unordered(READS).try_collect().await?;
        let resolved = resolved.into_iter().filter_map(|(id, sound)| Some((id, sound?)));
        found.extend(resolved.map(|(id, sound)| (id, sound.mark.with(sound.document))));
        Ok(ids.iter().filter_map(|id| found.get(id).cloned()).collect())
    }

    /// Reads a job, after another program's edit is taken over if there was one.
    pub(crate) async fn sound(&self, id: &JobId) -> Result<Option<Sound>, StoreError> {
        let mut patience = Patience::for_reads();
        loop {
            let items = self.db.get_all("read a job", [Key::document(id.as_str()), Key::mark(id)]).await?;
            match self.see(id, &items)? {
                Seen::Sound(sound) => return Ok(Some(sound)),
                Seen::Nothing => return Ok(None),
                Seen::Foreign(mark, document) => {
                    if let Some(sound) = self.take_over(id, mark, document).await? {
                        return Ok(Some(sound));
                    }
                }
                Seen::Lost(mark, value) => {
                    if self.let_go(&mark, value).await? {
                        return Ok(None);
                    }
                }
            }
            if !patience.wait().await {
                return Err(crowded(&format!("read job \"{id}\"")));
            }
        }
    }

    /// Takes over what another program did to a job, if it did something.
    pub(crate) async fn resolve(&self, id: &JobId) -> Result<(), StoreError> {
        self.sound(id).await.map(drop)
    }

    fn see(&self, id: &JobId, items: &HashMap<Key, Item>) -> Result<Seen, StoreError> {
        let stored = items.get(&Key::document(id.as_str()));
        let value = stored.and_then(|item| item.get(JSON_DATA));
        let mark = items.get(&Key::mark(id)).map(|item| Mark::read(self.db.reader(item))).transpose()?;
        Ok(match (value.and_then(document), mark) {
            (None, None) => Seen::Nothing,
            (None, Some(mark)) => Seen::Lost(mark, value.cloned()),
            (Some(document), Some(mark)) if digest(document.get()) == mark.digest => {
                Seen::Sound(Sound { mark, document })
            }
            (Some(document), mark) => Seen::Foreign(mark, document),
        })
    }

    /// Takes over a document that another program wrote; nothing when it was too late for that.
    async fn take_over(
        &self,
        id: &JobId,
        mark: Option<Mark>,
        document: Box<RawValue>,
    ) -> Result<Option<Sound>, StoreError> {
        let now = self.clock.now();
        let (mark, kind, writes) = match mark {
            Some(mark) => {
                let (mark, writes) = foreign_edit(&mark, &document, now);
                (mark, EditKind::Replaced, writes)
            }
            None => {
                let mark = self.adopted(id, &document);
                let writes = adopt(&mark, &document)?;
                (mark, EditKind::Created, writes)
            }
        };
        let done = self.repair(&mark, kind, writes).await?;
        if done {
            tracing::info!(job = %id, revision = mark.revision.0, "another program wrote this job; it was taken over");
        }
        Ok(done.then_some(Sound { mark, document }))
    }

    /// Makes the mark of a document that another program wrote.
    pub(crate) fn adopted(&self, id: &JobId, document: &RawValue) -> Mark {
        let now = self.clock.now();
        let order = self.directory.next_number(now);
        Mark::new(id.clone(), JobUid::derived(KIND, id), order, document.get(), now)
    }

    /// Forgets a job whose document another program removed or broke; tells whether it was not too late for that.
    async fn let_go(&self, mark: &Mark, broken: Option<AttributeValue>) -> Result<bool, StoreError> {
        let seen = Write::check(Key::document(mark.job.as_str()));
        let seen = match &broken {
            Some(value) => seen.given(JSON_DATA, value.clone()),
            None => seen.absent(JSON_DATA),
        };
        let mut writes = vec![seen];
        writes.extend(forget(mark)?);
        let done = self.repair(mark, EditKind::Removed, writes).await?;
        if done {
            let what = if broken.is_some() { "is no JSON any more" } else { "is gone" };
            tracing::warn!(job = %mark.job, "another program changed this job: its document {what}");
        }
        Ok(done)
    }

    async fn repair(&self, mark: &Mark, kind: EditKind, mut writes: Vec<Write>) -> Result<bool, StoreError> {
        let head = self.head(keys::shard(&mark.job)).await?;
        writes.extend(head.next(&mark.job, mark.order, kind, "foreign").writes());
        Ok(self.db.commit("take over a job", writes).await? == Committed::Done)
    }
}
