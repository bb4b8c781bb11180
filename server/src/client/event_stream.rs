//! Server-sent events, as the server writes them.
//!
//! # Source
//!
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation>

use std::time::Duration;

use reqwest::Response;

#[cfg(test)]
mod tests;

/// The maximum size of an event, in bytes. A page of a task's output has fewer.
const MAX_EVENT: usize = 16 * 1024 * 1024;

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ServerEvent {
    /// Its name.
    pub(crate) name: String,
    /// Its data; the lines are joined by line feeds.
    pub(crate) data: String,
    /// Its id, if it has one.
    pub(crate) id: Option<String>,
}

/// Assembles events from the bytes of a stream.
#[derive(Debug, Default)]
struct EventParser {
    line: Vec<u8>,
    event: ServerEvent,
    size: usize,
}

impl EventParser {
    /// Takes the next bytes up to the end of an event; returns the event, if it is complete, and the rest.
    ///
    /// # Errors
    ///
    /// Fails when the event is too large.
    fn feed<'b>(&mut self, mut bytes: &'b [u8]) -> Result<Option<(ServerEvent, &'b [u8])>, String> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.push(&bytes[..end])?;
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches('\r');
            if line.is_empty() {
                self.size = 0;
                let event = std::mem::take(&mut self.event);
                if !event.name.is_empty() {
                    return Ok(Some((event, bytes)));
                }
                continue;
            }
            self.read_line(line);
        }
        self.push(bytes)?;
        Ok(None)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.size += bytes.len();
        if self.size > MAX_EVENT {
            return Err(format!("an event is larger than {MAX_EVENT} bytes"));
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    /// Reads a field. A line that begins with a colon is a comment.
    fn read_line(&mut self, line: &str) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.event.name = value.to_owned(),
            "id" => self.event.id = Some(value.to_owned()),
            "data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            _ => {}
        }
    }
}

/// The events of a response.
#[derive(Debug)]
pub(crate) struct EventStream {
    response: Response,
    silence: Duration,
    parser: EventParser,
    /// Bytes behind the last event.
    rest: Vec<u8>,
}

impl EventStream {
    /// Reads a response, which may stay silent for this time.
    pub(super) fn new(response: Response, silence: Duration) -> Self {
        Self { response, silence, parser: EventParser::default(), rest: Vec::new() }
    }

    /// Returns the next event; nothing when the server ended the stream.
    ///
    /// # Errors
    ///
    /// Says why the stream broke off.
    pub(crate) async fn next(&mut self) -> Result<Option<ServerEvent>, String> {
        loop {
            let bytes = std::mem::take(&mut self.rest);
            if let Some((event, rest)) = self.parser.feed(&bytes)? {
                self.rest = rest.to_vec();
                return Ok(Some(event));
            }
            let chunk = tokio::time::timeout(self.silence, self.response.chunk()).await;
            let chunk = chunk.map_err(|_| format!("no sign of life within {} s", self.silence.as_secs()))?;
            match chunk.map_err(|error| error.to_string())? {
                Some(bytes) => self.rest = bytes.to_vec(),
                None => return Ok(None),
            }
        }
    }
}
