//! Rows of a list of jobs.

use ecs_scheduler_core::TickOutcome;
use serde::Serialize;
use utoipa::ToSchema;

use super::enums::{JobStateName, OutcomeName};

/// A job as a row of a list: about 300 bytes. `fields` chooses its members; members without a value are absent.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(in crate::api) struct JobRow {
    /// The job's name.
    pub(in crate::api) id: String,
    /// The schedule in words, at most 48 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "At 02:30 every day")]
    pub(in crate::api) words: Option<String>,
    /// The time zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "Europe/Berlin")]
    pub(in crate::api) zone: Option<String>,
    /// The state.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<JobStateName>, nullable = false)]
    pub(in crate::api) state: Option<&'static str>,
    /// The outcome of the newest tick or firing by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<OutcomeName>, nullable = false)]
    pub(in crate::api) outcome: Option<TickOutcome>,
    /// Its explanation, at most 48 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::api) reason: Option<String>,
    /// The next tick, in the job's zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    pub(in crate::api) next: Option<String>,
    /// The number of its tasks that are pending or running; absent if another replica owns the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::api) running: Option<usize>,
    /// A letter for each of the 60 newest outcomes, oldest first: `L` launched, `P` partial, `p` pending, `s` satisfied, `i` idle,
    /// `c` capped, `b` budget, `w` cooldown, `o` skipped_overlap, `u` suspended, `f` coalesced, `m` missed, `E` source_error,
    /// `V` live_unknown, `F` launch_failed, `X` unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_length = 60, example = "iiiiLiiiLLEL")]
    pub(in crate::api) outcomes: Option<String>,
}

impl JobRow {
    /// The names of its members.
    pub(in crate::api) const FIELDS: [&'static str; 9] =
        ["id", "words", "zone", "state", "outcome", "reason", "next", "running", "outcomes"];

    /// Removes other members than these; the name stays.
    pub(in crate::api) fn keep(&mut self, fields: &[&str]) {
        fn clear<T>(fields: &[&str], name: &str, member: &mut Option<T>) {
            if !fields.contains(&name) {
                *member = None;
            }
        }
        clear(fields, "words", &mut self.words);
        clear(fields, "zone", &mut self.zone);
        clear(fields, "state", &mut self.state);
        clear(fields, "outcome", &mut self.outcome);
        clear(fields, "reason", &mut self.reason);
        clear(fields, "next", &mut self.next);
        clear(fields, "running", &mut self.running);
        clear(fields, "outcomes", &mut self.outcomes);
    }
}
