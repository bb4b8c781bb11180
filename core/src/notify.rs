//! Notifications: messages about jobs for people, the channels that carry them, and the outbox that keeps them until they are
//! delivered.
//!
//! The engine derives notifications from the journal and keeps them in registers of the store; a [`Notifier`] delivers them.
//! Delivery is at least once: a receiver recognises a repeated notification by its id.

mod deliveries;
mod outbox;

pub(crate) use deliveries::register_of;
pub use deliveries::{Deliveries, read_deliveries};
pub use outbox::{FailedDelivery, PendingDelivery};
pub(crate) use outbox::{JobEpisodes, MAX_AGE, Notified, Outbox, ReportedEvents};

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::id::{FiringId, JobId};
use crate::policy::NotifyRule;

/// The kind of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum NotificationKind {
    /// Ticks or tasks of the job failed several times in a row.
    Failing,
    /// A job that was reported as failing works again.
    Recovered,
    /// Ticks of the job were reached too late.
    Missed,
    /// A tick of the job was due long ago and has no outcome.
    Late,
    /// The job was suspended.
    Suspended,
    /// It cannot be determined whether a firing started tasks.
    Unknown,
    /// A test of the channel.
    Test,
}

impl NotificationKind {
    /// Returns the name used in the API and in events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Recovered => "recovered",
            Self::Missed => "missed",
            Self::Late => "late",
            Self::Suspended => "suspended",
            Self::Unknown => "unknown",
            Self::Test => "test",
        }
    }

    /// Returns the words that follow a job's name.
    const fn words(self, many: bool) -> &'static str {
        match (self, many) {
            (Self::Failing, false) => "fails",
            (Self::Failing, true) => "fail",
            (Self::Recovered, false) => "works again",
            (Self::Recovered, true) => "work again",
            (Self::Missed, _) => "missed ticks",
            (Self::Late, false) => "is late",
            (Self::Late, true) => "are late",
            (Self::Suspended, false) => "is suspended",
            (Self::Suspended, true) => "are suspended",
            (Self::Unknown, false) => "has a firing with an unknown result",
            (Self::Unknown, true) => "have a firing with an unknown result",
            (Self::Test, _) => "test",
        }
    }
}

impl fmt::Display for NotificationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A job in a notification: the event and its cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct NotifiedJob {
    /// The job's name.
    pub job: JobId,
    /// The event in words, as the API and the command line tell it; one line of at most 256 characters.
    pub text: String,
    /// The remedy, if it is known; at most 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// How many ticks or firings it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// The firing that it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firing: Option<FiringId>,
}

/// The maximum length of a text in a notification, in characters.
const MAX_TEXT: usize = 256;

impl NotifiedJob {
    /// Makes the entry of a job. Longer texts are cut.
    #[must_use]
    pub fn new(job: JobId, text: &str) -> Self {
        Self { job, text: shorten(text), remedy: None, since: None, count: None, firing: None }
    }

    pub(crate) fn with_remedy(self, remedy: &str) -> Self {
        Self { remedy: Some(remedy).filter(|remedy| !remedy.is_empty()).map(shorten), ..self }
    }

    pub(crate) fn since(self, since: Timestamp, count: u64) -> Self {
        Self { since: Some(since), count: Some(count), ..self }
    }

    pub(crate) fn with_firing(self, firing: &FiringId) -> Self {
        Self { firing: Some(firing.clone()), ..self }
    }
}

fn shorten(text: &str) -> String {
    let mut line = text.to_owned();
    crate::text::make_line(&mut line);
    match line.char_indices().nth(MAX_TEXT) {
        None => line,
        Some(_) => line.chars().take(MAX_TEXT - 1).chain(['…']).collect(),
    }
}

/// A message about one job, or about several jobs to which the same happened at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Notification {
    /// Its id, which every delivery of it has: at most 64 characters of letters, digits, `-`, `_`.
    pub id: String,
    /// Its kind.
    pub kind: NotificationKind,
    /// When the event was noticed.
    pub at: Timestamp,
    /// The jobs; none in a test.
    pub jobs: Vec<NotifiedJob>,
    /// How many further events of any kind it stands for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(more: &u64) -> bool {
    *more == 0
}

