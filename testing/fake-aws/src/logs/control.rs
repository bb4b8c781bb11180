//! Control of the fake `CloudWatch Logs` by tests, without HTTP.

use jiff::Timestamp;
use serde_json::json;

use crate::Service;
use crate::fake::Fake;

/// The control of the fake `CloudWatch Logs`, from the same process.
#[derive(Debug, Clone, Copy)]
pub struct LogsControl<'a>(pub(crate) &'a Fake);

impl LogsControl<'_> {
    /// Makes a group.
    ///
    /// # Panics
    ///
    /// Panics if there is such a group, or its name is none.
    pub fn create_group(&self, group: &str) {
        let made = self.0.call(Service::Logs, "CreateLogGroup", &json!({ "logGroupName": group }));
        made.expect("the group is new and has a good name");
    }

    /// Makes a stream without events.
    ///
    /// # Panics
    ///
    /// Panics if there is such a stream, or no such group.
    pub fn create_stream(&self, group: &str, stream: &str) {
        let call = json!({ "logGroupName": group, "logStreamName": stream });
        self.0
            .call(Service::Logs, "CreateLogStream", &call)
            .expect("the stream is new, and its group exists");
    }

    /// Puts events, each a moment and a message, as the log driver of a container does.
    ///
    /// # Panics
    ///
    /// Panics if there is no such stream, and if the moments are not in order.
    pub fn put(&self, group: &str, stream: &str, events: &[(Timestamp, &str)]) {
        let events: Vec<_> = events
            .iter()
            .map(|(at, message)| json!({ "timestamp": at.as_millisecond(), "message": message }))
            .collect();
        let call = json!({ "logGroupName": group, "logStreamName": stream, "logEvents": events });
        self.0.call(Service::Logs, "PutLogEvents", &call).expect("the stream exists and takes these events");
    }
}
