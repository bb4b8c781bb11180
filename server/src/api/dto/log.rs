//! The output of tasks as clients see it.

use ecs_scheduler_core::{LogLine, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// Lines that a task wrote, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct LogPageView {
    /// Each container's lines are in their order.
    lines: Vec<LogLineView>,
    /// True if lines before the first one were removed after the page before was read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    gap: bool,
    /// A link to newer lines, while there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A line that a container wrote.
#[derive(Debug, Serialize, ToSchema)]
struct LogLineView {
    /// The time at which it was written; absent where the launcher does not know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
    /// The container's name in the task definition.
    container: String,
    /// The text. Control characters, except line feeds and tabs, are replaced.
    text: String,
}

impl LogPageView {
    /// Makes a page of these lines.
    pub(in crate::api) fn new(lines: Vec<LogLine>, gap: bool, next: Option<String>) -> Self {
        Self { lines: lines.into_iter().map(LogLineView::from).collect(), gap, next }
    }
}

impl From<LogLine> for LogLineView {
    fn from(line: LogLine) -> Self {
        let LogLine { at, container, text, .. } = line;
        Self { at, container, text }
    }
}
