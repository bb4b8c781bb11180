//! The output of tasks, read on demand in pages.

use std::fmt;
use std::num::NonZeroUsize;

use async_trait::async_trait;
use jiff::Timestamp;

use super::LaunchError;
use crate::fault::FaultKind;
use crate::id::TaskId;

#[cfg(test)]
mod tests;

/// The maximum number of lines of a page.
pub const MAX_LOG_LINES: usize = 10_000;

/// The maximum size of a page: 1 MiB of texts, in bytes.
pub const MAX_LOG_BYTES: usize = 1024 * 1024;

/// A position in the output of a task. Only the launcher that made it understands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogCursor(String);

impl LogCursor {
    /// The maximum length, in characters.
    const MAX_LEN: usize = 4_096;

    /// Reads a position that a launcher returned earlier; nothing if no launcher returned this text.
    ///
    /// # Example
    ///
    /// ```
    /// use ecs_scheduler_core::LogCursor;
    /// assert_eq!(LogCursor::parse("main=17").unwrap().as_str(), "main=17");
    /// assert!(LogCursor::parse("17").is_none());
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_short = text.len() <= Self::MAX_LEN && text.bytes().all(|byte| byte.is_ascii_graphic());
        // Before the first line there is no position in any container.
        let has_positions = text.split(';').all(|position| position.contains('='));
        let valid = is_short && (text.is_empty() || has_positions);
        valid.then(|| Self(text.to_owned()))
    }

    /// Makes a position of those in the output of each container: a container's name and a text of printable ASCII
    /// without `;`. A container that is left out is read from its oldest line.
    #[must_use]
    pub fn from_positions<'a>(positions: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let positions = positions.into_iter().map(|(container, position)| format!("{container}={position}"));
        Self(positions.collect::<Vec<_>>().join(";"))
    }

    /// Returns the positions in the output of each container, in the order in which they were given.
    pub fn positions(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.split(';').filter_map(|position| position.split_once('='))
    }

    /// Returns the position as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LogCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The start of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogStart {
    /// The oldest line.
    Oldest,
    /// The newest lines: this many of each container.
    Newest(NonZeroUsize),
    /// The end of an earlier page.
    After(LogCursor),
}

/// A request for a page of the output of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogRequest {
    /// The task.
    pub task: TaskId,
    /// The exact task definition of the task's firing.
    pub definition: String,
    /// Whether the task is known to have ended: it writes no more, although its last lines may still arrive.
    pub has_ended: bool,
    /// The container; absent for all containers of the task.
    pub container: Option<String>,
    /// Only lines from this moment on.
    pub since: Option<Timestamp>,
    /// The start of the page.
    pub start: LogStart,
    /// The maximum number of lines; at most [`MAX_LOG_LINES`]. Their texts have at most [`MAX_LOG_BYTES`].
    pub max_lines: usize,
}

impl LogRequest {
    /// Makes a request for the first page of all containers, of the maximum size.
    #[must_use]
    pub fn new(task: TaskId, definition: impl Into<String>) -> Self {
        Self {
            task,
            definition: definition.into(),
            has_ended: false,
            container: None,
            since: None,
            start: LogStart::Oldest,
            max_lines: MAX_LOG_LINES,
        }
    }

    /// Returns the position in the output of a container where the page begins, if the request continues an earlier page
    /// that had read from it.
    #[must_use]
    pub fn position(&self, container: &str) -> Option<&str> {
        let LogStart::After(cursor) = &self.start else { return None };
        cursor.positions().find(|(name, _)| *name == container).map(|(_, position)| position)
    }
}

/// A line of the output of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLine {
    /// When it was written; absent where the launcher does not know it.
    pub at: Option<Timestamp>,
    /// The container.
    pub container: String,
    /// The text, without the line end. A platform that joins lines into one entry gives the whole entry.
    pub text: String,
}

impl LogLine {
    /// Makes a line; without a time where it is not known.
    #[must_use]
    pub fn new(at: Option<Timestamp>, container: impl Into<String>, text: impl Into<String>) -> Self {
        Self { at, container: container.into(), text: text.into() }
    }
}

/// A page of the output of a task, oldest line first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogPage {
    /// The lines. Those of one container are in their order; a launcher that knows times merges containers by them.
    pub lines: Vec<LogLine>,
    /// The position after the last line. It stays valid while the task runs, and for later lines.
    pub next: LogCursor,
    /// Whether there are more lines after this page now.
    pub has_more: bool,
    /// Whether lines between the start of the page and its first line were removed.
    pub has_gap: bool,
    /// Whether no container has written anything yet.
    pub is_unwritten: bool,
}

impl LogPage {
    /// Makes a page that ends at this position, with no more lines after it.
    #[must_use]
    pub fn new(lines: Vec<LogLine>, next: LogCursor) -> Self {
        Self { lines, next, has_more: false, has_gap: false, is_unwritten: false }
    }

    /// Tells whether the page is within the bounds of a request, and its position can be read again.
    #[must_use]
    pub fn is_within(&self, request: &LogRequest) -> bool {
        let bytes: usize = self.lines.iter().map(|line| line.text.len()).sum();
        self.lines.len() <= request.max_lines
            && bytes <= MAX_LOG_BYTES
            && LogCursor::parse(self.next.as_str()).is_some()
    }
}

/// Reads the output of tasks. It has a default, for launchers that cannot.
#[async_trait]
pub trait TaskLogs: Send + Sync {
    /// Reads a page of the output of a task, within the bounds of the request. Nothing is read before it is asked for.
    ///
    /// # Errors
    ///
    /// [`FaultKind::NotFound`] when there is no output to read, with the reason and where to look; [`FaultKind::Config`]
    /// when the launcher cannot serve such a request; other kinds when the output cannot be read.
    async fn read_log(&self, request: &LogRequest) -> Result<LogPage, LaunchError> {
        let text = format!(
            "could not read the output of task {}: the launcher in use does not read logs; look where its platform keeps them",
            request.task
        );
        Err(LaunchError::new(FaultKind::NotFound, text))
    }
}
