//! HTTP client of the API: JSON responses, and the server's messages for refused requests.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, Response, StatusCode, Url, header};
use serde_json::Value;

use self::event_stream::EventStream;
use crate::error::CommandError;
use crate::output::printable;
use crate::output::table::cell;

pub(crate) mod event_stream;

#[cfg(test)]
mod tests;

/// The characters of a path segment that are percent-encoded.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');
/// The time limit of a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// A response.
#[derive(Debug)]
pub struct ClientResponse {
    /// The body; null when there is none.
    pub body: Value,
    /// The `ETag`, if the server sent one.
    pub etag: Option<String>,
}

/// Talks to one server.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    server: String,
    /// The header of its access token.
    authorization: Option<header::HeaderValue>,
}

impl Client {
    /// Makes a client for the server at this URL.
    ///
    /// # Errors
    ///
    /// Fails if the URL does not begin with `http://`.
    pub fn new(server: &str) -> Result<Self, CommandError> {
        let server = server_url(server)
            .map_err(|why| CommandError::failed(format!("could not use server \"{server}\": {why}")))?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(REQUEST_TIMEOUT)
            .build()
            .map_err(|error| CommandError::caused("could not set up the HTTP client", error))?;
        Ok(Self { http, server, authorization: None })
    }

    /// Sends an access token with every request.
    ///
    /// # Errors
    ///
    /// Fails if the token has characters that cannot be sent.
    pub fn with_token(mut self, token: Option<&str>) -> Result<Self, CommandError> {
        let header = token.map(|token| header::HeaderValue::try_from(format!("Bearer {token}"))).transpose();
        self.authorization =
            header.map_err(|error| CommandError::caused("could not send the access token", error))?;
        if let Some(header) = &mut self.authorization {
            header.set_sensitive(true);
        }
        Ok(self)
    }

    /// Begins a request.
    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.server));
        match &self.authorization {
            Some(token) => request.header(header::AUTHORIZATION, token.clone()),
            None => request,
        }
    }

    /// Reads a resource.
    ///
    /// # Errors
    ///
    /// Fails when the server cannot be reached or refuses.
    pub async fn get(&self, path: &str) -> Result<Value, CommandError> {
        Ok(self.send(Method::GET, path, None, &[]).await?.body)
    }

    /// Sends a request with these headers.
    ///
    /// # Errors
    ///
    /// Fails when the server cannot be reached or refuses.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(header::HeaderName, &str)],
    ) -> Result<ClientResponse, CommandError> {
        let attempt = format!("{method} {path}");
        let mut request = self.request(method, path);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let unreachable =
            |error| CommandError::Unreachable { server: self.server.clone(), cause: Box::new(error) };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let etag = header_text(&response, &header::ETAG);
        let text = response.text().await.map_err(unreachable)?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(ClientResponse { body, etag });
        }
        Err(CommandError::Refused { message: refusal(&attempt, status, &body, &text) })
    }
}

/// The time for which a stream may stay silent: the server sends a comment every 15 s.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(45);

impl Client {
    /// Opens a stream of events, behind the event with this id.
    ///
    /// # Errors
    ///
    /// Fails when the server cannot be reached or refuses.
    pub(crate) async fn stream(&self, path: &str, after: Option<&str>) -> Result<EventStream, CommandError> {
        let unreachable =
            |error| CommandError::Unreachable { server: self.server.clone(), cause: Box::new(error) };
        // The limit of a whole request does not hold for a stream.
        let request = self.request(Method::GET, path).timeout(Duration::MAX);
        let request = match after {
            Some(id) => request.header("last-event-id", id),
            None => request,
        };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        if status.is_success() {
            return Ok(EventStream::new(response, SILENCE_TIMEOUT));
        }
        let text = response.text().await.map_err(unreachable)?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Err(CommandError::Refused { message: refusal(&format!("GET {path}"), status, &body, &text) })
    }
}

/// Checks the URL of a server, and returns it without a slash at its end.
///
/// # Errors
///
/// Says why it is none.
pub(crate) fn server_url(text: &str) -> Result<String, String> {
    if !text.starts_with("http://") {
        return Err("this build speaks http:// only".to_owned());
    }
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a server has no query and no fragment".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Returns the address at which this machine reaches a server: loopback in place of an unspecified one.
pub(crate) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, listen.port())
}

fn header_text(response: &Response, name: &header::HeaderName) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}

/// Formats the reason of a refused request, with a line for each wrong field.
pub(crate) fn refusal(attempt: &str, status: StatusCode, body: &Value, text: &str) -> String {
    let fields = body["errors"].as_array().map_or(&[][..], Vec::as_slice);
    // The detail would repeat the listed fields.
    let names: &[&str] = if fields.is_empty() { &["detail", "message", "title"] } else { &["title"] };
    let said = names.iter().find_map(|name| body[*name].as_str());
    let said = said.unwrap_or_else(|| text.lines().next().unwrap_or_default());
    let mut message = format!("{attempt}: {} {}", status.as_u16(), printable(said));
    for field in fields {
        message.push_str(&format!("\n  {}: {}", cell(&field["pointer"]), cell(&field["message"])));
    }
    message
}

/// Returns the path of a resource of a job.
pub(crate) fn job_path(id: &str, rest: &str) -> String {
    format!("/jobs/{}{rest}", escape(id))
}

/// Percent-encodes a path segment; a valid job id never needs it, a typing error may.
pub(crate) fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}
