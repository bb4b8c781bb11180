//! The outbox of a shard: notifications that are to be delivered, and the events of each job that channels know.
//!
//! It is the content of one register, so it is bounded: [`MAX_EVENTS`] events of 512 characters of text and a name.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Notification, NotificationKind};
use crate::decide::TickOutcome;
use crate::id::{JobId, JobUid};
use crate::job::Suspension;

/// How long a delivery is retried.
pub(crate) const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);
/// The maximum number of events that wait in one outbox. Further ones are only counted, in a notification that waits already.
const MAX_EVENTS: usize = 240;
/// The maximum number of them for one channel, so that one that is down leaves room for the others.
const MAX_OF_CHANNEL: usize = 200;
/// The number of failed deliveries that are remembered.
const MAX_FAILED: usize = 20;
/// The number of recent ids that are remembered, and for how long.
const MAX_RECENT: usize = 300;
const RECENT_TTL: SignedDuration = SignedDuration::from_hours(3);
/// The maximum number of jobs in the register.
const MAX_JOBS: usize = 500;

/// The outbox of a shard.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Outbox {
    /// When it was last written: events of the journal before this moment are in it.
    pub(crate) derived_until: Option<Timestamp>,
    /// The ids of the newest notifications, delivered or not, and when they were added.
    recent: Vec<(String, Timestamp)>,
    /// The jobs of which channels know that something is wrong.
    pub(crate) jobs: BTreeMap<JobUid, JobEpisodes>,
    /// Notifications that are to be delivered, oldest first.
    pub(crate) pending: Vec<PendingDelivery>,
    /// The newest ones that could not be delivered.
    pub(crate) failed: Vec<FailedDelivery>,
}

/// The events that were reported, at one moment.
#[derive(Debug, Clone)]
pub(crate) struct ReportedEvents {
    derived_until: Option<Timestamp>,
    recent: Vec<(String, Timestamp)>,
    jobs: BTreeMap<JobUid, JobEpisodes>,
}

/// A notification that waits for its delivery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PendingDelivery {
    /// The channel.
    pub channel: String,
    /// The notification.
    pub notification: Notification,
    /// The number of attempts that failed.
    #[serde(default)]
    pub attempts: u32,
    /// The next attempt is not made before this moment.
    pub next_attempt: Timestamp,
    /// Why the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A notification that could not be delivered and is not tried again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct FailedDelivery {
    /// The channel.
    pub channel: String,
    /// The id of the notification.
    pub id: String,
    /// Its kind.
    pub kind: NotificationKind,
    /// Its text.
    pub summary: String,
    /// When the last attempt was made.
    pub at: Timestamp,
    /// The number of attempts.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub error: String,
}

/// The events of a job that channels know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobEpisodes {
    pub(crate) job: JobId,
    /// The channels that know that it fails, and after how many failures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) failing: Vec<Notified>,
    /// How its ticks failed when a channel was notified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<TickOutcome>,
    /// Whether its tasks failed when a channel was notified.
    #[serde(default)]
    pub(crate) tasks: bool,
    /// The tick that is late, and the channels that know of it, and after how many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) late_tick: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) late: Vec<Notified>,
    /// The suspension that the channels know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) suspension: Option<Suspension>,
}

/// A channel that was notified, and the threshold that was reached: failures or seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notified {
    pub(crate) channel: String,
    pub(crate) threshold: u64,
}

impl PendingDelivery {
    /// Tells whether a failed attempt was the last one.
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        now.duration_since(self.notification.at) >= MAX_AGE
    }
}

impl JobEpisodes {
    pub(crate) fn new(job: JobId) -> Self {
        let (failing, late) = (Vec::new(), Vec::new());
        Self { job, failing, outcome: None, tasks: false, late_tick: None, late, suspension: None }
    }

    fn is_over(&self) -> bool {
        self.failing.is_empty() && self.late.is_empty() && self.suspension.is_none()
    }
}

impl Outbox {
    /// Reads the value of a register. A value of another form counts as empty.
    pub(crate) fn parse(value: &str) -> Self {
        serde_json::from_str(value).unwrap_or_default()
    }

