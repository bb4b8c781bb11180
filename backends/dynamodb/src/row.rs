//! A decision's row, with the firing that came of it.

use ecs_scheduler_core::{DecisionId, DecisionRecord, Firing, JobId, JobUid, Outcome, StoreError};

use crate::codec::{Attribute, Reader, json, number, text};
use crate::keys::{self, Key};
use crate::write::Write;

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) record: DecisionRecord,
    pub(crate) firing: Option<Firing>,
    /// Counts what was written.
    pub(crate) version: u64,
    /// Tells who moved the firing last.
    pub(crate) stamp: String,
}

impl Row {
    /// Makes a row that is to be written.
    pub(crate) fn new(mut record: DecisionRecord, firing: Option<Firing>) -> Self {
        let firing = firing.map(|firing| Firing { decision: record.id, ..firing });
        record.firing = firing.as_ref().map(|firing| firing.id.clone());
        Self { record, firing, version: 0, stamp: String::new() }
    }

    /// Reads a row.
    pub(crate) fn read(item: Reader<'_>) -> Result<Self, StoreError> {
        let job = keys::job_of(item.text("pk")?).ok_or_else(|| item.corrupt("pk", "names no job"))?;
        let firing: Option<Firing> = item.maybe_json("firing")?;
        let mut draft: ecs_scheduler_core::DecisionDraft = item.json("draft")?;
        draft.outcome = item.parsed::<Outcome>("outcome")?;
        let record = DecisionRecord {
            id: DecisionId(item.number("n")?),
            job,
            uid: JobUid::from_uuid(item.parsed("uid")?),
            draft,
            firing: firing.as_ref().map(|firing| firing.id.clone()),
        };
        Ok(Self { record, firing, version: item.number("version")?, stamp: item.text("stamp")?.to_owned() })
    }

    /// Returns the key.
    pub(crate) fn key(&self) -> Key {
        Key::row(&self.record.job, self.record.id)
    }

    /// Tells whether its firing is open.
    pub(crate) fn is_open(&self) -> bool {
        self.firing.as_ref().is_some_and(|firing| firing.state.is_open())
    }

    /// Writes a new row, and what its firing is found by.
    pub(crate) fn create(&self) -> Result<Vec<Write>, StoreError> {
        let DecisionRecord { id, job, uid, draft, .. } = &self.record;
        let row = Write::create(self.key())
            .set("uid", text(uid.to_string()))
            .set("draft", json(draft)?)
            .set("r", text(keys::rows(keys::shard(job))))
            .set("n", number(id.0))
            .set_all(self.state()?)
            .set_all(self.age());
        let mut writes = vec![row];
        if let Some(firing) = &self.firing {
            let place = Write::create(Key::firing(&firing.id));
            writes.push(place.set("job", text(job.as_str())).set("n", number(id.0)));
        }
        if self.is_open() {
            writes.push(Write::put(Key::open(job, *id)).set("job", text(job.as_str())));
        }
        Ok(writes)
    }

    /// Writes a move of the firing: of this row, as it was read, to that one.
    pub(crate) fn advance(&self, to: &Self) -> Result<Vec<Write>, StoreError> {
        let DecisionRecord { id, job, .. } = &self.record;
        let row = Write::update(self.key()).set_all(to.state()?).given("version", number(self.version));
        let row = if to.is_open() { row.unset(&["a", "t"]) } else { row.set_all(to.age()) };
        let mut writes = vec![row];
        match (self.is_open(), to.is_open()) {
            (true, false) => writes.push(Write::delete(Key::open(job, *id))),
            (false, true) => {
                writes.push(Write::put(Key::open(job, *id)).set("job", text(job.as_str())));
            }
            (true, true) | (false, false) => {}
        }
        Ok(writes)
    }

    /// Removes the row, if nothing was written since it was read, and what its firing is found by.
    pub(crate) fn delete(&self) -> Vec<Write> {
        let row = Write::delete(self.key()).given("version", number(self.version));
        let place = self.firing.as_ref().map(|firing| Write::delete(Key::firing(&firing.id)));
        std::iter::once(row).chain(place).collect()
    }

    /// The attributes that a move may change.
    fn state(&self) -> Result<Vec<Attribute>, StoreError> {
        let DecisionRecord { id, job, draft, .. } = &self.record;
        let mut attributes = vec![
            ("version", number(self.version)),
            ("stamp", text(self.stamp.as_str())),
            ("outcome", text(draft.outcome.as_str())),
            ("o", text(keys::outcome(draft.outcome, keys::shard(job)))),
        ];
        if let Some(firing) = &self.firing {
            let part = u8::try_from(id.0 % u64::from(keys::SPREAD)).expect("it is less than 4");
            attributes.push(("firing", json(firing)?));
            attributes.push(("s", text(keys::state(firing.state, part))));
        }
        Ok(attributes)
    }

    /// The attributes by which pruning finds it: none while its firing is open.
    fn age(&self) -> Vec<Attribute> {
        if self.is_open() {
            return Vec::new();
        }
        let shard = keys::shard(&self.record.job);
        let observed = self.record.draft.observed.as_millisecond();
        vec![("a", text(keys::rows(shard))), ("t", number(observed))]
    }
}

/// Returns the key of the row that a firing's place leads to.
pub(crate) fn row_of(place: Reader<'_>) -> Result<Key, StoreError> {
    let job = JobId::new(place.text("job")?).map_err(|_| place.corrupt("job", "names no job"))?;
    Ok(Key::row(&job, DecisionId(place.number("n")?)))
}
