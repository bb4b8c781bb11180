//! Backfills: past ticks of a job that fire now, oldest first.
//!
//! The state of a backfill is one register of the store, `backfill/<uid of the job>`. The register `backfills/<shard>` names the
//! backfills that are under way, so that the owner of the shard finds them at its start. `doc/decisions/0018-a-backfill-is-a-register.md`
//! gives the reasons.

use std::num::NonZeroU32;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::firing::Firing;
use crate::id::{FiringId, JobId, JobUid};
use crate::job::{Job, StoredJob};
use crate::store::{Shard, Store, StoreError};
use ticks::TickList;

mod progress;
mod ticks;

pub use progress::{BackfillCounts, BackfillFailure, BackfillWait, UnfinishedFiring};

#[cfg(test)]
mod tests;

/// The maximum number of ticks of one backfill.
pub const MAX_TICKS: u32 = 10_000;
/// The maximum number of ticks of a backfill whose request does not give another one.
pub const DEFAULT_MAX_TICKS: u32 = 100;
/// The maximum number of firings of one backfill that may be unfinished at once.
pub const MAX_OVERLAP: u32 = 100;
/// The maximum number of backfills of one shard that are under way at once.
pub(crate) const MAX_UNDER_WAY: usize = 100;
/// How many ticks of a range are counted to say how many there are.
const MAX_COUNTED: usize = 100_000;
/// How long a backfill that has ended can be read.
pub(crate) const ENDED_TTL: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A request to fire the past ticks of a job in a range of time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackfillRequest {
    /// The start of the range; a tick at this moment belongs to it. From 1970 on.
    pub from: Timestamp,
    /// The end of the range; a tick at this moment does not belong to it. Not in the future.
    pub to: Timestamp,
    /// The maximum number of ticks; 1…[`MAX_TICKS`].
    pub max: u32,
    /// How many of its firings may be unfinished at once; 1…[`MAX_OVERLAP`].
    pub overlap: NonZeroU32,
    /// Why it is started.
    pub reason: Option<String>,
    /// The person or program that starts it.
    pub actor: Option<String>,
    /// Its identity: a request that is repeated with it starts no second backfill. A random one when absent.
    pub id: Option<String>,
}

impl BackfillRequest {
    /// Makes a request for at most [`DEFAULT_MAX_TICKS`] ticks, one after the other.
    #[must_use]
    pub const fn new(from: Timestamp, to: Timestamp) -> Self {
        let (max, overlap) = (DEFAULT_MAX_TICKS, NonZeroU32::MIN);
        Self { from, to, max, overlap, reason: None, actor: None, id: None }
    }

    /// Returns the ticks of the job's present schedule in the range, oldest first; at least one, and at most `max`.
    ///
    /// # Errors
    ///
    /// [`BackfillError::Refused`] with each wrong field, if the range or a bound is wrong, if it has no ticks or too many, or if the job
    /// has a trigger that measures the present.
    pub fn ticks(
        &self,
        stored: &StoredJob,
        job: &Job,
        now: Timestamp,
    ) -> Result<Vec<Timestamp>, BackfillError> {
        let wrong = self.wrong_fields(now);
        if !wrong.is_empty() {
            return Err(BackfillError::Refused(wrong));
        }
        if job.trigger.as_ref().is_some_and(|trigger| !trigger.is_time_based()) {
            return refuse("", present_trigger(stored));
        }
        let Self { from, to, max, .. } = *self;
        let ticks = job.own_ticks().map(|schedule| schedule.upcoming(before(from)));
        let mut in_range = ticks.into_iter().flatten().take_while(|tick| *tick < to);
        let ticks: Vec<Timestamp> =
            in_range.by_ref().take(usize::try_from(max).unwrap_or(usize::MAX)).collect();
        if ticks.is_empty() {
            let message = "The job's present schedule has no tick from this moment up to `to`: see `POST /schedules/preview`.";
            return refuse("/from", message.to_owned());
        }
        let more = in_range.take(MAX_COUNTED).count();
        if more > 0 {
            let number = more + ticks.len();
            let number = if more < MAX_COUNTED { number.to_string() } else { format!("more than {number}") };
            let last = ticks.last().copied().unwrap_or(from);
            return refuse(
                "/max",
                format!(
                    "The range has {number} ticks, and {max} are allowed: give a `max` of up to {MAX_TICKS}, or end the range \
                     right after {last}, the last tick that fits."
                ),
            );
        }
        Ok(ticks)
    }