/// The maximum number of names in a summary.
const NAMES_IN_SUMMARY: usize = 10;

impl Notification {
    /// Makes the notification of one job. The same parts make the same id.
    #[must_use]
    pub fn of_job(kind: NotificationKind, at: Timestamp, job: NotifiedJob, parts: &[&str]) -> Self {
        Self { id: hashed_id(kind, parts), kind, at, jobs: vec![job], more: 0 }
    }

    /// Makes a notification that tests a channel.
    #[must_use]
    pub fn test(at: Timestamp) -> Self {
        let (kind, moment) = (NotificationKind::Test, at.to_string());
        Self { id: hashed_id(kind, &[&moment]), kind, at, jobs: Vec::new(), more: 0 }
    }

    /// Makes one notification of several of one kind.
    pub(crate) fn group(kind: NotificationKind, at: Timestamp, members: Vec<Self>) -> Self {
        let ids: Vec<&str> = members.iter().map(|member| member.id.as_str()).collect();
        let id = hashed_id(kind, &ids);
        let more = members.iter().map(|member| member.more).sum();
        let jobs = members.into_iter().flat_map(|member| member.jobs);
        // The remedy of each job is on its page; the message stays short.
        let jobs = jobs.map(|job| NotifiedJob { remedy: None, ..job }).collect();
        Self { id, kind, at, jobs, more }
    }

    /// Describes it in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let more = if self.more == 0 { String::new() } else { format!("; and {} more events", self.more) };
        match self.jobs.as_slice() {
            [] if self.kind == NotificationKind::Test => "this is a test of the channel: it works".to_owned(),
            [job] => {
                let remedy = job.remedy.as_ref().map_or_else(String::new, |remedy| format!(" ({remedy})"));
                format!("job {} {}: {}{remedy}{more}", job.job, self.kind.words(false), job.text)
            }
            jobs => {
                let names = jobs.iter().take(NAMES_IN_SUMMARY).map(|job| job.job.as_str());
                let mut names = names.collect::<Vec<_>>().join(", ");
                if jobs.len() > NAMES_IN_SUMMARY {
                    names.push_str(&format!(" and {} others", jobs.len() - NAMES_IN_SUMMARY));
                }
                format!("{} jobs {}: {names}{more}", jobs.len(), self.kind.words(true))
            }
        }
    }
}

fn hashed_id(kind: NotificationKind, parts: &[&str]) -> String {
    let mut hash = Sha256::new().chain_update(kind.as_str());
    for part in parts {
        hash = hash.chain_update([0]).chain_update(part);
    }
    URL_SAFE_NO_PAD.encode(&hash.finalize()[..18])
}

/// The reason why a notification was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// It may be delivered later.
    #[error("{reason}")]
    Failed {
        /// The failed action, and why it failed.
        reason: String,
        /// How long the receiver asks to wait.
        retry_after: Option<Duration>,
    },
    /// It will never be delivered: the channel does not exist, or wants no notifications any more.
    #[error("{reason}")]
    Refused {
        /// Why.
        reason: String,
    },
}

impl DeliveryError {
    /// Makes the error of a delivery that is retried.
    #[must_use]
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::Failed { reason: reason.into(), retry_after: None }
    }

    /// Makes the error of a delivery that is not retried.
    #[must_use]
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into() }
    }

    /// Sets how long the receiver asks to wait.
    #[must_use]
    pub fn after(self, wait: Option<Duration>) -> Self {
        match self {
            Self::Failed { reason, .. } => Self::Failed { reason, retry_after: wait },
            Self::Refused { .. } => self,
        }
    }
}

/// The configured channels, and the way to deliver notifications through them.
#[async_trait]
pub trait Notifier: fmt::Debug + Send + Sync + 'static {
    /// Returns the names of the channels.
    fn channels(&self) -> &[String];

    /// Returns the rules of jobs that have none of their own.
    fn defaults(&self) -> &[NotifyRule];

    /// Delivers a notification once. It ends within seconds.
    ///
    /// # Errors
    ///
    /// Fails when the receiver did not confirm it. The receiver may have got it nevertheless.
    async fn deliver(&self, channel: &str, notification: &Notification) -> Result<(), DeliveryError>;
}

#[cfg(test)]
mod tests;
