//! Ticks of earlier versions of a job: an edit that finds some of them without an outcome keeps their schedules.
//!
//! ```text
//!  settled          edit 1            edit 2             now
//!     │  version 1    │    version 2    │   this version   │
//!     ├───────────────┼─────────────────┼──────────────────┤
//!     └ earlierSchedules[0] ┴ earlierSchedules[1] ┴ schedule ┘   the job's ticks are those of all three
//! ```
//!
//! The list is part of the stored document, so that it changes with the document in one step and every store keeps it.
//! Nobody else writes it, and the API does not show it. An edit that finds every tick settled removes it.
//!
//! Rejected: settling at the moment of the edit (the process that serves the edit need not be the one that evaluates
//! the job, which may be down); a record beside the document (two writes, and a crash between them).

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::JobContext;
use crate::clock::{is_ahead, latest_past};
use crate::job::field_error::{FieldError, FieldPath};
use crate::job::{Job, JobId, StoredJob, Suspension};
use crate::schedule::{Schedule, Strictness};
use crate::trigger::Trigger;

/// The member of a stored document that holds the list.
pub const EARLIER_SCHEDULES: &str = "earlierSchedules";

/// How many earlier versions may have ticks without an outcome at the same time.
const MOST: usize = 32;

/// The fields that determine when a job is evaluated. The trigger is one of them, because it may bring the ticks.
const FIELDS: [&str; 8] =
    ["jitter", "schedule", "scheduleEnd", "scheduleStart", "suspended", "suspension", "timezone", "trigger"];

/// The ticks of an earlier version.
#[derive(Debug, Clone)]
pub(crate) struct Earlier {
    /// Its ticks are later than this.
    pub(crate) from: Timestamp,
    /// When the next version was written: its ticks are not later than this.
    pub(crate) until: Timestamp,
    pub(crate) jitter: Option<Duration>,
    pub(crate) suspension: Option<Suspension>,
    trigger: Option<Arc<dyn Trigger>>,
    ticks: Option<Schedule>,
}

/// An element of the list, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Version {
    from: Timestamp,
    until: Timestamp,
    /// The fields of the earlier document that determine when the job was evaluated.
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl Version {
    fn from_document(document: &Map<String, Value>, from: Timestamp, until: Timestamp) -> Self {
        let fields =
            FIELDS.into_iter().filter_map(|name| Some((name.to_owned(), document.get(name)?.clone())));
        Self { from, until, fields: fields.collect() }
    }

    fn read(self, id: &JobId, cx: &JobContext<'_>) -> Result<Earlier, Vec<FieldError>> {
        let Self { from, until, mut fields } = self;
        fields.insert("taskDefinition".to_owned(), id.as_str().into());
        let cx = JobContext { strictness: Strictness::Lenient, launcher: None, ..*cx };
        let job = match Job::parse(id, &fields, &cx) {
            // Its kind of trigger may have been removed since. A schedule suffices.
            Err(_) if fields.contains_key("schedule") && fields.remove("trigger").is_some() => {
                Job::parse(id, &fields, &cx)?
            }
            read => read?,
        };
        let ticks = job.ticks().map(|ticks| ticks.within(Some(after(from)), Some(until)));
        Ok(Earlier {
            from,
            until,
            jitter: job.policy.jitter,
            suspension: job.suspension,
            trigger: job.trigger,
            ticks,
        })
    }
}

/// Reads the list of a stored document.
pub(super) fn read(
    id: &JobId,
    document: &Map<String, Value>,
    cx: &JobContext<'_>,
) -> Result<Vec<Earlier>, Vec<FieldError>> {
    let Some(list) = document.get(EARLIER_SCHEDULES) else { return Ok(Vec::new()) };
    let list = Vec::<Version>::deserialize(list).map_err(|error| vec![list_error(error.to_string())])?;
    list.into_iter().map(|version| version.read(id, cx)).collect()
}

/// Returns the ticks of the earlier versions and, behind them, of this one.
pub(super) fn all_ticks(earlier: &[Earlier], current: Option<Schedule>) -> Option<Schedule> {
    let Some(last) = earlier.last() else { return current };
    let current = current.map(|ticks| ticks.within(Some(after(last.until)), None));
    let parts: Vec<Schedule> =
        earlier.iter().filter_map(|earlier| earlier.ticks.clone()).chain(current).collect();
    Schedule::union(&parts)
}

impl Job {
    /// Returns the moment after which ticks of this job count, when this version was written at `changed`.
    #[must_use]
    pub fn counts_from(&self, changed: Timestamp) -> Timestamp {
        self.earlier.first().map_or(changed, |first| first.from)
    }

    /// Returns the trigger that evaluates this tick: that of this version, which measures the present. A trigger that brings ticks
    /// knows its own ones only, so that a tick of an earlier version is evaluated by the trigger of that version.
    #[must_use]
    pub fn trigger_of(&self, tick: Timestamp) -> Option<&Arc<dyn Trigger>> {
        let own = self.trigger.as_ref();
        match Earlier::find(&self.earlier, tick) {
            Some(earlier) if own.is_some_and(|trigger| trigger.schedule().is_some()) => {
                earlier.trigger.as_ref()
            }
            Some(_) | None => own,
        }
    }

    /// Returns the suspension of this tick: that of the present version, or else that of the tick's version.
    #[must_use]
    pub fn suspension_of(&self, tick: Timestamp) -> Option<&Suspension> {
        let own = Earlier::find(&self.earlier, tick).and_then(|earlier| earlier.suspension.as_ref());
        [self.suspension.as_ref(), own].into_iter().flatten().find(|suspension| suspension.holds(tick))
    }
}

