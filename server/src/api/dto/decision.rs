//! Decisions as clients see them.

use ecs_scheduler_core::{DecisionDraft, DecisionRecord, Demand, Observation, Rule, Step, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// A recorded decision: how one tick, or a run of equal ones, ended.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct DecisionView {
    /// Its place in the journal; newer is greater.
    id: u64,
    /// The job's name.
    job: String,
    /// The tick on the schedule; the newest one of a run.
    #[schema(value_type = String, format = DateTime)]
    nominal: Timestamp,
    /// The oldest tick of the run.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// How many ticks ended like this in a row; 0 for a firing by hand, which belongs to no tick.
    ticks: u64,
    #[serde(flatten)]
    body: EvaluationBody,
    /// The firing that came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    firing: Option<String>,
    /// Why the firing started fewer tasks than asked for, in the launcher's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) note: Option<String>,
}

/// What would be decided now. Nothing was launched and nothing was recorded.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct EvaluationView {
    /// The moment that was taken for the tick.
    #[schema(value_type = String, format = DateTime)]
    tick: Timestamp,
    #[serde(flatten)]
    body: EvaluationBody,
}

/// A decision and its reasons.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct EvaluationBody {
    /// When it was decided.
    #[schema(value_type = String, format = DateTime)]
    observed: Timestamp,
    /// How it ended: `pending` while a firing is under way, then what came of it. An evaluation that would launch says
    /// `launched`: what would come of it, if every task starts.
    #[schema(example = "launched")]
    outcome: String,
    /// How many tasks the outside world asked for; absent when that was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    demand: Option<u32>,
    /// How many of the job's own tasks were pending or running; absent when that was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    busy: Option<u32>,
    /// How many tasks were to be launched.
    launch: u32,
    /// How often the tick was tried; only when it could not be decided at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    tries: Option<u32>,
    /// The steps in one line.
    #[schema(example = "due, taskCount → 2; less 1 already pending or running → 1")]
    explanation: String,
    /// The rules that changed the number, in order.
    steps: Vec<StepView>,
    /// The numbers it rests on.
    observations: Vec<ObservationView>,
}

/// One rule of a decision.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct StepView {
    /// Its name: `demand`, `floor`, `cap`, `mode`, `overlap`, `cooldown`, `budget`, `need`.
    rule: &'static str,
    /// The number before it.
    before: u32,
    /// The number after it.
    after: u32,
    /// Why.
    because: String,
}

/// One number as it was read.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct ObservationView {
    /// What was measured.
    name: String,
    /// Of what.
    subject: String,
    /// The number.
    value: f64,
    /// Its unit.
    unit: String,
    /// When it was true.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// Decisions, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct DecisionPage {
    pub(in crate::api) decisions: Vec<DecisionView>,
    /// A link to older ones.
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
            outcome: draft.outcome.to_string(),
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
        Self { rule: step.rule.as_str(), before: step.before, after: step.after, because: step.because }
    }
}

impl From<Observation> for ObservationView {
    fn from(seen: Observation) -> Self {
        let Observation { name, subject, value, unit, at } = seen;
        Self { name, subject, value, unit, at }
    }
}
