//! Validation of a configuration: the query to read, and the rule that evaluates it. Errors point to the field.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_cloudwatch::types::StandardUnit;
use ecs_scheduler_backend_aws::AwsScope;
use ecs_scheduler_core::ConfigError;
use ecs_scheduler_core::job::parse_duration;

use crate::alarm::{AlarmRule, Amount};
use crate::config::{CloudWatchConfig, MetricConfig, Span};
use crate::expression::Expression;
use crate::query::{Metric, MetricQuery, Series};
use crate::{limits, stat, window};

#[cfg(test)]
mod tests;

/// The validated configuration of a job's trigger.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct QueryPlan {
    pub(crate) scope: AwsScope,
    pub(crate) query: Arc<MetricQuery>,
    /// The length of a datapoint in seconds.
    pub(crate) period: u32,
    /// Minimum age of the newest datapoint's end, in seconds.
    pub(crate) delay: u32,
    pub(crate) rule: AlarmRule,
}

impl QueryPlan {
    /// Checks a configuration.
    ///
    /// # Errors
    ///
    /// Fails with the first field that is wrong.
    pub(crate) fn from_config(config: &CloudWatchConfig) -> Result<Self, ConfigError> {
        let scope = AwsScope::new(config.region.as_deref(), config.account_id.as_deref())?;
        let series = series(config)?;
        let period = period(&config.period)?;
        let delay = seconds(&config.delay, "/delay")?;
        if delay > limits::MAX_DELAY {
            return Err(ConfigError::at("/delay", "must be a day at most"));
        }
        let rule = rule(config)?;
        check_retention(period, delay, rule.periods)?;
        let query = Arc::new(MetricQuery { series, account: config.account_id.clone() });
        Ok(Self { scope, query, period, delay, rule })
    }
}

fn series(config: &CloudWatchConfig) -> Result<Series, ConfigError> {
    let Some(expression) = &config.expression else {
        if !config.metrics.is_empty() {
            return Err(ConfigError::at("/metrics", "belongs to `expression`, which is missing"));
        }
        let (Some(namespace), Some(name)) = (&config.namespace, &config.metric_name) else {
            let (field, other) = if config.namespace.is_some() {
                ("/metricName", "`namespace`")
            } else {
                ("/namespace", "`metricName`")
            };
            let message = format!("is required beside {other}, unless an `expression` is given");
            return Err(ConfigError::at(field, message));
        };
        let given = MetricFields {
            namespace,
            name,
            dimensions: &config.dimensions,
            stat: config.stat.as_deref(),
            unit: config.unit.as_deref(),
        };
        return Ok(Series::Metric(given.check("")?));
    };
    let conflicting = [
        ("/namespace", config.namespace.is_some()),
        ("/metricName", config.metric_name.is_some()),
        ("/dimensions", !config.dimensions.is_empty()),
        ("/stat", config.stat.is_some()),
        ("/unit", config.unit.is_some()),
    ];
    if let Some((field, _)) = conflicting.into_iter().find(|(_, given)| *given) {
        let message = "does not go with `expression`; put it into an entry of `metrics`";
        return Err(ConfigError::at(field, message));
    }
    math(expression, &config.metrics)
}

