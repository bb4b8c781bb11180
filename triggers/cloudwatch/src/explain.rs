//! Explanations of evaluations, and the observations that they rest on.

use ecs_scheduler_core::{Demand, Evaluation, FaultKind, Observation, Timestamp, TriggerError};

use crate::alarm::{AlarmRule, AlarmState, Amount};
use crate::config::Comparison;
use crate::limits;
use crate::query::{MetricQuery, Series};

impl Comparison {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::Below => "<",
            Self::AtMost => "<=",
        }
    }
}

/// Makes an evaluation of an alarm state.
///
/// # Errors
///
/// Fails if too many datapoints are missing, and if a value is no number.
pub(crate) fn to_evaluation(
    rule: &AlarmRule,
    state: &AlarmState,
    query: &MetricQuery,
    period: u32,
    at: Timestamp,
) -> Result<Evaluation, TriggerError> {
    let series = &query.series;
    let newest = state.newest.map(|point| point.value);
    if newest.is_some_and(|value| !value.is_finite()) {
        let message = format!("could not read {series}: CloudWatch returned a value that is no number");
        return Err(TriggerError::new(FaultKind::Unavailable, message));
    }
    let Some(breach) = state.breach else { return Err(missing_data_error(rule, state, series, period)) };
    let condition = explain_condition(rule, state, name(series));
    let mut evaluation = if breach {
        let demand = rule.amount.demand(newest);
        let reason = format!("{condition}{}", explain_amount(&rule.amount, newest, demand));
        Evaluation::new(demand, reason)
    } else {
        Evaluation::idle(condition)
    };
    let observed = |name: &str, value: f64, unit: &str, at: Timestamp| {
        Observation::new(name, series.to_string(), value, unit, at)
    };
    if let Some(point) = state.newest {
        let began = Timestamp::from_second(point.start).unwrap_or(at);
        evaluation = evaluation.with_observation(observed(name(series), point.value, unit(series), began));
    }
    if rule.periods > 1 || state.missing > 0 {
        let breaching = f64::from(state.breaching);
        let missing = f64::from(state.missing);
        evaluation = evaluation
            .with_observation(observed("breaching", breaching, "datapoints", at))
            .with_observation(observed("missing", missing, "datapoints", at));
    }
    Ok(evaluation)
}

fn name(series: &Series) -> &str {
    match series {
        Series::Metric(metric) => &metric.name,
        Series::Math { .. } => "expression",
    }
}

fn unit(series: &Series) -> &str {
    match series {
        Series::Metric(metric) => metric.unit.as_deref().unwrap_or("none"),
        Series::Math { .. } => "none",
    }
}

/// `Backlog 1150 > 1000`, or `2 of 3 datapoints of Backlog > 1000, the newest 1150`.
fn explain_condition(rule: &AlarmRule, state: &AlarmState, name: &str) -> String {
    let (sign, threshold) = (rule.comparison.as_str(), rule.threshold);
    let holds = state.breach == Some(true);
    let newest = state.newest.map(|point| point.value);
    if let (1, 0, Some(value)) = (rule.periods, state.missing, newest) {
        return format!("{name} {value}{} {sign} {threshold}", if holds { "" } else { ", not" });
    }
    let mut text = format!("{} of {} datapoints of {name} {sign} {threshold}", state.breaching, rule.periods);
    if state.missing > 0 {
        let counted =
            if rule.missing == crate::MissingData::Breaching { "breaching" } else { "not breaching" };
        text.push_str(&format!(", {} missing and taken for {counted}", state.missing));
    }
    if !holds {
        text.push_str(&format!(", {} are needed", rule.datapoints));
    }
    if let Some(value) = newest {
        text.push_str(&format!(", the newest {value}"));
    }
    text
}

/// Explains the number of tasks, to be appended to the condition.
fn explain_amount(amount: &Amount, newest: Option<f64>, demand: Demand) -> String {
    match (amount, newest, demand) {
        (Amount::Per(each), Some(value), Demand::Tasks(_)) => {
            let rounded = if (value / each).fract() == 0.0 { "" } else { ", rounded up" };
            format!("; {value} ÷ {each} per task{rounded}")
        }
        (Amount::Steps(steps), Some(value), Demand::Tasks(tasks)) => {
            let over = steps.iter().rev().find(|(over, _)| value > *over).map_or(0.0, |(over, _)| *over);
            format!("; over {over} asks for {tasks}")
        }
        (Amount::Floor, _, _)
        | (_, None, _)
        | (Amount::Per(_) | Amount::Steps(_), Some(_), Demand::Floor | Demand::Idle) => String::new(),
    }
}

/// Makes the error for missing data that is held; the job's `onError` then decides.
fn missing_data_error(rule: &AlarmRule, state: &AlarmState, series: &Series, period: u32) -> TriggerError {
    let remedy = "set `delay` if it arrives late, or `treatMissingData`";
    if state.newest.is_none() {
        let units = units(series);
        let unit = if units.is_empty() {
            String::new()
        } else {
            format!("; data with another `unit` than {} do not count", units.join(", "))
        };
        let daily = if period < limits::MAX_PERIOD {
            "; a metric that is published once a day needs the `period` \"1d\""
        } else {
            ""
        };
        let message = format!(
            "there is no datapoint of {series}; check its namespace, name and dimensions{unit}{daily}; {remedy} if that is \
             normal"
        );
        return TriggerError::new(FaultKind::NotFound, message);
    }
    let message = format!(
        "{} of {} datapoints of {series} are missing, too many to tell; {remedy}",
        state.missing, rule.periods
    );
    TriggerError::new(FaultKind::Unavailable, message)
}

/// Returns the units that the metrics are limited to.
fn units(series: &Series) -> Vec<&str> {
    match series {
        Series::Metric(metric) => metric.unit.as_deref().into_iter().collect(),
        Series::Math { metrics, .. } => {
            let mut units: Vec<&str> =
                metrics.iter().filter_map(|(_, metric)| metric.unit.as_deref()).collect();
            units.sort_unstable();
            units.dedup();
            units
        }
    }
}
