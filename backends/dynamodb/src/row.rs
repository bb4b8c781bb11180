//! Rows of the history: a decision, and its firing if it has one.

use std::collections::HashSet;

use ecs_scheduler_core::{DecisionId, DecisionRecord, Firing, JobId, JobUid, StoreError, TickOutcome};

use crate::codec::{Attribute, ItemReader, json, number, text};
use crate::firing_parts::{EncodedFiring, LIST_PARTS, PARTS, StoredParts};
use crate::keys::{self, ItemKey};
use crate::write::Write;

/// The row of a decision, with its firing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DecisionRow {
    pub(crate) record: DecisionRecord,
    pub(crate) firing: Option<Firing>,
    /// Incremented by each write.
    pub(crate) version: u64,
    /// Identifies the call that advanced the firing last.
    pub(crate) write_id: String,
    /// The items beside the row that hold parts of its firing, as they are stored.
    pub(crate) parts: StoredParts,
}

impl DecisionRow {
    /// Makes a new row.
    pub(crate) fn new(mut record: DecisionRecord, firing: Option<Firing>) -> Self {
        let firing = firing.map(|firing| Firing { decision: record.id, ..firing });
        record.firing = firing.as_ref().map(|firing| firing.id.clone());
        Self { record, firing, version: 0, write_id: String::new(), parts: StoredParts::None }
    }

    /// Decodes an item, whose firing was decoded, and beside which these items are stored.
    pub(crate) fn read(
        item: ItemReader<'_>,
        firing: Option<Firing>,
        parts: StoredParts,
    ) -> Result<Self, StoreError> {
        let job = keys::job_of(item.text("pk")?).ok_or_else(|| item.corrupt("pk", "does not name a job"))?;
        let mut draft: ecs_scheduler_core::DecisionDraft = item.json("draft")?;
        draft.outcome = item.parsed::<TickOutcome>("outcome")?;
        let record = DecisionRecord {
            id: DecisionId(item.number("n")?),
            job,
            uid: JobUid::from_uuid(item.parsed("uid")?),
            draft,
            firing: firing.as_ref().map(|firing| firing.id.clone()),
        };
        Ok(Self {
            record,
            firing,
            version: item.number("version")?,
            write_id: item.text("stamp")?.to_owned(),
            parts,
        })
    }

    /// Returns the key of the row.
    pub(crate) fn key(&self) -> ItemKey {
        ItemKey::row(&self.record.job, self.record.id)
    }

    /// Returns whether the row has an open firing.
    pub(crate) fn is_open(&self) -> bool {
        self.firing.as_ref().is_some_and(|firing| firing.state.is_open())
    }

    /// Returns the writes that create the row, and the items that lead to its firing.
    pub(crate) fn create(&self) -> Result<Vec<Write>, StoreError> {
        let DecisionRecord { id, job, uid, draft, .. } = &self.record;
        let (state, parts) = self.state_attributes(&StoredParts::None)?;
        let row = Write::create(self.key())
            .set("uid", text(uid.to_string()))
            .set("draft", json(draft)?)
            .set("r", text(keys::shard_rows(keys::shard(job))))
            .set("n", number(id.0))
            .set_all(state)
            .set_all(self.age_attributes());
        let mut writes = vec![row];
        writes.extend(parts);
        if let Some(firing) = &self.firing {
            let pointer = Write::create(ItemKey::firing(&firing.id));
            writes.push(pointer.set("job", text(job.as_str())).set("n", number(id.0)));
        }
        if self.is_open() {
            writes.push(Write::put(ItemKey::open(job, *id)).set("job", text(job.as_str())));
        }
        Ok(writes)
    }

    /// Returns the writes that advance the firing, from this row as it was read.
    pub(crate) fn advance(&self, to: &Self) -> Result<Vec<Write>, StoreError> {
        let DecisionRecord { id, job, .. } = &self.record;
        let (state, parts) = to.state_attributes(&self.parts)?;
        let stored = match self.parts {
            StoredParts::None => None,
            StoredParts::Bytes(_) => Some(PARTS),
            StoredParts::Lists(_) => Some(LIST_PARTS),
        };
        let removed = stored.filter(|stored| state.iter().all(|(name, _)| name != stored));
        let row = Write::update(self.key()).set_all(state).if_equals("version", number(self.version));
        let row =
            if to.is_open() { row.remove_attributes(&["a", "t"]) } else { row.set_all(to.age_attributes()) };
        let row = removed.into_iter().fold(row, |row, name| row.remove_attributes(&[name]));
        let mut writes = vec![row];
        writes.extend(parts);
        match (self.is_open(), to.is_open()) {
            (true, false) => writes.push(Write::delete(ItemKey::open(job, *id))),
            (false, true) => {
                writes.push(Write::put(ItemKey::open(job, *id)).set("job", text(job.as_str())));
            }
            (true, true) | (false, false) => {}
        }
        Ok(writes)
    }

    /// Returns the writes that remove the row, under the condition that it is as it was read, and the pointer to its firing.
    pub(crate) fn delete(&self) -> Vec<Write> {
        let row = Write::delete(self.key()).if_equals("version", number(self.version));
        let pointer = self.firing.as_ref().map(|firing| Write::delete(ItemKey::firing(&firing.id)));
        let parts = self.parts.deletions(&self.key(), &HashSet::new());
        std::iter::once(row).chain(pointer).chain(parts).collect()
    }

    /// Returns the attributes that an advance may change, and the writes of the items beside the row, where those of the version
    /// before are stored.
    fn state_attributes(&self, before: &StoredParts) -> Result<(Vec<Attribute>, Vec<Write>), StoreError> {
        let DecisionRecord { id, job, draft, .. } = &self.record;
        let mut attributes = vec![
            ("version", number(self.version)),
            ("stamp", text(self.write_id.as_str())),
            ("outcome", text(draft.outcome.as_str())),
            ("o", text(keys::outcome(draft.outcome, keys::shard(job)))),
        ];
        let Some(firing) = &self.firing else { return Ok((attributes, Vec::new())) };
        let encoded = EncodedFiring::new(firing, &self.key(), self.version, before)?;
        attributes.extend(encoded.attributes);
        let part = u8::try_from(id.0 % u64::from(keys::PARTS)).expect("the remainder is less than 4");
        attributes.push(("s", text(keys::state(firing.state, part))));
        Ok((attributes, encoded.parts))
    }

    /// Returns the attributes by which pruning finds the row: none while its firing is open.
    fn age_attributes(&self) -> Vec<Attribute> {
        if self.is_open() {
            return Vec::new();
        }
        let shard = keys::shard(&self.record.job);
        let observed = self.record.draft.observed.as_millisecond();
        vec![("a", text(keys::shard_rows(shard))), ("t", number(observed))]
    }
}

/// Returns the key of the row that a firing's pointer names.
pub(crate) fn row_key(pointer: ItemReader<'_>) -> Result<ItemKey, StoreError> {
    let job = JobId::new(pointer.text("job")?).map_err(|_| pointer.corrupt("job", "does not name a job"))?;
    Ok(ItemKey::row(&job, DecisionId(pointer.number("n")?)))
}
