//! Converts jobs of other schedulers, and lists everything that has no counterpart here.
//!
//! Every object that is found gives a [`Converted`]: a job document, or none, and remarks. A field that nobody asked for
//! ends as a remark too (`Fields::report_unread`), so that nothing is left out silently.

pub mod eventbridge;
pub mod keda;

mod fields;

use std::num::NonZeroU32;

use ecs_scheduler_core::job::{JobContext, prepare_create};
use ecs_scheduler_core::schedule::Strictness;
use ecs_scheduler_core::{JobId, Launcher, Timestamp, TriggerRegistry};
use serde::Serialize;
use serde_json::{Map, Value};

use fields::Fields;

#[cfg(test)]
mod tests;

/// The result of converting one object.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Converted {
    /// The object, as its owner names it: `ScaledJob prod/orders`.
    pub source: String,
    /// The job's document.
    pub job: Option<Value>,
    /// Differences, and steps left to do.
    pub remarks: Vec<Remark>,
}

impl Converted {
    /// Says of a file why nothing in it, or nothing further, could be read.
    #[must_use]
    pub fn unreadable(file: impl std::fmt::Display, why: impl Into<String>) -> Self {
        let mut remarks = Remarks::default();
        remarks.refuse("", why);
        Self::new(format!("file {file}"), JobDraft::default(), remarks)
    }

    /// Makes one of a draft, unless something about it was refused: half of what an object says may mean the opposite.
    fn new(source: String, draft: JobDraft, remarks: Remarks) -> Self {
        let sound = remarks.0.iter().all(|remark| remark.kind != RemarkKind::Refused);
        Self { source, job: sound.then_some(Value::Object(draft.0)), remarks: remarks.0 }
    }
}

/// Something about an object that a person should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// A path in the object.
    pub field: String,
    /// How grave it is.
    pub kind: RemarkKind,
    /// The text.
    pub text: String,
}

/// How grave a remark is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RemarkKind {
    /// It has no counterpart here.
    Lost,
    /// It means something else here.
    Changed,
    /// It is needed before the job can run.
    ToDo,
    /// The object gives no job.
    Refused,
}

impl RemarkKind {
    /// Returns the word for tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Changed => "changed",
            Self::ToDo => "to do",
            Self::Refused => "refused",
        }
    }
}

/// Collects the remarks about an object.
#[derive(Debug, Default)]
struct Remarks(Vec<Remark>);

impl Remarks {
    fn add(&mut self, kind: RemarkKind, field: impl Into<String>, text: impl Into<String>) {
        self.0.push(Remark { field: field.into(), kind, text: text.into() });
    }

    fn lost(&mut self, field: impl Into<String>, text: impl Into<String>) {
        self.add(RemarkKind::Lost, field, text);
    }

    fn changed(&mut self, field: impl Into<String>, text: impl Into<String>) {
        self.add(RemarkKind::Changed, field, text);
    }

    fn needed(&mut self, field: impl Into<String>, text: impl Into<String>) {
        self.add(RemarkKind::ToDo, field, text);
    }

    fn refuse(&mut self, field: impl Into<String>, text: impl Into<String>) {
        self.add(RemarkKind::Refused, field, text);
    }
}

/// A job's document in the making.
#[derive(Debug, Default)]
struct JobDraft(Map<String, Value>);

impl JobDraft {
    fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    fn set_some(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }
}

/// Makes a job's name of another one: what a name cannot have becomes `-`.
fn job_id(name: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '-' };
    name.chars().take(JobId::MAX).map(fit).collect()
}

/// The context of checks.
#[derive(Debug)]
pub struct Checks<'a> {
    /// The installed kinds of trigger.
    pub registry: &'a TriggerRegistry,
    /// The bound of every job.
    pub max_tasks: NonZeroU32,
    /// Checks `launch`; nothing is checked without one.
    pub launcher: Option<&'a dyn Launcher>,
    /// The present moment.
    pub now: Timestamp,
}

/// Checks each job as a `POST` would, and that no two have one name. A job that is found wrong goes, with a remark for
/// every wrong field; the others become what would be stored.
pub fn check(converted: &mut [Converted], checks: &Checks<'_>) {
    let mut names = std::collections::HashSet::new();
    for one in converted {
        let Some(document) = one.job.take() else { continue };
        let cx = JobContext {
            registry: checks.registry,
            max_tasks: checks.max_tasks,
            strictness: Strictness::Strict,
            launcher: checks.launcher,
        };
        let name = document["id"].as_str().unwrap_or_default().to_owned();
        let mut remarks = Remarks(std::mem::take(&mut one.remarks));
        match prepare_create(document.clone(), &cx, checks.now) {
            Ok(_) if !names.insert(name.clone()) => {
                remarks
                    .refuse("id", format!("another object gives job \"{name}\" already; rename one of them"));
            }
            Ok(_) => one.job = Some(document),
            Err(errors) => {
                for error in errors {
                    let text = error.explained();
                    remarks.refuse(error.pointer, text);
                }
            }
        }
        one.remarks = remarks.0;
    }
}