fn math(text: &str, given: &[MetricConfig]) -> Result<Series, ConfigError> {
    if text.trim().is_empty() || text.chars().count() > limits::MAX_EXPRESSION_LENGTH {
        let max = limits::MAX_EXPRESSION_LENGTH;
        return Err(ConfigError::at("/expression", format!("must have 1 to {max} characters")));
    }
    if given.len() > limits::MAX_METRICS {
        return Err(ConfigError::at("/metrics", format!("must be {} metrics at most", limits::MAX_METRICS)));
    }
    let expression = Expression::new(text);
    let names = expression.names();
    let mut metrics: Vec<(String, Metric)> = Vec::with_capacity(given.len());
    for (index, metric) in given.iter().enumerate() {
        let at = format!("/metrics/{index}");
        let id = metric.id.as_str();
        check_id(id).map_err(|error| error.under(&at))?;
        if metrics.iter().any(|(known, _)| known == id) {
            return Err(ConfigError::at(format!("{at}/id"), format!("\"{id}\" is there twice")));
        }
        if !names.contains(id) && !expression.needs_own_call() {
            let message = format!("\"{id}\" is not used by the expression; every metric is billed");
            return Err(ConfigError::at(format!("{at}/id"), message));
        }
        let given = MetricFields {
            namespace: &metric.namespace,
            name: &metric.metric_name,
            dimensions: &metric.dimensions,
            stat: metric.stat.as_deref(),
            unit: metric.unit.as_deref(),
        };
        metrics.push((id.to_owned(), given.check(&at)?));
    }
    if let Some(unknown) = names.iter().find(|name| !metrics.iter().any(|(id, _)| id == *name)) {
        let known: Vec<&str> = metrics.iter().map(|(id, _)| id.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let message = format!("\"{unknown}\" is not the id of one of `metrics`; known are: {known}");
        return Err(ConfigError::at("/expression", message));
    }
    if metrics.is_empty() && !expression.needs_own_call() {
        return Err(ConfigError::at("/metrics", "must hold the metrics that `expression` names"));
    }
    let ids: Vec<&str> = metrics.iter().map(|(id, _)| id.as_str()).collect();
    if let Some(series) = expression.series_count(&ids) {
        let message = format!("makes {series} time series, and a trigger needs one; {}", expression.remedy());
        return Err(ConfigError::at("/expression", message));
    }
    Ok(Series::Math { expression, metrics })
}

fn check_id(id: &str) -> Result<(), ConfigError> {
    // Leaves room for the prefix that separates ids of different jobs.
    let max = limits::MAX_NAME_LENGTH - 55;
    let is_valid = id.starts_with(|c: char| c.is_ascii_lowercase())
        && id.len() <= max
        && id.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
    if is_valid {
        return Ok(());
    }
    let message = format!("must be a lower-case letter, then letters, digits and `_`, {max} at most");
    Err(ConfigError::at("/id", message))
}

/// The fields of a metric as a job gives them.
struct MetricFields<'a> {
    namespace: &'a str,
    name: &'a str,
    dimensions: &'a BTreeMap<String, String>,
    stat: Option<&'a str>,
    unit: Option<&'a str>,
}

impl MetricFields<'_> {
    fn check(&self, at: &str) -> Result<Metric, ConfigError> {
        let invalid = |field: &str, message: String| Err(ConfigError::at(format!("{at}/{field}"), message));
        let fits = |text: &str, max: usize| !text.trim().is_empty() && text.chars().count() <= max;
        for (field, text) in [("namespace", self.namespace), ("metricName", self.name)] {
            if !fits(text, limits::MAX_NAME_LENGTH) {
                return invalid(field, format!("must have 1 to {} characters", limits::MAX_NAME_LENGTH));
            }
        }
        if self.namespace.starts_with(':') {
            return invalid("namespace", "must not begin with a colon".to_owned());
        }
        if self.dimensions.len() > limits::MAX_DIMENSIONS {
            return invalid("dimensions", format!("must be {} at most", limits::MAX_DIMENSIONS));
        }
        for (name, value) in self.dimensions {
            if !fits(name, limits::MAX_NAME_LENGTH)
                || name.starts_with(':')
                || !fits(value, limits::MAX_VALUE_LENGTH)
            {
                let field = format!("dimensions/{}", name.replace('~', "~0").replace('/', "~1"));
                let (names, values) = (limits::MAX_NAME_LENGTH, limits::MAX_VALUE_LENGTH);
                return invalid(
                    &field,
                    format!("must be a name of 1 to {names} characters with a value of 1 to {values}"),
                );
            }
        }
        let stat = self.stat.unwrap_or("Average");
        if !stat::is_known(stat) {
            return invalid("stat", stat::EXPECTED.to_owned());
        }
        if self.unit.is_some_and(|unit| !StandardUnit::values().contains(&unit)) {
            return invalid("unit", format!("must be one of {}", StandardUnit::values().join(", ")));
        }
        Ok(Metric {
            namespace: self.namespace.to_owned(),
            name: self.name.to_owned(),
            dimensions: self.dimensions.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            stat: stat.to_owned(),
            unit: self.unit.map(str::to_owned),
        })
    }
}

