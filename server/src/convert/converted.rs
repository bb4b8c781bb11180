//! A converted object: the job, and the remarks about it.

use ecs_scheduler_core::JobId;
use serde::Serialize;
use serde_json::{Map, Value};

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
    pub(super) fn new(source: String, draft: JobDraft, remarks: Remarks) -> Self {
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

/// Makes a job's name of another one: what a name cannot have becomes `-`.
pub(super) fn job_id(name: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '-' };
    name.chars().take(JobId::MAX).map(fit).collect()
}
