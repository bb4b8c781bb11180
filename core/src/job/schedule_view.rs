//! The part of a document that says when to look, read without building the job.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::document::{Moment, parse_duration};
use super::{JobId, Suspension};
use crate::schedule::{Dialect, Schedule, ScheduleCache, ScheduleError, ScheduleSpec, resolve_wildcards};

/// When to look, straight from the text of a stored document.
///
/// For loading very many jobs: trigger, task and policies stay unread until the job is due. Anything unusual is an
/// error, after which [`StoredJob::parse`](super::StoredJob::parse) says in full what is wrong.
///
/// # Example
///
/// ```
/// use ecs_scheduler_core::job::{AgendaView, JobId};
/// use ecs_scheduler_core::schedule::ScheduleCache;
///
/// let view = AgendaView::read(r#"{"schedule": "0 0 2", "jitter": "30s", "taskDefinition": "report"}"#)?;
/// let cache = ScheduleCache::new(1_000);
/// let schedule = view.schedule(&JobId::new("report")?, &cache)?;
/// assert!(schedule.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AgendaView<'a> {
    /// By how much a tick may be put off.
    pub jitter: Option<Duration>,
    /// Not looked at, when there is one.
    pub suspension: Option<Suspension>,
    /// Whether there is a trigger. Without a schedule of the job's own it is the trigger that brings the ticks, and the
    /// job must be built to learn them.
    pub has_trigger: bool,
    expressions: Vec<Cow<'a, str>>,
    timezone: Option<Cow<'a, str>>,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
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

/// One expression, or several in a list. Not an untagged enum: that would copy each text before it is looked at.
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

/// A document that must be read in full to see what it says.
#[derive(Debug, thiserror::Error)]
#[error("could not read when the job is due")]
pub struct AgendaError(#[source] Option<serde_json::Error>);

impl<'a> AgendaView<'a> {
    /// Reads the text of a stored document.
    ///
    /// # Errors
    ///
    /// Fails when the text is not JSON, or a field has an unusual form.
    pub fn read(text: &'a str) -> Result<Self, AgendaError> {
        // serde would take a list for the fields in their order.
        if !text.trim_start().starts_with('{') {
            return Err(AgendaError(None));
        }
        let wire: Wire<'a> = serde_json::from_str(text).map_err(|error| AgendaError(Some(error)))?;
        let moment = |text: Option<Text<'_>>| {
            text.map(|text| Moment::parse(&text.0).map(|moment| moment.at).ok_or(AgendaError(None)))
                .transpose()
        };
        let jitter = wire.jitter.map(|text| parse_duration(&text.0).ok_or(AgendaError(None))).transpose()?;
        if wire.schedule.is_none() && wire.trigger.is_none() || wire.earlier_schedules.is_some() {
            return Err(AgendaError(None));
        }
        let suspended = wire.suspended == Some(true);
        Ok(Self {
            jitter: jitter.filter(|jitter| !jitter.is_zero()),
            suspension: suspended.then(|| wire.suspension.unwrap_or_default()),
            has_trigger: wire.trigger.is_some(),
            expressions: wire.schedule.map(|expressions| expressions.0).unwrap_or_default(),
            timezone: wire.timezone.map(|text| text.0),
            start: moment(wire.schedule_start)?,
            end: moment(wire.schedule_end)?,
        })
    }

    /// Returns the job's own schedule, shared with all jobs that have the same one; none when the trigger brings the
    /// ticks.
    ///
    /// # Errors
    ///
    /// Fails when the schedule or the zone is wrong.
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
            dialect: Dialect::Stored,
        };
        cache.parse_while_room(&spec).map(Some)
    }
}
