//! Bodies of requests beside jobs, and small answers.

use ecs_scheduler_core::Timestamp;
use ecs_scheduler_core::engine::Brake;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::job::{ContainerOverride, JobDocument, Schedule};
use super::numbers::{count, whole};

/// A schedule to preview.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[serde(rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "only its schema is used: the body is read member by member, to name every wrong one"
)]
pub(in crate::api) struct PreviewRequest {
    /// Job name that resolves each `?` (default `preview`).
    #[schema(pattern = "^[0-9A-Za-z_-]+$", nullable = false)]
    id: Option<String>,
    /// One expression, or several that form a union.
    #[schema(inline)]
    schedule: Schedule,
    /// An IANA name; `UTC` by default.
    #[schema(example = "Europe/Berlin", nullable = false)]
    timezone: Option<String>,
    /// The start of the schedule: no tick is earlier.
    #[schema(format = DateTime, nullable = false)]
    schedule_start: Option<String>,
    /// The end of the schedule: no tick is later.
    #[schema(format = DateTime, nullable = false)]
    schedule_end: Option<String>,
    /// The job's jitter; a jitter longer than the time between two ticks gives a warning.
    #[schema(example = "30s", nullable = false)]
    jitter: Option<String>,
    /// Start time (default now).
    #[schema(format = DateTime, nullable = false)]
    after: Option<String>,
    /// Number of ticks (default 10).
    #[schema(minimum = 1, maximum = 1000, nullable = false)]
    count: Option<u32>,
}

/// The next ticks of a schedule.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Preview {
    /// The schedule in its stored form, with `?` resolved.
    #[schema(value_type = Schedule)]
    pub(in crate::api) schedule: Value,
    /// The schedule in words.
    #[schema(example = "At 02:30:00, Europe/Berlin")]
    pub(in crate::api) description: String,
    /// The next ticks, with the offset valid at that time.
    pub(in crate::api) next: Vec<String>,
    /// Warnings about parts that are valid but probably a mistake.
    pub(in crate::api) warnings: Vec<String>,
    /// The version of the time-zone database.
    #[schema(example = "2026f")]
    pub(in crate::api) tzdb: String,
}

/// The reason and the end of a suspension.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "only its schema is used: it becomes a part of the job's document, which is checked"
)]
pub(in crate::api) struct SuspendRequest {
    /// The reason.
    #[schema(max_length = 1024, example = "waiting for the new data centre")]
    reason: Option<String>,
    /// The person or program that suspends the job.
    #[schema(max_length = 1024)]
    actor: Option<String>,
    /// The end of the suspension.
    #[schema(format = DateTime)]
    until: Option<String>,
}

/// Assumed values; the sources are not read for them.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::api) struct GivenBody {
    /// The demand: the trigger's number of tasks; 0 is idle.
    #[serde(deserialize_with = "whole::<0, _>")]
    #[schema(maximum = 4_294_967_295_u32)]
    pub(in crate::api) demand: Option<u32>,
    /// Number of pending and running tasks of the job.
    #[serde(deserialize_with = "whole::<0, _>")]
    #[schema(maximum = 4_294_967_295_u32)]
    pub(in crate::api) busy: Option<u32>,
    /// Counts of the queue.
    pub(in crate::api) observations: Option<GivenObservations>,
}

/// Assumed counts of a queue. Without `demand` they determine the demand, by the trigger's `messagesPerTask`.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "an object of counts")]
pub(in crate::api) struct GivenObservations {
    /// Messages that can be received.
    #[serde(deserialize_with = "count")]
    #[schema(maximum = 4_294_967_295_u32)]
    pub(in crate::api) visible: u32,
    /// Messages that are received and not deleted.
    #[serde(deserialize_with = "count")]
    #[schema(maximum = 4_294_967_295_u32)]
    pub(in crate::api) in_flight: u32,
}

/// A dry run for a stored job.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "only its schema is used: the body is read member by member, to name every wrong one"
)]
pub(in crate::api) struct EvaluateJobRequest {
    given: Option<GivenBody>,
}

/// A dry run for a job document, which need not be stored.
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
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "only its schema is used: the body is read member by member, to name every wrong one"
)]
pub(in crate::api) struct FireBody {
    /// Number of tasks to start (default `taskCount`). Bounds and overlap apply as for a tick.
    #[schema(minimum = 1, maximum = 4_294_967_295_u32)]
    pub(in crate::api) tasks: Option<u32>,
    /// Overrides of this firing only. Environment variables are added to those of the job's overrides, other fields replace
    /// the job's.
    #[schema(value_type = Option<Vec<ContainerOverride>>)]
    pub(in crate::api) overrides: Option<Vec<serde_json::Value>>,
    /// The moment that the tasks work for, which they get as `ECSS_SCHEDULED_AT`; from 1970 to now (default now).
    #[schema(format = DateTime, example = "2026-01-01T00:00:00Z")]
    pub(in crate::api) scheduled_at: Option<String>,
}

/// Engages the brake.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "only its schema is used: the body is read member by member, to name every wrong one"
)]
pub(in crate::api) struct BrakeRequest {
    /// The reason.
    #[schema(min_length = 1, max_length = 1024, example = "runaway queue")]
    reason: String,
}

/// The state of the brake.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct BrakeView {
    /// True while the brake is on: all launches are stopped.
    pub(in crate::api) on: bool,
    /// The reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) reason: Option<String>,
    /// The time at which the brake was engaged.
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
