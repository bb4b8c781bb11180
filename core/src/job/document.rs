//! From a job's document to a [`Job`]: every invalid field is reported, all of them at once.
//!
//! ```text
//! client ──▶ prepare_create / prepare_update / prepare_patch ──▶ canonical document ──▶ store
//!                           │ read                                                       │
//!                           ▼                                                            ▼
//!                          Job ◀────────────────────────────────── Job::parse ───────────┘
//! ```
//!
//! One reader serves both ways. Client writes are read strictly ([`Strictness::Strict`]); stored documents, and the fields
//! that an update leaves unchanged, are read as the Python version reads them ([`Strictness::Lenient`]).
//!
//! Rejected: `serde` derives, because they stop at the first error, and clients of the Python version rely on its messages.

mod characters;
mod datetime;
mod duration;
mod earlier;
mod notify;
mod policy;
mod reader;
mod retry;
mod scalar;
mod schedule_fields;
mod task;
mod write;

#[cfg(test)]
mod tests;

use std::num::NonZeroU32;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Map, Value};

pub(super) use datetime::Moment;
pub use datetime::{DATETIME_FORMS, NOT_A_DATETIME};
pub use duration::{format_duration, parse_duration};
pub use earlier::{EARLIER_SCHEDULES, replacement};
pub(crate) use earlier::{Earlier, correction};
pub use notify::parse_notify;
pub use reader::impossible_labels;
pub use task::MAX_OVERRIDES;
pub use write::{MAX_DOCUMENT, Prepared, prepare_create, prepare_patch, prepare_update, strip_read_only};

use super::field_error::{FieldError, FieldPath, whole};
use super::{Job, JobId, StoredJob};
use crate::launcher::Launcher;
use crate::registry::{BuildContext, BuildRemarks, ConfigError, TriggerRegistry};
use crate::scaling::Scaling;
use crate::schedule::Strictness;
use crate::trigger::Trigger;
use reader::Reader;
use scalar::{MISSING, NULL};

/// The context for reading a document.
#[derive(Debug, Clone, Copy)]
pub struct JobContext<'a> {
    /// The installed kinds of trigger.
    pub registry: &'a TriggerRegistry,
    /// `ECSS_MAX_TASKS`: the maximum of `taskCount` and `maxCount`, and the ceiling of every job.
    pub max_tasks: NonZeroU32,
    /// How strictly to read the document.
    pub strictness: Strictness,
    /// The launcher that checks the task fields; without one they are not checked.
    pub launcher: Option<&'a dyn Launcher>,
    /// The names of the configured channels of notifications; without them, the names in `notify` are not checked.
    pub channels: Option<&'a [String]>,
}

impl Job {
    /// Makes a job of its document.
    ///
    /// A schedule that has ended is not an error: stored jobs may be loaded at any time.
    ///
    /// # Errors
    ///
    /// Fails with every invalid field.
    pub fn parse(
        id: &JobId,
        document: &Map<String, Value>,
        cx: &JobContext<'_>,
    ) -> Result<Self, Vec<FieldError>> {
        read(id, Reader::new(cx, document, None, None))
    }
}

impl StoredJob {
    /// Makes a job of a stored job. The strictness should be [`Strictness::Lenient`].
    ///
    /// # Errors
    ///
    /// Fails with every invalid field, or when the document is not a JSON object.
    pub fn parse(&self, cx: &JobContext<'_>) -> Result<Job, Vec<FieldError>> {
        let document = serde_json::from_str(self.document.get())
            .map_err(|error| vec![whole(format!("Invalid input type: {error}."))])?;
        Job::parse(&self.id, &document, cx)
    }
}

/// Reads a whole document.
fn read(id: &JobId, mut reader: Reader<'_>) -> Result<Job, Vec<FieldError>> {
    reader.check_names();
    let labels = reader.metadata();
    reader.check_characters();
    let task = Arc::new(task::read(&mut reader, id));
    let when = schedule_fields::read(&mut reader, id);
    let scaling = policy::scaling(&mut reader);
    let remarks = Mutex::default();
    let trigger = trigger(&mut reader, &when.timezone, scaling, &remarks);
    let has_ticks = match &trigger {
        TriggerField::Absent => when.is_given,
        TriggerField::Built(trigger) => when.is_given || trigger.schedule().is_some(),
        // It is unknown whether a valid trigger would provide a schedule.
        TriggerField::Invalid => true,
    };
    if !has_ticks {
        let message = if reader.was_removed("schedule") { NULL } else { MISSING };
        reader.errors.push(FieldPath::field("schedule").error(message));
    }
    let trigger = match trigger {
        TriggerField::Built(trigger) => Some(trigger),
        TriggerField::Absent | TriggerField::Invalid => None,
    };
    let policy = policy::read(&mut reader, trigger.as_deref());
    let suspension = schedule_fields::suspension(&mut reader);
    if !reader.errors.is_empty() {
        return Err(reader.errors);
    }
    let (schedule, timezone) = (when.schedule, when.timezone);
    let provided = || trigger.as_ref()?.schedule().map(|schedule| schedule.within(when.start, when.end));
    let own_ticks = schedule.clone().or_else(provided);
    let earlier = reader.earlier(id)?;
    let ticks = earlier::all_ticks(&earlier, own_ticks.clone());
    let remarks = remarks.into_inner();
    Ok(Job {
        id: id.clone(),
        task,
        schedule,
        timezone,
        scaling,
        trigger,
        policy,
        labels,
        suspension,
        earlier,
        ticks,
        own_ticks,
        remarks,
    })
}

/// The `trigger` field after reading.
enum TriggerField {
    Absent,
    Built(Arc<dyn Trigger>),
    Invalid,
}

fn trigger(
    reader: &mut Reader<'_>,
    timezone: &str,
    scaling: Scaling,
    remarks: &Mutex<BuildRemarks>,
) -> TriggerField {
    const NAME: &str = "trigger";
    let Some(value) = reader.get(NAME) else { return TriggerField::Absent };
    // The Python version calls the absence of a trigger `noop`.
    if value.get("type").and_then(Value::as_str) == Some("noop") {
        return TriggerField::Absent;
    }
    let path = FieldPath::field(NAME);
    if value.is_null() {
        reader.errors.push(path.error(NULL));
        return TriggerField::Invalid;
    }
    let cx = BuildContext::new(reader.cx.registry, timezone, scaling).with_remarks(remarks);
    match reader.cx.registry.build(value, &cx) {
        Ok(trigger) => TriggerField::Built(trigger),
        Err(error) => {
            reader.errors.push(prefix_error(&path, &error));
            TriggerField::Invalid
        }
    }
}

/// Makes a field error of a plugin's error: prefixes its pointer with the path in the document.
fn prefix_error(path: &FieldPath<'_>, error: &ConfigError) -> FieldError {
    if error.pointer.is_empty() {
        return path.error_of_whole(error.message.as_str());
    }
    let mut wrong = path.error(error.message.as_str());
    wrong.pointer.push_str(&error.pointer);
    let segments = error.pointer.split('/').skip(1);
    wrong.key.extend(segments.map(|segment| segment.replace("~1", "/").replace("~0", "~")));
    wrong
}