fn seconds(span: &Span, at: &str) -> Result<u32, ConfigError> {
    let whole = match span {
        Span::Seconds(seconds) => Some(*seconds),
        Span::Text(text) => parse_duration(text)
            .filter(|duration| duration.subsec_nanos() == 0)
            .and_then(|duration| u32::try_from(duration.as_secs()).ok()),
    };
    whole.ok_or_else(|| ConfigError::at(at, "must be a duration of whole seconds such as \"5m\""))
}

fn period(span: &Span) -> Result<u32, ConfigError> {
    let period = seconds(span, "/period")?;
    let is_valid = limits::SHORT_PERIODS.contains(&period)
        || (period > 0 && period.is_multiple_of(60) && period <= limits::MAX_PERIOD);
    if is_valid {
        return Ok(period);
    }
    let message = "must be 1, 5, 10, 20 or 30 seconds, or whole minutes up to a day: \"30s\", \"5m\"";
    Err(ConfigError::at("/period", message))
}

/// Refuses a window that begins before CloudWatch's retention of this period.
fn check_retention(period: u32, delay: u32, periods: u32) -> Result<(), ConfigError> {
    let back = window::window_size(periods).saturating_add(1).saturating_mul(period).saturating_add(delay);
    let retention = limits::RETENTION.iter().find(|(step, _)| period.is_multiple_of(*step));
    let retention = retention.map_or(0, |(_, retention)| *retention);
    if back <= retention {
        return Ok(());
    }
    let message = format!(
        "looks further back than CloudWatch keeps datapoints of {period} s, which is {} hours; use a longer `period`, fewer \
         `evaluationPeriods`, or a shorter `delay`",
        retention / 3_600
    );
    Err(ConfigError::at("/evaluationPeriods", message))
}

fn rule(config: &CloudWatchConfig) -> Result<AlarmRule, ConfigError> {
    let periods = config.evaluation_periods.get();
    if periods > limits::MAX_EVALUATION_PERIODS {
        let message = format!("must be {} at most", limits::MAX_EVALUATION_PERIODS);
        return Err(ConfigError::at("/evaluationPeriods", message));
    }
    let datapoints = config.datapoints_to_alarm.map_or(periods, std::num::NonZeroU32::get);
    if datapoints > periods {
        let message = format!("must be `evaluationPeriods` at most, which is {periods}");
        return Err(ConfigError::at("/datapointsToAlarm", message));
    }
    if !config.threshold.is_finite() {
        return Err(ConfigError::at("/threshold", "must be a number"));
    }
    Ok(AlarmRule {
        comparison: config.comparison,
        threshold: config.threshold,
        datapoints,
        periods,
        missing: config.treat_missing_data,
        amount: amount(config)?,
    })
}

fn amount(config: &CloudWatchConfig) -> Result<Amount, ConfigError> {
    if let Some(each) = config.value_per_task {
        if !config.steps.is_empty() {
            return Err(ConfigError::at("/steps", "valuePerTask is given as well; leave one of them out"));
        }
        if !(each.is_finite() && each > 0.0) {
            return Err(ConfigError::at("/valuePerTask", "must be greater than 0"));
        }
        return Ok(Amount::Per(each));
    }
    if config.steps.len() > limits::MAX_STEPS {
        return Err(ConfigError::at("/steps", format!("must be {} at most", limits::MAX_STEPS)));
    }
    for (index, pair) in config.steps.windows(2).enumerate() {
        if pair[0].over >= pair[1].over {
            let at = format!("/steps/{}/over", index + 1);
            return Err(ConfigError::at(at, "must be greater than that of the step before"));
        }
    }
    let steps: Vec<_> = config.steps.iter().map(|step| (step.over, step.tasks)).collect();
    Ok(if steps.is_empty() { Amount::Floor } else { Amount::Steps(steps) })
}
