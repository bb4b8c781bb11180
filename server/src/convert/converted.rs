//! A converted object: the job, and the remarks about it.

use ecs_scheduler_core::JobId;
use serde::Serialize;
use serde_json::{Map, Value};

/// The beginning of the name of a file that cannot be read.
const FILE: &str = "file ";

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
    /// Makes the remark about a file that cannot be read, or only in part.
    #[must_use]
    pub fn unreadable(file: impl std::fmt::Display, why: impl Into<String>) -> Self {
        let mut remarks = Remarks::default();
        remarks.refuse("", why);
        Self::new(format!("{FILE}{file}"), JobDraft::default(), remarks)
    }

    /// Tells whether this is about a file that cannot be read, or only in part.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.source.starts_with(FILE)
    }

    /// Makes the result from a draft. There is no job if a remark refuses it, because half of an object may mean the opposite.
    pub(super) fn new(source: String, draft: JobDraft, remarks: Remarks) -> Self {
        let sound = remarks.0.iter().all(|remark| remark.kind != RemarkKind::Refused);
        Self { source, job: sound.then_some(Value::Object(draft.0)), remarks: remarks.0 }
    }
}

/// A difference between an object and its job, or a step that is left to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// A path in the object.
    pub field: String,
    /// The kind of difference.
    pub kind: RemarkKind,
    /// The text.
    pub text: String,
}

/// The kind of a remark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RemarkKind {
    /// The field has no counterpart here.
    Lost,
    /// The counterpart behaves differently.
    Changed,
    /// Something must exist before the job can run.
    ToDo,
    /// The object does not become a job.
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
pub(super) struct Remarks(pub(super) Vec<Remark>);

impl Remarks {
    pub(super) fn add(&mut self, kind: RemarkKind, field: impl Into<String>, text: impl Into<String>) {
        self.0.push(Remark { field: field.into(), kind, text: text.into() });
    }

    pub(super) fn lost(&mut self, field: impl Into<String>, text: impl Into<String>) {
        self.add(RemarkKind::Lost, field, text);
    }

    pub(super) fn changed(&mut self, field: impl Into<String>, text: impl Into<String>) {
        self.add(RemarkKind::Changed, field, text);
    }

    pub(super) fn needed(&mut self, field: impl Into<String>, text: impl Into<String>) {
        self.add(RemarkKind::ToDo, field, text);
    }

    pub(super) fn refuse(&mut self, field: impl Into<String>, text: impl Into<String>) {
        self.add(RemarkKind::Refused, field, text);
    }
}

/// A job's document in the making.
#[derive(Debug, Default)]
pub(super) struct JobDraft(pub(super) Map<String, Value>);

impl JobDraft {
    pub(super) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    pub(super) fn set_some(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }
}

/// Makes a valid job name: replaces each invalid character by `-`.
pub(super) fn job_id(name: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '-' };
    name.chars().take(JobId::MAX).map(fit).collect()
}
