//! Reads one log stream of CloudWatch Logs.

use std::sync::Arc;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::operation::get_log_events::GetLogEventsOutput;
use aws_sdk_cloudwatchlogs::types::OutputLogEvent;
use ecs_scheduler_backend_aws::{AwsScope, Fault, READ_LOG};
use ecs_scheduler_core::{LogLine, MAX_LOG_BYTES, Timestamp};

use crate::clients::Clients;

/// The maximum number of calls for one page of lines: a page of AWS may be empty although events follow.
const MAX_CALLS: usize = 8;

/// A log stream.
#[derive(Debug)]
pub(crate) struct LogStream<'a> {
    pub(crate) clients: &'a Clients,
    pub(crate) client: Arc<Client>,
    pub(crate) scope: AwsScope,
    pub(crate) container: &'a str,
    pub(crate) group: &'a str,
    pub(crate) name: String,
    /// Only events from this moment on.
    pub(crate) since: Option<Timestamp>,
}

/// Lines of a stream.
#[derive(Debug, Default)]
pub(crate) struct StreamLines {
    pub(crate) lines: Vec<LogLine>,
    /// The size of the texts.
    pub(crate) bytes: usize,
    /// The token that continues behind the lines; absent when the read did not begin.
    pub(crate) token: Option<String>,
    pub(crate) has_more: bool,
}

impl LogStream<'_> {
    /// Reads lines from the oldest one, or from a token on, as far as they fit into this room.
    ///
    /// # Source
    ///
    /// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html>: a stream ends where a call
    /// returns the token that it was given; an empty page is no sign of it.
    pub(crate) async fn read_forward(
        &self,
        token: Option<&str>,
        max_lines: usize,
        max_bytes: usize,
    ) -> Result<StreamLines, Fault> {
        let mut read =
            StreamLines { token: token.map(str::to_owned), has_more: true, ..StreamLines::default() };
        for _ in 0..MAX_CALLS {
            let left = max_lines - read.lines.len();
            if left == 0 {
                break;
            }
            let page = self.call(read.token.as_deref(), true, left).await?;
            let bytes = size(page.events());
            // A page of AWS always fits into an empty one.
            let is_first = read.lines.is_empty() && max_bytes == MAX_LOG_BYTES;
            if !is_first && bytes > max_bytes.saturating_sub(read.bytes) {
                break;
            }
            read.bytes += bytes;
            let ends = page.next_forward_token() == read.token.as_deref();
            read.token = page.next_forward_token.or(read.token);
            read.lines.extend(page.events.into_iter().flatten().map(|event| self.line(event)));
            if ends {
                read.has_more = false;
                break;
            }
        }
        Ok(read)
    }

    /// Reads the newest lines.
    pub(crate) async fn read_newest(&self, max_lines: usize) -> Result<StreamLines, Fault> {
        let mut read = StreamLines::default();
        let mut token = None;
        for _ in 0..MAX_CALLS {
            let left = max_lines - read.lines.len();
            if left == 0 {
                break;
            }
            let page = self.call(token.as_deref(), false, left).await?;
            let bytes = size(page.events());
            if !read.lines.is_empty() && read.bytes + bytes > MAX_LOG_BYTES {
                break;
            }
            read.bytes += bytes;
            read.token = read.token.or(page.next_forward_token);
            let older = page.events.into_iter().flatten().map(|event| self.line(event));
            read.lines = older.chain(std::mem::take(&mut read.lines)).collect();
            if page.next_backward_token == token {
                break;
            }
            token = page.next_backward_token;
        }
        Ok(read)
    }

    async fn call(
        &self,
        token: Option<&str>,
        from_head: bool,
        limit: usize,
    ) -> Result<GetLogEventsOutput, Fault> {
        let call = async {
            let call = self
                .client
                .get_log_events()
                .log_group_name(self.group)
                .log_stream_name(&self.name)
                .start_from_head(from_head)
                .limit(i32::try_from(limit).unwrap_or(i32::MAX))
                .set_start_time(self.since.map(|since| since.as_millisecond().max(0)))
                .set_next_token(token.map(str::to_owned));
            call.send().await.map_err(|error| {
                let attempted =
                    format!("could not read log stream \"{}\" of log group \"{}\"", self.name, self.group);
                Fault::from_sdk(error, attempted)
            })
        };
        self.clients.call_paced(&self.scope, READ_LOG, call).await
    }

    fn line(&self, event: OutputLogEvent) -> LogLine {
        let at = event.timestamp.and_then(|at| Timestamp::from_millisecond(at).ok());
        let mut text = event.message.unwrap_or_default();
        text.truncate(text.trim_end_matches(['\n', '\r']).len());
        LogLine::new(at, self.container, text)
    }
}

fn size(events: &[OutputLogEvent]) -> usize {
    events.iter().map(|event| event.message().map_or(0, str::len)).sum()
}
