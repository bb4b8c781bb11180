//! The configuration of a `cron` trigger.

use schemars::JsonSchema;
use serde::Deserialize;

/// Brings its own ticks and fires the floor at each of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CronConfig {
    /// The times at which the trigger fires: `cron(30 2 ? * MON-FRI *)`, `rate(5 minutes)`, `at(2027-03-01T09:00:00)`, `@daily`, or the
    /// eight fields of a job's `schedule`. Five or six bare fields are read as `cron(…)`: five are a crontab line, where 0 and 7
    /// are Sunday, six are EventBridge's, where 1 is Sunday.
    pub expression: String,
    /// The IANA time zone in which `expression` is read. Default: the job's `timezone`.
    #[serde(default)]
    pub timezone: Option<String>,
}
