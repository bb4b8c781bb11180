//! One line of JSON for each job, journal entry and register of a store.

use ecs_scheduler_core::{
    DecisionId, DecisionRecord, Firing, JobId, JobUid, JournalEntry, Progress, Revision, StoredJob, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::CommandError;

/// A job, journal entry or register of a store.
#[derive(Debug, Clone)]
pub enum TransferItem {
    /// A job with its state.
    Job(StoredJob),
    /// A decision with its firing.
    Entry(Box<JournalEntry>),
    /// A register.
    Register {
        /// Its name.
        name: String,
        /// Its value. Its version is specific to each store.
        value: String,
    },
}

/// The line of an item.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum DumpRecord {
    Job(JobRecord),
    Entry(Box<EntryRecord>),
    Register(RegisterRecord),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct JobRecord {
    id: JobId,
    uid: JobUid,
    revision: Revision,
    created: Timestamp,
    changed: Timestamp,
    progress: Progress,
    /// The text of the document as a string, so that it stays exact and has no line breaks.
    document: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EntryRecord {
    decision: DecisionRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    firing: Option<Firing>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RegisterRecord {
    name: String,
    value: String,
}

impl TransferItem {
    /// Writes the item as a line, without its end. `number` is its position among the journal's entries, from 1; it
    /// replaces the decision's id, which is specific to each store.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be written as JSON.
    pub fn to_line(&self, number: u64) -> Result<String, CommandError> {
        let line = match self.clone() {
            Self::Job(job) => DumpRecord::Job(JobRecord {
                id: job.id,
                uid: job.uid,
                revision: job.revision,
                created: job.created,
                changed: job.changed,
                progress: job.progress,
                document: job.document.get().to_owned(),
            }),
            Self::Entry(entry) => {
                let JournalEntry { record, firing } = *entry;
                let id = DecisionId(number);
                DumpRecord::Entry(Box::new(EntryRecord {
                    decision: DecisionRecord { id, ..record },
                    firing: firing.map(|firing| Firing { decision: id, ..firing }),
                }))
            }
            Self::Register { name, value } => DumpRecord::Register(RegisterRecord { name, value }),
        };
        serde_json::to_string(&line)
            .map_err(|error| CommandError::caused(format!("could not write {} as JSON", self.name()), error))
    }

    /// Reads an item from its line.
    ///
    /// # Errors
    ///
    /// Fails when it is not the line of an item.
    pub fn from_line(line: &str) -> Result<Self, serde_json::Error> {
        Ok(match serde_json::from_str(line)? {
            DumpRecord::Job(job) => Self::Job(StoredJob {
                id: job.id,
                uid: job.uid,
                revision: job.revision,
                document: serde_json::from_str::<Box<RawValue>>(&job.document)?,
                created: job.created,
                changed: job.changed,
                progress: job.progress,
            }),
            DumpRecord::Entry(entry) => {
                let EntryRecord { decision, firing } = *entry;
                if decision.firing.as_ref() != firing.as_ref().map(|firing| &firing.id) {
                    return Err(serde::de::Error::custom("the decision names a different firing"));
                }
                Self::Entry(Box::new(JournalEntry { record: decision, firing }))
            }
            DumpRecord::Register(RegisterRecord { name, value }) => Self::Register { name, value },
        })
    }

    /// Returns the name of the item for messages.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Job(job) => format!("job \"{}\"", job.id),
            Self::Entry(entry) => {
                let record = &entry.record;
                format!("the decision about job \"{}\" at {}", record.job, record.draft.span.last)
            }
            Self::Register { name, .. } => format!("register \"{name}\""),
        }
    }
}
