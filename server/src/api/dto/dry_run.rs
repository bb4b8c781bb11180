//! The answer to a dry run of a write.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::decision::EvaluationView;
use super::job::{JobDocument, Reference};

/// The effect of a write, and the job that it would make. Nothing was written.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct DryRunView {
    /// The job's name.
    pub(in crate::api) id: String,
    /// The effect of the write.
    pub(in crate::api) effect: WriteEffect,
    /// The document as it would be stored, in its canonical form.
    #[schema(value_type = JobDocument)]
    pub(in crate::api) document: Map<String, Value>,
    /// The differences from the stored document; of a new job, all of its fields.
    pub(in crate::api) diff: Vec<Difference>,
    /// The schedule in words.
    #[schema(example = "At 02:30 every day, Europe/Berlin")]
    pub(in crate::api) description: String,
    /// The next ten ticks, with the offset valid at that time.
    pub(in crate::api) next: Vec<String>,
    /// The decision about a tick that is due now; absent if it took more than 8 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::api) evaluation: Option<EvaluationView>,
    /// Warnings about parts that are valid but probably a mistake.
    pub(in crate::api) warnings: Vec<String>,
}

/// The effect of a write: a new job, a new version of the stored one, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) enum WriteEffect {
    /// A new job.
    Create,
    /// A new version.
    Change,
    /// The stored document stays as it is.
    None,
}

/// One value that differs.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(in crate::api) struct Difference {
    /// A JSON pointer into the document.
    #[schema(example = "/taskCount")]
    pub(in crate::api) pointer: String,
    /// The stored value; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = AnyValue, required = false)]
    pub(in crate::api) before: Option<Value>,
    /// The new value; absent if it is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = AnyValue, required = false)]
    pub(in crate::api) after: Option<Value>,
}

/// Any JSON value.
#[derive(Debug)]
pub(in crate::api) enum AnyValue {}

impl PartialSchema for AnyValue {
    fn schema() -> RefOr<Schema> {
        let any = ObjectBuilder::new().schema_type(utoipa::openapi::schema::SchemaType::AnyValue);
        any.description(Some("Any JSON value.")).into()
    }
}

impl ToSchema for AnyValue {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("AnyValue")
    }
}

/// The answer to a change: the job's name and the link to it, or the result of a dry run.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used: each answer is written by its own type")]
pub(in crate::api) enum ChangeAnswer {
    Changed(Reference),
    DryRun(DryRunView),
}
