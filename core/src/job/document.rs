//! From a job's document to a [`Job`]: every wrong field is named, all of them at once.
//!
//! ```text
//! client ──▶ prepare_create / prepare_update / prepare_patch ──▶ canonical document ──▶ store
//!                           │ read                                                       │
//!                           ▼                                                            ▼
//!                          Job ◀────────────────────────────────── Job::parse ───────────┘
//! ```
//!
//! One reader serves both ways. What a client writes is taken strictly ([`Dialect::Written`]); what a store holds, and
//! what an update leaves as it is, is taken as the Python version took it ([`Dialect::Stored`]).
//!
//! `serde` derives were not used: they stop at the first error, and the Python version's clients know its messages.

mod characters;
mod datetime;
mod duration;
mod error;
mod policy;
mod reader;
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
pub use duration::{format_duration, parse_duration};
pub use error::{FieldError, messages};
pub use task::MAX_OVERRIDES;
pub use write::{MAX_DOCUMENT, Prepared, prepare_create, prepare_patch, prepare_update, strip_read_only};

use super::{Job, JobId, StoredJob, earlier};
use crate::launcher::Launcher;
use crate::registry::{BuildContext, ConfigError, Told, TriggerRegistry};
use crate::scaling::Scaling;
use crate::schedule::Dialect;
use crate::trigger::Trigger;
pub(super) use error::Place;
use error::whole;
use reader::Reader;
use scalar::{MISSING, NULL};

/// What a document is read against.
#[derive(Debug, Clone, Copy)]
pub struct JobContext<'a> {
    /// The installed kinds of trigger.
    pub registry: &'a TriggerRegistry,
    /// `ECSS_MAX_TASKS`: the highest `taskCount` and `maxCount`, and the ceiling of every job.
    pub max_tasks: NonZeroU32,
    /// How strictly to take the document.
    pub dialect: Dialect,
    /// Checks what the job gives the launcher; nothing is checked without one.
    pub launcher: Option<&'a dyn Launcher>,
}

impl Job {
    /// Makes a job of its document.
    ///
    /// Schedules that have ended are fine: they may be loaded any time.
    ///
    /// # Errors
    ///
    /// Fails with every field that is wrong.
    pub fn parse(
        id: &JobId,
        document: &Map<String, Value>,
        cx: &JobContext<'_>,
    ) -> Result<Self, Vec<FieldError>> {
        read(id, Reader::new(cx, document, None, None))
    }
}

impl StoredJob {
    /// Makes a job of what a store holds. The dialect should be [`Dialect::Stored`].
    ///
    /// # Errors
    ///
    /// Fails with every field that is wrong, or when the document is not a JSON object.
    pub fn parse(&self, cx: &JobContext<'_>) -> Result<Job, Vec<FieldError>> {
        let document = serde_json::from_str(self.document.get())
            .map_err(|error| vec![whole(format!("Invalid input type: {error}."))])?;
        Job::parse(&self.id, &document, cx)
    }
}

/// Reads a whole document.
fn read(id: &JobId, mut reader: Reader<'_>) -> Result<Job, Vec<FieldError>> {
    reader.check_names();
    reader.check_notes();
    reader.check_characters();
    let task = Arc::new(task::read(&mut reader, id));
    let when = schedule_fields::read(&mut reader, id);
    let scaling = policy::scaling(&mut reader);
    let told = Mutex::default();
    let trigger = trigger(&mut reader, &when.timezone, scaling, &told);
    let has_ticks = match &trigger {
        Built::None => when.is_given,
        Built::Trigger(trigger) => when.is_given || trigger.schedule().is_some(),
        // Whether it would have brought ticks cannot be told.
        Built::Wrong => true,
    };
    if !has_ticks {
        let message = if reader.was_removed("schedule") { NULL } else { MISSING };
        reader.errors.push(Place::field("schedule").error(message));
    }
    let trigger = match trigger {
        Built::Trigger(trigger) => Some(trigger),
        Built::None | Built::Wrong => None,
    };
    let policy = policy::read(&mut reader, trigger.as_deref());
    let suspension = schedule_fields::suspension(&mut reader);
    if !reader.errors.is_empty() {
        return Err(reader.errors);
    }
    let (schedule, timezone) = (when.schedule, when.timezone);
    let brought = || trigger.as_ref()?.schedule().map(|schedule| schedule.within(when.start, when.end));
    let ticks = schedule.clone().or_else(brought);
    let earlier = reader.earlier(id)?;
    let ticks = earlier::all_ticks(&earlier, ticks);
    let told = told.into_inner();
    Ok(Job {
        id: id.clone(),
        task,
        schedule,
        timezone,
        scaling,
        trigger,
        policy,
        suspension,
        earlier,
        ticks,
        told,
    })
}

/// What became of the `trigger` field.
enum Built {
    None,
    Trigger(Arc<dyn Trigger>),
    Wrong,
}

fn trigger(reader: &mut Reader<'_>, timezone: &str, scaling: Scaling, told: &Mutex<Told>) -> Built {
    const NAME: &str = "trigger";
    let Some(value) = reader.get(NAME) else { return Built::None };
    // The Python version's name for no trigger.
    if value.get("type").and_then(Value::as_str) == Some("noop") {
        return Built::None;
    }
    let place = Place::field(NAME);
    if value.is_null() {
        reader.errors.push(place.error(NULL));
        return Built::Wrong;
    }
    let cx = BuildContext::new(reader.cx.registry, timezone, scaling).collecting(told);
    match reader.cx.registry.build(value, &cx) {
        Ok(trigger) => Built::Trigger(trigger),
        Err(error) => {
            reader.errors.push(error_under(&place, &error));
            Built::Wrong
        }
    }
}

/// Puts what a plugin says is wrong at its place in the document.
fn error_under(place: &Place<'_>, error: &ConfigError) -> FieldError {
    if error.pointer.is_empty() {
        return place.error_of_whole(error.message.as_str());
    }
    let mut wrong = place.error(error.message.as_str());
    wrong.pointer.push_str(&error.pointer);
    let segments = error.pointer.split('/').skip(1);
    wrong.key.extend(segments.map(|segment| segment.replace("~1", "/").replace("~0", "~")));
    wrong
}