    /// Returns the value for the register, at this moment, and forgets what is over.
    pub(crate) fn register_value(&mut self, now: Timestamp) -> String {
        self.derived_until = Some(now);
        let oldest = now.saturating_sub(RECENT_TTL).unwrap_or(Timestamp::MIN);
        self.recent.retain(|(_, at)| *at >= oldest);
        let surplus = self.recent.len().saturating_sub(MAX_RECENT);
        self.recent.drain(..surplus);
        self.to_text()
    }

    /// Returns the value for the register with the present notifications, and with the events reported up to an earlier moment.
    pub(crate) fn register_value_knowing(&self, reported: &ReportedEvents) -> String {
        let ReportedEvents { derived_until, recent, jobs } = reported.clone();
        Self { derived_until, recent, jobs, ..self.clone() }.to_text()
    }

    fn to_text(&self) -> String {
        let stored = |outbox: &Self| serde_json::to_string(outbox).expect("an outbox is plain data");
        if self.jobs.len() <= MAX_JOBS {
            return stored(self);
        }
        let jobs = self.jobs.iter().take(MAX_JOBS).map(|(uid, job)| (*uid, job.clone())).collect();
        stored(&Self { jobs, ..self.clone() })
    }

    /// Returns the events that channels know at present.
    pub(crate) fn reported(&self) -> ReportedEvents {
        let (derived_until, recent, jobs) = (self.derived_until, self.recent.clone(), self.jobs.clone());
        ReportedEvents { derived_until, recent, jobs }
    }

    /// Changes what the channels know about a job; also returns whether the outbox has changed.
    pub(crate) fn edit_episodes<R>(
        &mut self,
        uid: JobUid,
        job: &JobId,
        change: impl FnOnce(&mut JobEpisodes) -> R,
    ) -> (R, bool) {
        let before = self.jobs.get(&uid);
        let mut episodes = before.cloned().unwrap_or_else(|| JobEpisodes::new(job.clone()));
        let result = change(&mut episodes);
        if episodes.is_over() {
            return (result, self.jobs.remove(&uid).is_some());
        }
        let is_changed = before != Some(&episodes);
        self.jobs.insert(uid, episodes);
        (result, is_changed)
    }

    /// Tells whether a notification was added lately.
    pub(crate) fn is_recent(&self, id: &str) -> bool {
        self.recent.iter().any(|(known, _)| known == id)
    }

    /// Remembers that a notification was added, alone or in a group.
    pub(crate) fn remember(&mut self, id: &str, now: Timestamp) {
        self.recent.push((id.to_owned(), now));
    }

    /// Adds a notification. When the outbox or the channel's part of it is full, the notification is only counted in one for the
    /// same channel that waits already.
    pub(crate) fn push(&mut self, channel: &str, notification: Notification, now: Timestamp) {
        let count = |pending: &PendingDelivery| pending.notification.jobs.len();
        let waiting: usize = self.pending.iter().map(count).sum();
        let own: usize = self.pending.iter().filter(|pending| pending.channel == channel).map(count).sum();
        let new = notification.jobs.len();
        if waiting + new > MAX_EVENTS || own + new > MAX_OF_CHANNEL {
            let of_channel = |pending: &&mut PendingDelivery| pending.channel == channel;
            let last = self.pending.iter_mut().filter(of_channel).max_by_key(|one| one.attempts == 0);
            if let Some(last) = last {
                last.notification.more += notification.jobs.len() as u64 + notification.more;
                return;
            }
        }
        self.pending.push(PendingDelivery {
            channel: channel.to_owned(),
            notification,
            attempts: 0,
            next_attempt: now,
            error: None,
        });
    }

    /// Removes a delivery.
    pub(crate) fn remove(&mut self, channel: &str, id: &str) -> Option<PendingDelivery> {
        let is_it = |one: &PendingDelivery| one.channel == channel && one.notification.id == id;
        self.pending.iter().position(is_it).map(|index| self.pending.remove(index))
    }

    /// Records that a delivery is not tried again.
    pub(crate) fn give_up(
        &mut self,
        pending: PendingDelivery,
        error: String,
        now: Timestamp,
    ) -> FailedDelivery {
        let PendingDelivery { channel, notification, attempts, .. } = pending;
        let summary = notification.summary();
        let (id, kind) = (notification.id, notification.kind);
        let failed = FailedDelivery { channel, id, kind, summary, at: now, attempts, error };
        self.failed.push(failed.clone());
        let surplus = self.failed.len().saturating_sub(MAX_FAILED);
        self.failed.drain(..surplus);
        failed
    }
}
