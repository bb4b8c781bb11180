//! `GetLogEvents`: pages of a stream, in both directions.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{LogEvent, LogsSettings, LogsState, check_group, check_stream, invalid, missing};
use crate::scope::AwsScope;
use crate::wire::{Failure, read};

/// The maximum size of a page in bytes; each event counts this much more than its message.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html>: 1 MB, and
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html>: 26 bytes.
const MAX_PAGE: usize = 1_048_576;
const EVENT_OVERHEAD: usize = 26;

/// The maximum and default number of events of a page.
const MAX_LIMIT: i64 = 10_000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Get {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name: String,
    start_time: Option<i64>,
    end_time: Option<i64>,
    next_token: Option<String>,
    limit: Option<i64>,
    #[serde(default)]
    start_from_head: bool,
}

/// A token: its direction, the index of the event in front of which it is, and whether the call with it may find nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Token {
    forward: bool,
    index: usize,
    is_fresh: bool,
}

impl Token {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let forward = match parts.next()? {
            "f" => true,
            "b" => false,
            _ => return None,
        };
        let index = parts.next().filter(|digits| digits.len() == 56)?.parse().ok()?;
        let is_fresh = match parts.next()? {
            "s" => true,
            "e" => false,
            _ => return None,
        };
        parts.next().is_none().then_some(Self { forward, index, is_fresh })
    }

    fn text(self) -> String {
        let direction = if self.forward { 'f' } else { 'b' };
        format!("{direction}/{:056}/{}", self.index, if self.is_fresh { 's' } else { 'e' })
    }
}

impl Get {
    fn check(&self) -> Result<(), Failure> {
        let group = match (&self.log_group_name, &self.log_group_identifier) {
            (Some(group), None) => group,
            // Identifiers are for other accounts, which the fake does not have.
            (None, Some(_)) => return Err(missing("group")),
            _ => return Err(invalid("Exactly one of logGroupName and logGroupIdentifier must be given.")),
        };
        check_group(group)?;
        check_stream(&self.log_stream_name)?;
        if let Some(limit) = self.limit.filter(|limit| !(1..=MAX_LIMIT).contains(limit)) {
            let bound = if limit < 1 { "greater than or equal to 1" } else { "less than or equal to 10000" };
            return Err(invalid(format!(
                "1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: Member must have value {bound}"
            )));
        }
        if self.start_time.is_some_and(|at| at < 0) || self.end_time.is_some_and(|at| at < 0) {
            return Err(invalid("startTime and endTime must not be negative."));
        }
        Ok(())
    }

    fn token(&self) -> Result<Option<Token>, Failure> {
        let Some(text) = &self.next_token else { return Ok(None) };
        let token = Token::parse(text).ok_or_else(|| invalid("The specified nextToken is invalid."))?;
        // A forward token goes with `startFromHead`.
        if token.forward && !self.start_from_head {
            return Err(invalid("startFromHead must be true with a nextForwardToken."));
        }
        Ok(Some(token))
    }
}

impl LogsState {
    pub(super) fn get(
        &self,
        scope: &AwsScope,
        body: &Value,
        settings: LogsSettings,
    ) -> Result<Value, Failure> {
        let request: Get = read(body)?;
        request.check()?;
        let token = request.token()?;
        let group = request.log_group_name.clone().unwrap_or_default();
        let streams = self.groups.get(&(scope.clone(), group)).ok_or_else(|| missing("group"))?;
        let events = streams.get(&request.log_stream_name).ok_or_else(|| missing("stream"))?;
        let first = request.start_time.map_or(0, |at| events.partition_point(|event| event.timestamp < at));
        let end =
            request.end_time.map_or(events.len(), |at| events.partition_point(|event| event.timestamp < at));
        let end = end.max(first);
        let forward = token.map_or(request.start_from_head, |token| token.forward);
        let at = token.map_or(if forward { first } else { end }, |token| token.index.clamp(first, end));
        let limit = usize::try_from(request.limit.unwrap_or(MAX_LIMIT)).unwrap_or(usize::MAX);
        let hides = settings.empty_pages && token.is_none_or(|token| token.is_fresh);
        let count = if hides {
            0
        } else if forward {
            fitting(events[at..end].iter(), limit)
        } else {
            fitting(events[first..at].iter().rev(), limit)
        };
        let range = if forward { at..at + count } else { at - count..at };
        // At the end, a token returns itself.
        let next = |forward: bool, index: usize| {
            let same = token.filter(|token| token.forward == forward && count == 0 && !hides);
            same.unwrap_or(Token { forward, index, is_fresh: !hides }).text()
        };
        let (backward, forward) = (next(false, range.start), next(true, range.end));
        let shown: Vec<Value> = events[range].iter().map(render).collect();
        Ok(json!({ "events": shown, "nextForwardToken": forward, "nextBackwardToken": backward }))
    }
}

fn render(event: &LogEvent) -> Value {
    json!({ "timestamp": event.timestamp, "message": event.message, "ingestionTime": event.ingested })
}

/// Returns how many of these events fit on a page.
fn fitting<'e>(events: impl Iterator<Item = &'e LogEvent>, limit: usize) -> usize {
    let mut size = 0;
    let fits = events.take(limit).take_while(|event| {
        size += event.message.len() + EVENT_OVERHEAD;
        size <= MAX_PAGE
    });
    fits.count()
}
