//! The configuration of the trigger.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;

/// Asks for tasks by a CloudWatch metric, or by an expression over several.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["namespace", "metricName"] }, { "required": ["expression"] }]))]
pub struct CloudWatchConfig {
    /// The metric's namespace: `AWS/SQS`. With `metricName`; or else `expression`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    pub namespace: Option<String>,
    /// The metric's name: `ApproximateAgeOfOldestMessage`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    pub metric_name: Option<String>,
    /// The metric's dimensions, by name; at most 30. All of them must be given: CloudWatch knows a metric by the whole set.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 30))]
    pub dimensions: BTreeMap<String, String>,
    /// The statistic: `Average` (default), `Sum`, `Minimum`, `Maximum`, `SampleCount`, `IQM`, a percentile such as `p99`, or a
    /// trimmed one: `tm90`, `tc90`, `ts90`, `wm90`, `TM(10%:90%)`, `PR(:300)`.
    #[serde(default)]
    pub stat: Option<String>,
    /// The unit, if the metric was published in several: `Count`, `Bytes`, `Seconds`.
    #[serde(default)]
    pub unit: Option<String>,
    /// A metric math expression over `metrics`: `backlog / running`. It must make one time series.
    #[serde(default)]
    #[schemars(length(min = 1, max = 2048))]
    pub expression: Option<String>,
    /// The metrics that `expression` names; at most 10.
    #[serde(default)]
    #[schemars(length(max = 10))]
    pub metrics: Vec<MetricConfig>,
    /// The length of a datapoint: `5m`, or 300 for as many seconds. 1, 5, 10, 20 or 30 seconds, or whole minutes up to a day.
    /// Default: a minute.
    #[serde(default = "minute")]
    pub period: Span,
    /// The comparison of a datapoint with `threshold`. Default: `>`.
    #[serde(default)]
    pub comparison: Comparison,
    /// The threshold of the comparison.
    pub threshold: f64,
    /// Number of the last `evaluationPeriods` datapoints that must breach. Default: all of them.
    #[serde(default)]
    #[schemars(range(max = 100))]
    pub datapoints_to_alarm: Option<NonZeroU32>,
    /// Number of datapoints that are evaluated, 1 to 100. Default: 1.
    #[serde(default = "one")]
    #[schemars(range(max = 100))]
    pub evaluation_periods: NonZeroU32,
    /// The treatment of missing datapoints. Default: `hold`.
    #[serde(default)]
    pub treat_missing_data: MissingData,
    /// Minimum age of the newest datapoint's end: `2m`, or 120 for as many seconds; up to a day. For metrics that
    /// arrive late. Default: 0.
    #[serde(default)]
    pub delay: Span,
    /// Asks for the newest value divided by this, rounded up. Greater than 0. Or else `steps`; without both, `taskCount`.
    #[serde(default)]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub value_per_task: Option<f64>,
    /// Asks for the tasks of the highest step that the newest value is over; ascending, at most 50.
    #[serde(default)]
    #[schemars(length(max = 50))]
    pub steps: Vec<StepConfig>,
    /// The region of the metric. Default: the scheduler's own.
    #[serde(default)]
    #[schemars(regex(pattern = "^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$"))]
    pub region: Option<String>,
    /// The account that owns the metric, twelve digits, if it is not the scheduler's own.
    #[serde(default)]
    #[schemars(regex(pattern = "^[0-9]{12}$"))]
    pub account_id: Option<String>,
}

/// One metric of an expression.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricConfig {
    /// The name of the metric in the expression: a lower-case letter, then letters, digits and `_`.
    #[schemars(regex(pattern = "^[a-z][A-Za-z0-9_]*$"), length(max = 200))]
    pub id: String,
    /// The metric's namespace.
    #[schemars(length(min = 1, max = 255))]
    pub namespace: String,
    /// The metric's name.
    #[schemars(length(min = 1, max = 255))]
    pub metric_name: String,
    /// The metric's dimensions, by name; at most 30.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 30))]
    pub dimensions: BTreeMap<String, String>,
    /// The statistic, as above. Default: `Average`.
    #[serde(default)]
    pub stat: Option<String>,
    /// The unit, if the metric was published in several.
    #[serde(default)]
    pub unit: Option<String>,
}

/// A length of time: a number of seconds, or a duration as text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "must be a duration such as \"5m\", or a whole number of seconds")]
pub enum Span {
    /// Seconds.
    Seconds(u32),
    /// `90s`, `5m`, `1h30m`.
    Text(String),
}

impl Default for Span {
    fn default() -> Self {
        Self::Seconds(0)
    }
}

fn minute() -> Span {
    Span::Seconds(60)
}

const fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

/// The comparison of a datapoint with the threshold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Comparison {
    /// It breaches above the threshold.
    #[default]
    #[serde(rename = ">")]
    Above,
    /// It breaches at the threshold and above.
    #[serde(rename = ">=")]
    AtLeast,
    /// It breaches below the threshold.
    #[serde(rename = "<")]
    Below,
    /// It breaches at the threshold and below.
    #[serde(rename = "<=")]
    AtMost,
}

/// The treatment of missing datapoints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Missing")]
pub enum MissingData {
    /// As unknown: if the condition cannot be evaluated, the evaluation fails and the job's `onError` decides.
    #[default]
    Hold,
    /// As breaching.
    Breaching,
    /// As not breaching.
    NotBreaching,
}

/// Tasks by the height of the value.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StepConfig {
    /// The step holds for values greater than this.
    pub over: f64,
    /// Number of tasks that it asks for; at least 1.
    pub tasks: NonZeroU32,
}