    /// Returns each wrong field of the request, whatever the job.
    #[must_use]
    pub fn wrong_fields(&self, now: Timestamp) -> Vec<RefusedField> {
        let Self { from, to, max, overlap, .. } = *self;
        let mut wrong = Vec::new();
        let mut refuse = |pointer, message: String| wrong.push(RefusedField { pointer, message });
        if from < Timestamp::UNIX_EPOCH {
            refuse("/from", "Before 1970: no schedule has ticks there.".to_owned());
        }
        if to > now {
            refuse("/to", format!("Later than now, which is {now:.0}: later ticks fire by themselves."));
        } else if from >= to {
            let message = "Must be later than `from`; a tick at `to` does not belong to the range.";
            refuse("/to", message.to_owned());
        }
        if max == 0 || max > MAX_TICKS {
            let message =
                format!("Must be between 1 and {MAX_TICKS}: split the range into several backfills.");
            refuse("/max", message);
        }
        if overlap.get() > MAX_OVERLAP {
            refuse("/overlap", format!("Must be between 1 and {MAX_OVERLAP}."));
        }
        wrong
    }
}

/// A wrong field of a request, and why it is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedField {
    /// The JSON pointer of the field; empty for the request as a whole.
    pub pointer: &'static str,
    /// The error, and the remedy.
    pub message: String,
}

fn refuse<T>(pointer: &'static str, message: String) -> Result<T, BackfillError> {
    Err(BackfillError::Refused(vec![RefusedField { pointer, message }]))
}

/// Returns the message about a trigger that measures the present.
fn present_trigger(stored: &StoredJob) -> String {
    #[derive(Deserialize)]
    struct Document {
        trigger: Kind,
    }
    #[derive(Deserialize)]
    struct Kind {
        r#type: String,
    }
    let document: Option<Document> = serde_json::from_str(stored.document.get()).ok();
    let kind = document.map(|document| format!(" \"{}\"", document.trigger.r#type)).unwrap_or_default();
    format!(
        "The job's trigger{kind} measures the present, so its past ticks cannot be evaluated: fire the job by hand with \
         `scheduledAt`, or backfill a job with the same task and no such trigger."
    )
}

fn before(moment: Timestamp) -> Timestamp {
    moment.saturating_sub(SignedDuration::from_nanos(1)).unwrap_or(Timestamp::MIN)
}

/// The reason why a backfill could not be started or stopped.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BackfillError {
    /// Fields of the request are wrong.
    #[error("{}", .0.iter().map(|field| field.message.as_str()).collect::<Vec<_>>().join(" "))]
    Refused(Vec<RefusedField>),
    /// The job does not exist.
    #[error("the job does not exist")]
    NoJob,
    /// The stored job is not valid.
    #[error("the stored job is not valid, and so cannot be fired")]
    Invalid,
    /// The job has no backfill, or none that can still be read.
    #[error("the job has no backfill")]
    None,
    /// Another backfill of the job is under way.
    #[error("a backfill of the job is under way")]
    UnderWay(Box<Backfill>),
    /// As many backfills are under way as one shard keeps.
    #[error("{MAX_UNDER_WAY} backfills of this shard are under way; wait until one has ended")]
    TooMany,
    /// This replica does not own the job.
    #[error("the job is owned by another replica")]
    Elsewhere,
    /// The store could not be read or written. The backfill may have been started or stopped.
    #[error("the store did not answer; read the backfill to see whether the request had an effect")]
    Store(#[source] StoreError),
}

impl From<StoreError> for BackfillError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The state of a backfill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BackfillState {
    /// Ticks are to be fired, or firings are unfinished.
    Running,
    /// Every tick is done.
    Finished,
    /// It was stopped by a request. Firings may be unfinished.
    Stopped,
    /// The job was removed. Firings may be unfinished.
    JobRemoved,
}

impl BackfillState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Running, Self::Finished, Self::Stopped, Self::JobRemoved];

    /// Returns the name used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::JobRemoved => "jobRemoved",
        }
    }
}

/// A backfill, as its register has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Backfill {
    /// Its identity, from which the ids of its firings follow.
    pub id: String,
    /// The job.
    pub job: JobId,
    /// The job's identity.
    pub uid: JobUid,
    /// The start of its range.
    pub from: Timestamp,
    /// The end of its range, which does not belong to it.
    pub to: Timestamp,
    /// How many of its firings may be unfinished at once.
    pub overlap: NonZeroU32,
    /// Why it was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The person or program that started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// When it was started.
    pub started: Timestamp,
    /// When its last firing ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Its state.
    pub state: BackfillState,
    /// The number of its ticks.
    pub total: u32,
    /// The ticks that are to be fired, oldest first.
    ticks: TickList,
    /// Its unfinished firings, oldest first.
    pub unfinished: Vec<UnfinishedFiring>,
    /// The ticks that are done.
    pub done: BackfillCounts,
    /// Why it waits, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<BackfillWait>,
    /// The newest of its ticks that was done without success, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<BackfillFailure>,
}

