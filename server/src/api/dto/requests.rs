//! Bodies of requests beside jobs, and small answers.

use ecs_scheduler_core::Timestamp;
use ecs_scheduler_core::engine::Brake;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::job::{JobDocument, Schedule};

/// A schedule to look at.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[serde(rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "only its schema is used: the body is read member by member, to name every wrong one"
)]
pub(in crate::api) struct PreviewRequest {
    /// The job whose name decides about each `?`; without it they show what a job called `preview` would get.
    #[schema(pattern = "^[0-9A-Za-z_-]+$", nullable = false)]
    id: Option<String>,
    /// One expression, or several whose union is meant.
    #[schema(inline)]
    schedule: Schedule,
    /// An IANA name; `UTC` by default.
    #[schema(example = "Europe/Berlin", nullable = false)]
    timezone: Option<String>,
    /// No tick lies before it.
    #[schema(format = DateTime, nullable = false)]
    schedule_start: Option<String>,
    /// No tick lies after it.
    #[schema(format = DateTime, nullable = false)]
    schedule_end: Option<String>,
    /// The job's jitter; one that is longer than the time between two ticks is warned of.
    #[schema(example = "30s", nullable = false)]
    jitter: Option<String>,
    /// List ticks later than this moment; now by default.
    #[schema(format = DateTime, nullable = false)]
    after: Option<String>,
    /// How many ticks; 10 by default.
    #[schema(minimum = 1, maximum = 1000, nullable = false)]
    count: Option<u32>,
}

/// When a schedule fires.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Preview {
    /// The schedule as it would be stored, `?` resolved.
    #[schema(value_type = Schedule)]
    pub(in crate::api) schedule: Value,
    /// It in words.
    #[schema(example = "At 02:30:00, Europe/Berlin")]
    pub(in crate::api) description: String,
    /// The next ticks, with the offset that holds then.
    pub(in crate::api) next: Vec<String>,
    /// What is valid and probably not meant.
    pub(in crate::api) warnings: Vec<String>,
    /// The version of the time-zone database.
    #[schema(example = "2026f")]
    pub(in crate::api) tzdb: String,
}

/// Why a job is suspended, and for how long.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "only its schema is used: it becomes a part of the job's document, which is checked"
)]
pub(in crate::api) struct SuspendRequest {
    /// Why.
    #[schema(max_length = 1024, example = "waiting for the new data centre")]
    reason: Option<String>,
    /// Who suspends it.
    #[schema(max_length = 1024)]
    actor: Option<String>,
    /// When it ends by itself.
    #[schema(format = DateTime)]
    until: Option<String>,
}

/// What to assume instead of reading it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::api) struct GivenBody {
    /// How many tasks the outside world asks for; 0 is idle.
    #[schema(maximum = 4_294_967_295_u32)]
    pub(in crate::api) demand: Option<u32>,
    /// How many of the job's own tasks are pending or running.
    #[schema(maximum = 4_294_967_295_u32)]
    pub(in crate::api) busy: Option<u32>,
    /// What a trigger that counts a queue reads of it.
    pub(in crate::api) observations: Option<GivenObservations>,
}

/// Counts of a queue to assume. Without `demand` they say how many tasks are asked for, by the trigger's
/// `messagesPerTask`.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::api) struct GivenObservations {
    /// Messages that can be received.
    #[schema(maximum = 4_294_967_295_u32)]
    pub(in crate::api) visible: u32,
    /// Messages that are received and not deleted.
    #[schema(maximum = 4_294_967_295_u32)]
    pub(in crate::api) in_flight: u32,
}

/// An evaluation of a stored job.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "only its schema is used: the body is read member by member, to name every wrong one"
)]
pub(in crate::api) struct EvaluateJobRequest {
    given: Option<GivenBody>,
}

/// An evaluation of a job that need not be stored.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "only its schema is used: the body is read member by member, to name every wrong one"
)]
pub(in crate::api) struct EvaluateRequest {
    job: JobDocument,
    given: Option<GivenBody>,
}

/// A firing by hand.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::api) struct FireBody {
    /// How many tasks to ask for; `taskCount` by default. Bounds and overlap hold as for a tick.
    #[schema(minimum = 1, maximum = 4_294_967_295_u32, value_type = Option<u32>)]
    pub(in crate::api) tasks: Option<std::num::NonZeroU32>,
}

/// A reason to stop all launches.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "only its schema is used: the body is read member by member, to name every wrong one"
)]
pub(in crate::api) struct BrakeRequest {
    /// Why.
    #[schema(min_length = 1, max_length = 1024, example = "runaway queue")]
    reason: String,
}

/// Whether all launches are stopped.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct BrakeView {
    /// Whether they are.
    pub(in crate::api) on: bool,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) reason: Option<String>,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(in crate::api) since: Option<Timestamp>,
}

impl From<Option<Brake>> for BrakeView {
    fn from(brake: Option<Brake>) -> Self {
        let (reason, since) = brake.map(|brake| (brake.reason, brake.since)).unzip();
        Self { on: reason.is_some(), reason, since }
    }
}
