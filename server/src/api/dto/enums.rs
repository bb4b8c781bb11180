//! Enums of the API: sets of names that the core defines.

use std::borrow::Cow;

use ecs_scheduler_core::backfill::BackfillState;
use ecs_scheduler_core::{FiringState, Origin, Rule, TaskEnd, TickOutcome};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::api::job_status::JobStatus;

/// Defines the schema of a set of names, as a component of the OpenAPI document.
macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident as $component:literal: $words:expr) => {
        $(#[doc = $doc])+
        #[derive(Debug)]
        pub(in crate::api) enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let words = ObjectBuilder::new().schema_type(Type::String).enum_values(Some($words));
                words.description(Some(concat!($($doc),+).trim())).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($component)
            }
        }
    };
}

words!(
    /// The outcome of a tick.
    OutcomeName as "Outcome": TickOutcome::occurring().map(TickOutcome::as_str)
);
words!(
    /// The state of a firing.
    FiringStateName as "FiringState": FiringState::ALL.map(FiringState::as_str)
);
words!(
    /// The origin of a firing: `tick`, `hand`, `retry` for failed tasks that start again, or `backfill`.
    OriginName as "Origin": Origin::ALL.map(Origin::as_str)
);
words!(
    /// The state of a backfill. That of a removed job cannot be read.
    BackfillStateName as "BackfillState": BackfillState::ALL.into_iter()
        .filter(|state| *state != BackfillState::JobRemoved).map(BackfillState::as_str)
);
words!(
    /// The state of a job.
    JobStateName as "JobState": JobStatus::ALL.map(JobStatus::as_str)
);
/// Returns the schema of the state of a job.
pub(super) fn job_state() -> serde_json::Value {
    serde_json::to_value(JobStateName::schema()).expect("a schema is plain data")
}

words!(
    /// The end of a task, or of the tasks of a firing together.
    TaskOutcomeName as "TaskOutcome": TaskEnd::ALL.map(TaskEnd::as_str)
);
words!(
    /// A rule that changes the number of tasks.
    RuleName as "Rule": Rule::occurring().map(Rule::as_str)
);
