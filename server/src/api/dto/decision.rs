//! Decisions as clients see them.

use ecs_scheduler_core::{
    DecisionDraft, DecisionRecord, Demand, Observation, Rule, Step, TickOutcome, Timestamp,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::enums::{OutcomeName, RuleName};

/// A recorded decision: the outcome of one tick, or of a run of equal ticks.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct DecisionView {
    /// Its position in the journal; a newer decision has a greater one.
    id: u64,
    /// The job's name.
    job: String,
    /// The tick on the schedule; the newest one of a run.
    #[schema(value_type = String, format = DateTime)]
    nominal: Timestamp,
    /// The oldest tick of the run.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// The number of consecutive ticks with this outcome; 0 for a firing by hand, which belongs to no tick.
    ticks: u64,
    #[serde(flatten)]
    body: EvaluationBody,
    /// The firing of this decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    firing: Option<String>,
    /// The launcher's reason, if the firing started fewer tasks than requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) note: Option<String>,
}

/// The decision of a dry run. Nothing was launched and nothing was recorded.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct EvaluationView {
    /// The tick that was evaluated.
    #[schema(value_type = String, format = DateTime)]
    tick: Timestamp,
    #[serde(flatten)]
    body: EvaluationBody,
}

/// A decision and its reasons.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct EvaluationBody {
    /// The time of the decision.
    #[schema(value_type = String, format = DateTime)]
    observed: Timestamp,
    /// The outcome: `pending` while a firing is in progress, then its result. A dry run that would launch has the outcome
    /// `launched`.
    #[schema(value_type = OutcomeName)]
    outcome: TickOutcome,
    /// The trigger's demand of tasks; absent if the trigger was not evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    demand: Option<u32>,
    /// The number of pending and running tasks of the job; absent if they were not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    busy: Option<u32>,
    /// The number of tasks to launch.
    launch: u32,
    /// The number of attempts; present only if the first one failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    tries: Option<u32>,
    /// The steps in one line.
    #[schema(example = "due, taskCount → 2; less 1 already pending or running → 1")]
    explanation: String,
    /// The rules that changed the number, in order.
    steps: Vec<StepView>,
    /// The values that were read.
    observations: Vec<ObservationView>,
}

/// One rule of a decision.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct StepView {
    /// Its name.
    #[schema(value_type = RuleName)]
    rule: Rule,
    /// The number before it.
    before: u32,
    /// The number after it.
    after: u32,
    /// The reason.
    #[serde(rename = "because")]
    reason: String,
}

/// One value that was read.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct ObservationView {
    /// The name of the measured value.
    name: String,
    /// The measured object.
    subject: String,
    /// The value.
    value: f64,
    /// Its unit.
    unit: String,
    /// The time of the value.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// Decisions, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct DecisionPage {
    pub(in crate::api) decisions: Vec<DecisionView>,
    /// A link to older entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) next: Option<String>,
}

impl From<DecisionRecord> for DecisionView {
    fn from(record: DecisionRecord) -> Self {
        Self {
            id: record.id.0,
            job: record.job.to_string(),
            nominal: record.draft.span.last,
            since: record.draft.span.first,
            ticks: record.draft.span.count,
            firing: record.firing.map(|id| id.to_string()),
            note: None,
            body: record.draft.into(),
        }
    }
}

impl From<DecisionDraft> for EvaluationView {
    fn from(draft: DecisionDraft) -> Self {
        Self { tick: draft.span.last, body: draft.into() }
    }
}

impl From<DecisionDraft> for EvaluationBody {
    fn from(draft: DecisionDraft) -> Self {
        let asked = draft.steps.iter().find(|step| step.rule == Rule::Demand).map(|step| step.after);
        let demand = asked.or(match draft.demand {
            Some(Demand::Tasks(tasks)) => Some(tasks.get()),
            Some(Demand::Idle) => Some(0),
            Some(Demand::Floor) | None => None,
        });
        Self {
            observed: draft.observed,
            outcome: draft.outcome,
            demand,
            busy: draft.busy,
            launch: draft.launch,
            tries: Some(draft.tries).filter(|tries| *tries > 1),
            explanation: draft.explanation,
            steps: draft.steps.into_iter().map(StepView::from).collect(),
            observations: draft.observations.into_iter().map(ObservationView::from).collect(),
        }
    }
}

impl From<Step> for StepView {
    fn from(step: Step) -> Self {
        Self { rule: step.rule, before: step.before, after: step.after, reason: step.reason }
    }
}

impl From<Observation> for ObservationView {
    fn from(seen: Observation) -> Self {
        let Observation { name, subject, value, unit, at, .. } = seen;
        Self { name, subject, value, unit, at }
    }
}
