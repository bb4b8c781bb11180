//! The notifications of a job (`notify`): which of its events go to which channel.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One entry of `notify`: a channel, and the events of the job that go there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotifyRule {
    /// The name of a configured channel.
    pub to: String,
    /// The events; at least one.
    pub on: Vec<NotifyCondition>,
}

impl NotifyRule {
    /// Tells whether events of this kind go to the channel.
    #[must_use]
    pub fn has(&self, condition: NotifyCondition) -> bool {
        self.on.contains(&condition)
    }

    /// Iterates over the numbers of failures after which the channel is notified (`failing:N`).
    pub fn failing(&self) -> impl Iterator<Item = NonZeroU32> {
        self.on.iter().filter_map(|condition| {
            if let NotifyCondition::Failing(failures) = condition { Some(*failures) } else { None }
        })
    }

    /// Iterates over the delays after which the channel is notified (`late:D`).
    pub fn late(&self) -> impl Iterator<Item = Duration> {
        self.on.iter().filter_map(|condition| {
            if let NotifyCondition::Late(delay) = condition { Some(*delay) } else { None }
        })
    }
}

/// An event of a job that a channel is notified of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum NotifyCondition {
    /// So many ticks, or the tasks of so many firings, failed in a row (`failing:N`); 1…1,000.
    Failing(NonZeroU32),
    /// A job that was reported as failing works again.
    Recovered,
    /// Ticks were reached too late, outside of the catch-up window.
    Missed,
    /// A tick was due so long ago, besides `jitter`, and has no outcome (`late:D`); 1 m…31 days.
    Late(Duration),
    /// The job was suspended.
    Suspended,
    /// It cannot be determined whether a firing started tasks.
    Unknown,
}
