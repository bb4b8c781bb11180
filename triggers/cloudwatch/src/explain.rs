//! Conclusions in words, and the numbers they rest on.

use ecs_scheduler_core::{Demand, Evaluation, FaultKind, Observation, Timestamp, TriggerError};

use crate::alarm::{Amount, Rule, Verdict};
use crate::config::Comparison;
use crate::limits;
use crate::query::{Query, Series};

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

/// Makes an evaluation of a verdict.
///
/// # Errors
///
/// Fails when too much is missing to tell, and when a value is no number.
pub(crate) fn conclude(
    rule: &Rule,
    verdict: &Verdict,
    query: &Query,
    period: u32,
    at: Timestamp,
) -> Result<Evaluation, TriggerError> {
    let series = &query.series;
    let newest = verdict.newest.map(|point| point.value);
    if newest.is_some_and(|value| !value.is_finite()) {
        let message = format!("could not read {series}: CloudWatch returned a value that is no number");
        return Err(TriggerError::new(FaultKind::Unavailable, message));
    }
    let Some(breach) = verdict.breach else { return Err(unknown(rule, verdict, series, period)) };
    let condition = condition(rule, verdict, name(series));
    let concluded = if breach {
        let demand = rule.amount.demand(newest);
        let because = format!("{condition}{}", share(&rule.amount, newest, demand));
        Evaluation { demand, because, observations: Vec::new(), queue: None }
    } else {
        Evaluation::idle(condition)
    };
    let observed = |name: &str, value: f64, unit: &str, at: Timestamp| Observation {
        name: name.to_owned(),
        subject: series.to_string(),
        value,
        unit: unit.to_owned(),
        at,
    };
    let mut evaluation = concluded;
    if let Some(point) = verdict.newest {
        let began = Timestamp::from_second(point.start).unwrap_or(at);
        evaluation = evaluation.observing(observed(name(series), point.value, unit(series), began));
    }
    if rule.periods > 1 || verdict.missing > 0 {
        let breaching = f64::from(verdict.breaching);
        let missing = f64::from(verdict.missing);
        evaluation = evaluation
            .observing(observed("breaching", breaching, "datapoints", at))
            .observing(observed("missing", missing, "datapoints", at));
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
fn condition(rule: &Rule, verdict: &Verdict, name: &str) -> String {
    let (sign, threshold) = (rule.comparison.as_str(), rule.threshold);
    let holds = verdict.breach == Some(true);
    let newest = verdict.newest.map(|point| point.value);
    if let (1, 0, Some(value)) = (rule.periods, verdict.missing, newest) {
        return format!("{name} {value}{} {sign} {threshold}", if holds { "" } else { ", not" });
    }
    let mut words =
        format!("{} of {} datapoints of {name} {sign} {threshold}", verdict.breaching, rule.periods);
    if verdict.missing > 0 {
        let counted = if rule.missing == crate::Missing::Breaching { "breaching" } else { "not breaching" };
        words.push_str(&format!(", {} missing and taken for {counted}", verdict.missing));
    }
    if !holds {
        words.push_str(&format!(", {} are needed", rule.datapoints));
    }
    if let Some(value) = newest {
        words.push_str(&format!(", the newest {value}"));
    }
    words
}

/// How the amount came about, to be put behind the condition.
fn share(amount: &Amount, newest: Option<f64>, demand: Demand) -> String {
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

/// Missing data that is held is an error, so that the job's `onError` says what then.
fn unknown(rule: &Rule, verdict: &Verdict, series: &Series, period: u32) -> TriggerError {
    let remedy = "set `delay` if it arrives late, or `treatMissingData`";
    if verdict.newest.is_none() {
        let units = units(series);
        let unit = if units.is_empty() {
            String::new()
        } else {
            format!("; data with another `unit` than {} do not count", units.join(", "))
        };
        let daily = if period < limits::LONGEST_PERIOD {
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
        verdict.missing, rule.periods
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