impl StoredJob {
    /// Makes a job as [`Self::parse`] does, at the moment `now`: earlier versions that were replaced while a clock was
    /// ahead are over.
    ///
    /// # Errors
    ///
    /// As [`Self::parse`].
    pub fn parse_at(&self, cx: &JobContext<'_>, now: Timestamp) -> Result<Job, Vec<FieldError>> {
        match self.end_future_versions(now) {
            Some(document) => Job::parse(&self.id, &document, cx),
            None => self.parse(cx),
        }
    }

    /// Returns the document, at the moment `now`, without what was written under a wrong clock: an earlier version that
    /// lasts beyond `now` was replaced while a clock was ahead, and ends where ticks are settled, so that the newest
    /// version takes effect at once. None when there is no such version.
    pub(crate) fn end_future_versions(&self, now: Timestamp) -> Option<Map<String, Value>> {
        let (text, latest) = (self.document.get(), latest_past(now));
        if !text.contains(EARLIER_SCHEDULES) {
            return None;
        }
        let mut document: Map<String, Value> = serde_json::from_str(text).ok()?;
        let mut list = Vec::<Version>::deserialize(document.get(EARLIER_SCHEDULES)?).ok()?;
        if list.iter().all(|version| version.until <= latest) {
            return None;
        }
        let settled = self.progress.settled.unwrap_or(Timestamp::MIN);
        for version in list.iter_mut().filter(|version| version.until > latest) {
            version.until = version.until.min(settled);
        }
        list.retain(|version| version.from < version.until);
        let list = serde_json::to_value(list).expect("the list is plain data");
        document.insert(EARLIER_SCHEDULES.to_owned(), list);
        Some(document)
    }
}

impl Earlier {
    /// Returns the earlier version that a tick belongs to; none when it belongs to the present one.
    pub(crate) fn find(versions: &[Self], tick: Timestamp) -> Option<&Self> {
        versions.iter().find(|version| tick <= version.until)
    }
}

/// Returns the document that replaces a stored job's at the moment `at`: the changed document, and the earlier
/// schedules of ticks up to then that have no outcome yet. Returns none if the change has no effect.
///
/// # Errors
///
/// Fails if too many earlier versions have ticks without an outcome, which happens only while no engine evaluates the
/// job.
pub fn replacement(
    stored: &StoredJob,
    mut document: Map<String, Value>,
    cx: &JobContext<'_>,
    at: Timestamp,
) -> Result<Option<Map<String, Value>>, FieldError> {
    document.remove(EARLIER_SCHEDULES);
    let old = stored.end_future_versions(at).map_or_else(|| serde_json::from_str(stored.document.get()), Ok);
    let Ok(mut old) = old else { return Ok(Some(document)) };
    let list = old.remove(EARLIER_SCHEDULES);
    if old == document {
        return Ok(None);
    }
    keep_earlier(stored, (old, list), document, cx, at).map(Some)
}

/// Returns the document that replaces a stored job's at the moment `at`: earlier versions that last beyond `at` end
/// then, also for later readers; nothing else changes. None if there is no such version.
pub(crate) fn correction(
    stored: &StoredJob,
    cx: &JobContext<'_>,
    at: Timestamp,
) -> Option<Map<String, Value>> {
    let mut old = stored.end_future_versions(at)?;
    let list = old.remove(EARLIER_SCHEDULES);
    // The list becomes longer by one version at most, and an edit has kept it below its limit.
    keep_earlier(stored, (old.clone(), list), old, cx, at).ok()
}

/// Adds to a document the versions whose ticks up to `at` have no outcome yet: those of the list and the old document.
fn keep_earlier(
    stored: &StoredJob,
    (old, list): (Map<String, Value>, Option<Value>),
    mut document: Map<String, Value>,
    cx: &JobContext<'_>,
    at: Timestamp,
) -> Result<Map<String, Value>, FieldError> {
    let cx = JobContext { strictness: Strictness::Lenient, ..*cx };
    let Ok(job) = stored.parse_at(&cx, at) else { return Ok(document) };
    let settled = stored.progress.settled;
    // A version that was written while the clock was ahead counts from the newest settled tick.
    let changed = settled
        .filter(|settled| is_ahead(stored.changed, at) && !is_ahead(*settled, at))
        .unwrap_or(stored.changed);
    let after = settled.max(Some(job.counts_from(changed))).unwrap_or(Timestamp::MIN);
    let waits = job.ticks().and_then(|ticks| ticks.next_after(after)).is_some_and(|tick| tick <= at);
    if !waits {
        return Ok(document);
    }
    let mut list: Vec<Version> = list.and_then(|list| Vec::deserialize(list).ok()).unwrap_or_default();
    list.retain(|version| version.until > after);
    // Versions that were written while the clock was ahead end now.
    for version in &mut list {
        (version.from, version.until) = (version.from.min(at), version.until.min(at));
    }
    let newest = Version::from_document(&old, changed.min(at), at);
    match list.last_mut().filter(|last| last.fields == newest.fields) {
        Some(last) => last.until = at,
        None => list.push(newest),
    }
    if list.len() > MOST {
        return Err(list_error(format!(
            "Ticks of {MOST} earlier versions have no outcome yet: retry when the scheduler has evaluated them."
        )));
    }
    let list = serde_json::to_value(list).expect("the list is plain data");
    document.insert(EARLIER_SCHEDULES.to_owned(), list);
    Ok(document)
}

fn list_error(message: String) -> FieldError {
    FieldPath::field(EARLIER_SCHEDULES).error(message)
}

fn after(moment: Timestamp) -> Timestamp {
    moment.saturating_add(SignedDuration::from_nanos(1)).unwrap_or(Timestamp::MAX)
}