impl Backfill {
    /// Makes a backfill that has fired nothing yet.
    pub(crate) fn new(
        id: String,
        stored: &StoredJob,
        request: BackfillRequest,
        ticks: &[Timestamp],
        now: Timestamp,
    ) -> Self {
        let BackfillRequest { from, to, overlap, reason, actor, .. } = request;
        Self {
            id,
            job: stored.id.clone(),
            uid: stored.uid,
            from,
            to,
            overlap,
            reason,
            actor,
            started: now,
            ended: None,
            state: BackfillState::Running,
            total: u32::try_from(ticks.len()).unwrap_or(u32::MAX),
            ticks: TickList::new(ticks),
            unfinished: Vec::new(),
            done: BackfillCounts::default(),
            waiting: None,
            last_failure: None,
        }
    }

    /// Reads the value of a register; nothing for a value of another form.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        serde_json::from_str(value).ok()
    }

    /// Returns the value of its register.
    pub(crate) fn register_value(&self) -> String {
        serde_json::to_string(self).expect("a backfill is plain data")
    }

    /// Tells whether ticks are to be fired, or firings are unfinished.
    #[must_use]
    pub const fn is_under_way(&self) -> bool {
        self.ended.is_none()
    }

    /// Returns the next tick to fire; none once it is stopped.
    #[must_use]
    pub fn next_tick(&self) -> Option<Timestamp> {
        if self.state == BackfillState::Running { self.ticks.first() } else { None }
    }

    /// Returns the number of ticks that were not fired.
    #[must_use]
    pub fn remaining(&self) -> u32 {
        self.ticks.len()
    }

    /// Returns the id of the firing of a tick: the same for each attempt to fire it.
    pub(crate) fn firing_of(&self, tick: Timestamp) -> FiringId {
        FiringId::for_backfill(&self.uid, tick, &self.id)
    }

    /// Removes the next tick, whose firing is recorded, or which needs none.
    pub(crate) fn take_tick(&mut self, firing: Option<FiringId>) {
        let Some(tick) = self.ticks.pop() else { return };
        self.waiting = None;
        match firing {
            Some(firing) => self.unfinished.push(UnfinishedFiring { tick, firing }),
            None => self.done.idle += 1,
        }
    }

    /// Counts the tick of a firing that has ended; `None` if the journal does not have it any more.
    pub(crate) fn count(&mut self, unfinished: UnfinishedFiring, ended: Option<&Firing>) {
        self.done.count(ended);
        if let Some(reason) = ended.and_then(BackfillFailure::reason_of) {
            let UnfinishedFiring { tick, firing } = unfinished;
            self.last_failure = Some(BackfillFailure { tick, firing, reason });
        }
    }

    /// Starts no further firing.
    pub(crate) fn end(&mut self, state: BackfillState) {
        if self.state == BackfillState::Running {
            (self.state, self.waiting) = (state, None);
        }
    }

    /// Records the end, if nothing is left to do. Returns whether it has ended.
    pub(crate) fn close(&mut self, now: Timestamp) -> bool {
        if self.unfinished.is_empty() && self.next_tick().is_none() {
            self.end(BackfillState::Finished);
            self.ended.get_or_insert(now);
        }
        self.ended.is_some()
    }
}

/// A backfill in the list of those of a shard that are under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListedBackfill {
    pub(crate) id: String,
    pub(crate) job: JobId,
    pub(crate) uid: JobUid,
}

/// Returns the name of the register of a job's backfill.
#[must_use]
pub fn register_of(uid: &JobUid) -> String {
    format!("backfill/{uid}")
}

/// Returns the name of the register that lists the backfills of a shard.
pub(crate) fn list_of(shard: Shard) -> String {
    format!("backfills/{shard}")
}

/// Reads the list of a shard. A value of another form counts as empty.
pub(crate) fn parse_list(value: &str) -> Vec<ListedBackfill> {
    serde_json::from_str(value).unwrap_or_default()
}

/// Reads the backfill of a job: the one that is under way, or the last one, for 30 days after its end.
///
/// # Errors
///
/// Fails when the store cannot be read.
pub async fn read(store: &dyn Store, uid: &JobUid) -> Result<Option<Backfill>, StoreError> {
    let register = store.get_register(&register_of(uid)).await?;
    Ok(register.and_then(|register| Backfill::parse(&register.value)))
}

/// Returns the names of all registers of backfills that are under way, for a transfer to another store.
///
/// # Errors
///
/// Fails when the store cannot be read.
pub async fn registers(store: &dyn Store) -> Result<Vec<String>, StoreError> {
    let mut names = Vec::new();
    for list in Shard::all().map(list_of) {
        let Some(register) = store.get_register(&list).await? else { continue };
        let listed = parse_list(&register.value);
        if !listed.is_empty() {
            names.push(list);
        }
        names.extend(listed.iter().map(|listed| register_of(&listed.uid)));
    }
    Ok(names)
}
