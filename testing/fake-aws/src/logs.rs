//! The fake `CloudWatch Logs`: groups and streams of log events.

mod control;
mod get;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::scope::AwsScope;
use crate::wire::{Failure, read};

pub use control::LogsControl;

/// Settings of `CloudWatch Logs`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct LogsSettings {
    /// Whether the first call with each token finds nothing, although events follow under the token that it returns.
    pub empty_pages: bool,
}

/// An event of a stream.
#[derive(Debug, Clone)]
struct LogEvent {
    /// Milliseconds since 1970.
    timestamp: i64,
    ingested: i64,
    message: String,
}

/// The streams of a group.
type Streams = BTreeMap<String, Vec<LogEvent>>;

/// The state of the fake `CloudWatch Logs`.
#[derive(Debug, Default)]
pub(crate) struct LogsState {
    groups: BTreeMap<(AwsScope, String), Streams>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    log_group_name: String,
    log_stream_name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Put {
    log_group_name: String,
    log_stream_name: String,
    log_events: Vec<PutEvent>,
}

#[derive(Debug, Deserialize)]
struct PutEvent {
    timestamp: i64,
    message: String,
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::client("InvalidParameterException", message)
}

fn missing(what: &str) -> Failure {
    Failure::client("ResourceNotFoundException", format!("The specified log {what} does not exist."))
}

/// Checks the name of a group.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html>
fn check_group(name: &str) -> Result<(), Failure> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/#".contains(&byte);
    if (1..=512).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(invalid(format!(
        "1 validation error detected: Value '{name}' at 'logGroupName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+"
    )))
}

/// Checks the name of a stream.
fn check_stream(name: &str) -> Result<(), Failure> {
    if (1..=512).contains(&name.len()) && !name.contains([':', '*']) {
        return Ok(());
    }
    Err(invalid(format!(
        "1 validation error detected: Value '{name}' at 'logStreamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [^:*]*"
    )))
}

impl LogsState {
    /// Runs an operation.
    pub(crate) fn handle(
        &mut self,
        scope: &AwsScope,
        operation: &str,
        body: &Value,
        now: Timestamp,
        settings: LogsSettings,
    ) -> Result<Value, Failure> {
        match operation {
            "CreateLogGroup" => self.create_group(scope, body),
            "CreateLogStream" => self.create_stream(scope, body),
            "PutLogEvents" => self.put(scope, body, now),
            "GetLogEvents" => self.get(scope, body, settings),
            _ => Err(Failure::client("UnknownOperationException", "")),
        }
    }

    fn create_group(&mut self, scope: &AwsScope, body: &Value) -> Result<Value, Failure> {
        let request: Named = read(body)?;
        check_group(&request.log_group_name)?;
        let key = (scope.clone(), request.log_group_name);
        if self.groups.contains_key(&key) {
            return Err(exists("group"));
        }
        self.groups.insert(key, Streams::new());
        Ok(json!({}))
    }

    fn create_stream(&mut self, scope: &AwsScope, body: &Value) -> Result<Value, Failure> {
        let request: Named = read(body)?;
        check_group(&request.log_group_name)?;
        let name = request.log_stream_name.ok_or_else(|| invalid("logStreamName is required"))?;
        check_stream(&name)?;
        let streams =
            self.groups.get_mut(&(scope.clone(), request.log_group_name)).ok_or_else(|| missing("group"))?;
        if streams.contains_key(&name) {
            return Err(exists("stream"));
        }
        streams.insert(name, Vec::new());
        Ok(json!({}))
    }

    /// Puts events. Those of one call must be in the order of their times, and no empty ones.
    fn put(&mut self, scope: &AwsScope, body: &Value, now: Timestamp) -> Result<Value, Failure> {
        let request: Put = read(body)?;
        check_group(&request.log_group_name)?;
        check_stream(&request.log_stream_name)?;
        if request.log_events.is_empty() || request.log_events.len() > 10_000 {
            return Err(invalid("logEvents must have between 1 and 10000 members"));
        }
        if request.log_events.iter().any(|event| event.message.is_empty()) {
            return Err(invalid("Log event message must not be empty"));
        }
        if !request.log_events.is_sorted_by_key(|event| event.timestamp) {
            return Err(invalid(
                "Log events in a single PutLogEvents request must be in chronological order.",
            ));
        }
        let streams =
            self.groups.get_mut(&(scope.clone(), request.log_group_name)).ok_or_else(|| missing("group"))?;
        let stream = streams.get_mut(&request.log_stream_name).ok_or_else(|| missing("stream"))?;
        let ingested = now.as_millisecond();
        stream.extend(request.log_events.into_iter().map(|event| LogEvent {
            timestamp: event.timestamp,
            ingested,
            message: event.message,
        }));
        stream.sort_by_key(|event| event.timestamp);
        Ok(json!({ "nextSequenceToken": "ignored" }))
    }
}

fn exists(what: &str) -> Failure {
    Failure::client("ResourceAlreadyExistsException", format!("The specified log {what} already exists"))
}
