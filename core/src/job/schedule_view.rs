//! A partial view of a document: its schedule fields, read without building the job.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::document::{Moment, parse_duration};
use super::{JobId, Suspension};
use crate::schedule::{Schedule, ScheduleCache, ScheduleError, ScheduleSpec, Strictness, resolve_wildcards};

/// The schedule fields of a stored document, read directly from its text.
///
/// Makes loading many jobs cheap: trigger, task and policies are not parsed until the job is due. Any unusual form is an
/// error, after which [`StoredJob::parse`](super::StoredJob::parse) reports the details.
///
/// # Example
///
/// ```
/// use ecs_scheduler_core::job::{ScheduleView, JobId};
/// use ecs_scheduler_core::schedule::ScheduleCache;
///
/// let view = ScheduleView::read(r#"{"schedule": "0 0 2", "jitter": "30s", "taskDefinition": "report"}"#)?;
/// let cache = ScheduleCache::new(1_000);
/// let schedule = view.schedule(&JobId::new("report")?, &cache)?;
/// assert!(schedule.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ScheduleView<'a> {
    /// The maximum delay of a tick.
    pub jitter: Option<Duration>,
    /// Set when the job is suspended.
    pub suspension: Option<Suspension>,
    /// Whether the job has a trigger. Without a schedule of its own the job takes its ticks from the trigger, and must be
    /// built to know them.
    pub has_trigger: bool,
    expressions: Vec<Cow<'a, str>>,
    timezone: Option<Cow<'a, str>>,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

/// The schedule fields as they are in JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawFields<'a> {
    #[serde(borrow, default)]
    schedule: Option<Expressions<'a>>,
    #[serde(borrow, default)]
    timezone: Option<Text<'a>>,
    #[serde(borrow, default)]
    schedule_start: Option<Text<'a>>,
    #[serde(borrow, default)]
    schedule_end: Option<Text<'a>>,
    #[serde(borrow, default)]
    jitter: Option<Text<'a>>,
    #[serde(default)]
    suspended: Option<bool>,
    #[serde(default)]
    suspension: Option<Suspension>,
    #[serde(default)]
    trigger: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    earlier_schedules: Option<serde::de::IgnoredAny>,
}

/// A string that borrows from the text where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// One expression or a list of them. Not an untagged enum, because that would copy each text first.
struct Expressions<'a>(Vec<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Expressions<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Vec<Cow<'de, str>>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an expression or a list of expressions")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(vec![Cow::Borrowed(text)])
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(vec![Cow::Owned(text.to_owned())])
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut texts = Vec::new();
                while let Some(Text(text)) = list.next_element()? {
                    texts.push(text);
                }
                Ok(texts)
            }
        }

        deserializer.deserialize_any(OneOrMany).map(Self)
    }
}

/// The document has an unusual form and must be parsed in full.
#[derive(Debug, thiserror::Error)]
#[error("could not read the job's schedule")]
pub struct ScheduleViewError(#[source] Option<serde_json::Error>);

impl<'a> ScheduleView<'a> {
    /// Reads the text of a stored document.
    ///
    /// # Errors
    ///
    /// Fails when the text is not JSON, or a field has an unusual form.
    pub fn read(text: &'a str) -> Result<Self, ScheduleViewError> {
        // serde would take a list for the fields in their order.
        if !text.trim_start().starts_with('{') {
            return Err(ScheduleViewError(None));
        }
        let raw: RawFields<'a> =
            serde_json::from_str(text).map_err(|error| ScheduleViewError(Some(error)))?;
        let moment = |text: Option<Text<'_>>| {
            text.map(|text| Moment::parse(&text.0).map(|moment| moment.at).ok_or(ScheduleViewError(None)))
                .transpose()
        };
        let jitter =
            raw.jitter.map(|text| parse_duration(&text.0).ok_or(ScheduleViewError(None))).transpose()?;
        if raw.schedule.is_none() && raw.trigger.is_none() || raw.earlier_schedules.is_some() {
            return Err(ScheduleViewError(None));
        }
        let suspended = raw.suspended == Some(true);
        Ok(Self {
            jitter: jitter.filter(|jitter| !jitter.is_zero()),
            suspension: suspended.then(|| raw.suspension.unwrap_or_default()),
            has_trigger: raw.trigger.is_some(),
            expressions: raw.schedule.map(|expressions| expressions.0).unwrap_or_default(),
            timezone: raw.timezone.map(|text| text.0),
            start: moment(raw.schedule_start)?,
            end: moment(raw.schedule_end)?,
        })
    }

    /// Returns the job's own schedule, shared between all jobs with an equal one; `None` when the trigger provides the
    /// schedule.
    ///
    /// # Errors
    ///
    /// Fails when the schedule or the zone is invalid.
    pub fn schedule(&self, id: &JobId, cache: &ScheduleCache) -> Result<Option<Schedule>, ScheduleError> {
        if self.expressions.is_empty() {
            return Ok(None);
        }
        let expressions: Vec<String> =
            self.expressions.iter().map(|text| resolve_wildcards(text, id.as_str()).into_owned()).collect();
        let spec = ScheduleSpec {
            expressions: &expressions,
            timezone: self.timezone.as_deref(),
            start: self.start,
            end: self.end,
            strictness: Strictness::Lenient,
        };
        cache.parse_while_room(&spec).map(Some)
    }
}
