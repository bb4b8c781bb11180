//! The configurations of composed triggers.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// Combines the demands of other triggers.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CombineConfig {
    /// The triggers to combine, 1 to 16 of them, each an object with its `type`.
    #[schemars(length(min = 1, max = 16))]
    pub of: Vec<Value>,
}

/// Fires while a window is open, and is idle otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WindowConfig {
    /// The start of the window: `cron(0 22 ? * MON-FRI *)`, or any other spelling of a schedule. Five or six bare fields
    /// are read as `cron(…)`.
    pub start: String,
    /// The length of the window: `8h`, `1h30m`; 1 s to 366 d. The end is exclusive.
    pub duration: String,
    /// The IANA time zone in which `start` is read. Default: the job's `timezone`.
    #[serde(default)]
    pub timezone: Option<String>,
}
