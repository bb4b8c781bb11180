//! Filters and orders of jobs, as `GET /jobs` has them.

use std::str::FromStr;

use ecs_scheduler_core::replica::SchedulerNode;
use ecs_scheduler_core::{Labels, Timestamp};
use serde_json::Value;

use super::caller::Caller;
use super::indexed_job::IndexedJob;
use super::job_status::JobStatus;
use super::label::Label;
use super::request::Query;
use crate::config::nearest;

#[cfg(test)]
mod tests;

/// A condition on jobs: all parts that are given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct JobFilter {
    words: Vec<Word>,
    label: Option<Label>,
    trigger: Option<String>,
    suspended: Option<bool>,
    state: Option<JobStatus>,
    /// The labels of the jobs that the caller sees.
    visible: Labels,
}

/// A text, in lower case, that a job must contain, or must not.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    text: String,
    is_excluded: bool,
}

impl JobFilter {
    /// The parameters that it reads.
    pub(super) const PARAMETERS: [&str; 5] = ["q", "label", "trigger", "suspended", "state"];

    /// Reads the parameters of a filter, which may have triggers of these kinds.
    pub(super) fn from_query<'a>(query: &mut Query, kinds: impl Iterator<Item = &'a str>) -> Self {
        let words = query.text("q").unwrap_or_default().split_whitespace().map(Word::parse).collect();
        let label = Label::from_query(query);
        let kinds: Vec<&str> = kinds.chain(["noop"]).collect();
        let trigger = query.text("trigger").map(str::to_owned);
        if let Some(trigger) = trigger.as_deref().filter(|trigger| !kinds.contains(trigger)) {
            let meant = nearest(trigger, kinds.iter().copied());
            let message =
                format!("unknown kind of trigger \"{trigger}\"{meant}; one of {}", kinds.join(", "));
            query.refuse("trigger", message);
        }
        let suspended = query.text("suspended").is_some().then(|| query.flag("suspended"));
        Self { words, label, trigger, suspended, state: query.choice("state"), visible: Labels::new() }
    }

    /// Only accepts jobs that a caller sees.
    pub(super) fn only_visible_to(self, caller: &Caller) -> Self {
        Self { visible: caller.labels().cloned().unwrap_or_default(), ..self }
    }

    /// Tells whether the filter accepts every job.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Tells whether a job passes.
    pub(super) fn matches(&self, engine: &SchedulerNode, job: &IndexedJob, now: Timestamp) -> bool {
        self.matches_document(job, now) && self.state.is_none_or(|state| state == job.status(engine, now))
    }

    /// Tells whether a job passes, whatever its state is.
    pub(super) fn matches_document(&self, job: &IndexedJob, now: Timestamp) -> bool {
        self.visible.iter().all(|(name, value)| job.labels.get(name).and_then(Value::as_str) == Some(value))
            && self.trigger.as_ref().is_none_or(|trigger| *trigger == job.trigger)
            && self.suspended.is_none_or(|suspended| suspended == job.is_suspended(now))
            && self.label.as_ref().is_none_or(|label| label.is_among(&job.labels))
            && self.words.iter().all(|word| job.text.contains(&word.text) != word.is_excluded)
    }

    /// Tells whether the filter depends on the newest settled ticks.
    pub(super) fn needs_progress(&self) -> bool {
        matches!(self.state, Some(JobStatus::Late | JobStatus::Ok))
    }
}

impl Word {
    fn parse(text: &str) -> Self {
        let text = text.to_lowercase();
        match text.strip_prefix('-').filter(|rest| !rest.is_empty()) {
            Some(rest) => Self { text: rest.to_owned(), is_excluded: true },
            None => Self { text, is_excluded: false },
        }
    }
}

/// The order of jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sort {
    by: SortKey,
    /// Whether the order is reversed.
    pub(super) is_reversed: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum SortKey {
    #[default]
    Created,
    Id,
    Next,
}

/// A value that jobs are sorted by; equal ones in the order of their creation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SortValue {
    Created,
    Id(String),
    Next(Timestamp),
    NoNext,
}

impl Sort {
    /// Every order.
    pub(super) const NAMES: [&str; 6] = ["created", "-created", "id", "-id", "next", "-next"];

    /// Returns what a job is sorted by.
    pub(super) fn key(self, job: &mut IndexedJob, now: Timestamp) -> SortValue {
        match self.by {
            SortKey::Created => SortValue::Created,
            SortKey::Id => SortValue::Id(job.id().to_owned()),
            SortKey::Next => job.next(now).map_or(SortValue::NoNext, SortValue::Next),
        }
    }

    /// Tells whether the order is another one than that of creation.
    pub(super) fn is_by_key(self) -> bool {
        self.by != SortKey::Created
    }
}

impl FromStr for Sort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.strip_prefix('-').unwrap_or(text);
        let by = match name {
            "created" => SortKey::Created,
            "id" => SortKey::Id,
            "next" => SortKey::Next,
            _ => {
                let meant = nearest(text, Self::NAMES.into_iter());
                return Err(format!("unknown order \"{text}\"{meant}; one of {}", Self::NAMES.join(", ")));
            }
        };
        Ok(Self { by, is_reversed: text.starts_with('-') })
    }
}
