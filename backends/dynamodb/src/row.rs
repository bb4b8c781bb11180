//! Rows of the history: a decision, and its firing if it has one.

use ecs_scheduler_core::{DecisionId, DecisionRecord, Firing, JobId, JobUid, StoreError, TickOutcome};

use crate::codec::{Attribute, ItemReader, json, number, text};
use crate::firing_parts::{FiringParts, PARTS, deletions};
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
    /// The number of items beside the row that hold a part of its firing, as they are stored.
    pub(crate) parts: usize,
}

impl DecisionRow {
    /// Makes a new row.
    pub(crate) fn new(mut record: DecisionRecord, firing: Option<Firing>) -> Self {
        let firing = firing.map(|firing| Firing { decision: record.id, ..firing });
        record.firing = firing.as_ref().map(|firing| firing.id.clone());
        Self { record, firing, version: 0, write_id: String::new(), parts: 0 }
    }

    /// Decodes an item. `rest` has the further parts of its firing.
    pub(crate) fn read(item: ItemReader<'_>, rest: &[u8]) -> Result<Self, StoreError> {
        let job = keys::job_of(item.text("pk")?).ok_or_else(|| item.corrupt("pk", "does not name a job"))?;
        let firing: Option<Firing> = if rest.is_empty() {
            item.optional_json("firing")?
        } else {
            Some(item.compressed_json("firing", &[item.bytes("firing")?, rest].concat())?)
        };
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
            parts: item.optional_number(PARTS)?.unwrap_or_default(),
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
        let (state, parts) = self.state_attributes(0)?;
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
        let (state, parts) = to.state_attributes(self.parts)?;
        let has_parts = state.iter().any(|(name, _)| *name == PARTS);
        let row = Write::update(self.key()).set_all(state).if_equals("version", number(self.version));
        let row =
            if to.is_open() { row.remove_attributes(&["a", "t"]) } else { row.set_all(to.age_attributes()) };
        let row = if self.parts > 0 && !has_parts { row.remove_attributes(&[PARTS]) } else { row };
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
        std::iter::once(row).chain(pointer).chain(deletions(&self.key(), 0..self.parts)).collect()
    }

    /// Returns the attributes that an advance may change, and the writes of the further parts of the firing, which had `before` of
    /// them.
    fn state_attributes(&self, before: usize) -> Result<(Vec<Attribute>, Vec<Write>), StoreError> {
        let DecisionRecord { id, job, draft, .. } = &self.record;
        let mut attributes = vec![
            ("version", number(self.version)),
            ("stamp", text(self.write_id.as_str())),
            ("outcome", text(draft.outcome.as_str())),
            ("o", text(keys::outcome(draft.outcome, keys::shard(job)))),
        ];
        let Some(firing) = &self.firing else { return Ok((attributes, Vec::new())) };
        let parts = FiringParts::encode(firing)?;
        if !parts.rest.is_empty() {
            attributes.push((PARTS, number(parts.rest.len())));
        }
        let part = u8::try_from(id.0 % u64::from(keys::PARTS)).expect("the remainder is less than 4");
        attributes.push(("firing", parts.first.clone()));
        attributes.push(("s", text(keys::state(firing.state, part))));
        Ok((attributes, parts.writes(&self.key(), self.version, before)))
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
