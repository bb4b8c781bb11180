//! The fake `CloudWatch`: metrics, not alarms.

mod call;
mod cbor;
mod control;
mod data;
mod get;
mod insights;
mod math;
mod page;
mod search;
mod settings;
mod unit;

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::data::{Sample, Series, Statistic};
use crate::scope::AwsScope;
use crate::wire::{Failure, read};

pub(crate) use cbor::{answer, read as read_cbor};
pub use control::CloudWatchControl;
pub use settings::{CloudWatchSettings, DataStatus};

/// Maximum age of a datum in seconds.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html>
const MAX_AGE: i64 = 14 * 86_400;

/// Maximum time that a datum may be ahead, in seconds. (Same source.)
const MAX_AHEAD: i64 = 2 * 3600;

/// Maximum number of data in one call. (Same source.)
const MAX_DATA: usize = 1000;

/// Maximum number of metrics on a page of `ListMetrics`.
const MAX_LISTED: usize = 500;

/// A dimension of a metric.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Dimension {
    name: String,
    #[serde(default)]
    value: String,
}

/// The identity of a metric.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    namespace: String,
    #[serde(rename = "MetricName")]
    name: String,
    #[serde(default)]
    dimensions: Vec<Dimension>,
}

/// The values of one metric, with their units, by second.
type SamplesBySecond = BTreeMap<i64, Vec<(&'static str, Sample)>>;

/// The state of the fake `CloudWatch`.
#[derive(Debug, Default)]
pub(crate) struct CloudWatchState {
    metrics: BTreeMap<(AwsScope, Metric), SamplesBySecond>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put {
    namespace: String,
    metric_data: Vec<Datum>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Datum {
    metric_name: String,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    timestamp: Option<f64>,
    value: Option<f64>,
    #[serde(default)]
    values: Vec<f64>,
    #[serde(default)]
    counts: Vec<f64>,
    statistic_values: Option<Summary>,
    storage_resolution: Option<i64>,
    unit: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Summary {
    sample_count: f64,
    sum: f64,
    minimum: f64,
    maximum: f64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct List {
    namespace: Option<String>,
    metric_name: Option<String>,
    #[serde(default)]
    dimensions: Vec<Filter>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    name: String,
    value: Option<String>,
}

/// Makes the failure of a parameter that `CloudWatch` does not accept.
fn invalid(message: impl Into<String>) -> Failure {
    Failure::client("InvalidParameterValueException", message).queried("InvalidParameterValue")
}

impl Metric {
    /// Puts the dimensions in order, since theirs does not matter.
    fn ordered(mut self) -> Self {
        self.dimensions.sort();
        self
    }
}

impl Datum {
    fn samples(&self) -> Result<Vec<Sample>, Failure> {
        if let Some(summary) = &self.statistic_values {
            let Summary { sample_count: count, sum, minimum: least, maximum: most } = *summary;
            return Ok(vec![Sample::Summary { count, sum, least, most }]);
        }
        if let Some(value) = self.value {
            return Ok(vec![Sample::once(value)]);
        }
        let (values, counts) = (&self.values, &self.counts);
        if values.is_empty() || (!counts.is_empty() && counts.len() != values.len()) {
            return Err(invalid("A datum needs Value, StatisticValues, or Values with as many Counts."));
        }
        let times = counts.iter().copied().chain(std::iter::repeat(1.0));
        Ok(values.iter().zip(times).map(|(value, times)| Sample::Seen { value: *value, times }).collect())
    }

    /// Returns the second under which the datum is stored: the minute's, unless it has high resolution.
    fn second(&self, now: i64) -> Result<i64, Failure> {
        #[expect(clippy::cast_possible_truncation, reason = "seconds of this era are far within 64 bits")]
        let at = self.timestamp.map_or(now, |at| at.floor() as i64);
        if at < now - MAX_AGE || at > now + MAX_AHEAD {
            let message = "The parameter Timestamp must be within two weeks ago and two hours ahead.";
            return Err(invalid(message));
        }
        Ok(if self.storage_resolution == Some(1) { at } else { at - at.rem_euclid(60) })
    }
}

impl CloudWatchState {
    /// Answers a call.
    pub(crate) fn handle(
        &mut self,
        scope: &AwsScope,
        operation: &str,
        body: &Value,
        now: i64,
        settings: &CloudWatchSettings,
    ) -> Result<Value, Failure> {
        match operation {
            "PutMetricData" => {
                if body["Namespace"].as_str().is_some_and(|name| name.starts_with("AWS/")) {
                    return Err(invalid("The value AWS/ for parameter Namespace is invalid."));
                }
                self.put(scope, body, now)
            }
            "GetMetricData" => self.get_data(scope, body, now, settings),
            "ListMetrics" => self.list(scope, body),
            _ => {
                let message = format!("the fake has no CloudWatch operation {operation}");
                Err(Failure::client("UnknownOperationException", message))
            }
        }
    }

    /// Stores data, of AWS's own namespaces too.
    pub(crate) fn put(&mut self, scope: &AwsScope, body: &Value, now: i64) -> Result<Value, Failure> {
        let request: Put = read(body)?;
        if request.metric_data.len() > MAX_DATA {
            return Err(invalid("The collection MetricData must not have a size greater than 1000."));
        }
        let mut kept = Vec::new();
        for datum in request.metric_data {
            let (samples, second) = (datum.samples()?, datum.second(now)?);
            let unit = unit::parse(datum.unit.as_deref().unwrap_or(unit::NONE))?;
            if datum.dimensions.len() > 30 {
                return Err(invalid("The collection Dimensions must not have a size greater than 30."));
            }
            let namespace = request.namespace.clone();
            let metric = Metric { namespace, name: datum.metric_name, dimensions: datum.dimensions };
            kept.push((metric.ordered(), second, samples.into_iter().map(move |sample| (unit, sample))));
        }
        for (metric, second, samples) in kept {
            let seconds = self.metrics.entry((scope.clone(), metric)).or_default();
            seconds.entry(second).or_default().extend(samples);
        }
        Ok(json!({}))
    }

    /// Computes a statistic over metrics for each period that begins within a span of time. Data with another unit
    /// than the requested one do not count.
    fn series<'m>(
        &self,
        scope: &AwsScope,
        metrics: impl IntoIterator<Item = &'m Metric>,
        unit: Option<&str>,
        (period, statistic): (i64, Statistic),
        span: Range<i64>,
    ) -> Series {
        let mut periods: BTreeMap<i64, Vec<Sample>> = BTreeMap::new();
        for metric in metrics {
            let key = (scope.clone(), metric.clone().ordered());
            for (second, samples) in self.metrics.get(&key).into_iter().flatten() {
                let wanted = samples.iter().filter(|(has, _)| unit.is_none_or(|unit| unit == *has));
                let begin = second - second.rem_euclid(period);
                periods.entry(begin).or_default().extend(wanted.map(|(_, sample)| sample));
            }
        }
        let within = periods.range(span);
        within.filter_map(|(begin, samples)| Some((*begin, statistic.compute(samples)?))).collect()
    }

    /// Returns the metrics of a scope that got data within two weeks, as searches see them.
    fn recent(&self, scope: &AwsScope, now: i64) -> impl Iterator<Item = &Metric> {
        let of_place = self.metrics.iter().filter(move |((at, _), _)| at == scope);
        let recent = of_place.filter(move |(_, seconds)| {
            seconds.last_key_value().is_some_and(|(second, _)| *second >= now - MAX_AGE)
        });
        recent.map(|((_, metric), _)| metric)
    }

    fn list(&self, scope: &AwsScope, body: &Value) -> Result<Value, Failure> {
        let request: List = read(body)?;
        let meant = |metric: &Metric| {
            request.namespace.as_ref().is_none_or(|name| *name == metric.namespace)
                && request.metric_name.as_ref().is_none_or(|name| *name == metric.name)
                && request.dimensions.iter().all(|filter| {
                    let mut all = metric.dimensions.iter();
                    all.any(|one| {
                        one.name == filter.name
                            && filter.value.as_ref().is_none_or(|value| *value == one.value)
                    })
                })
        };
        let from: usize = request.next_token.map_or(Ok(0), |token| token.parse()).map_err(|_| {
            Failure::client("InvalidParameterValueException", "The next token is invalid.")
                .queried("InvalidParameterValue")
        })?;
        let all = self.metrics.keys().filter(|(at, metric)| at == scope && meant(metric));
        let mut rest = all.skip(from).map(|(_, metric)| metric).peekable();
        let shown: Vec<&Metric> = rest.by_ref().take(MAX_LISTED).collect();
        let mut answer = json!({ "Metrics": shown });
        if rest.peek().is_some() {
            answer["NextToken"] = json!((from + MAX_LISTED).to_string());
        }
        Ok(answer)
    }
}
