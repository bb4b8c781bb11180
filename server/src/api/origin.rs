//! Checks where a request comes from: the host that it names, and the page that sends it.
//!
//! Clients are not authenticated, so other sites must not use a browser to send requests. DNS rebinding shows as a foreign
//! `Host`; a form or script of another site has a foreign `Origin`. Programs send neither.

use std::net::IpAddr;

use axum::http::header::{HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

use super::problem::{Problem, ProblemType};
use crate::config::ANY_HOST;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Checks the host that a request names and, where a browser sends it, the site that it comes from.
///
/// # Errors
///
/// 400 unless there is one host, 421 when it is not one of this server's, 403 when another site sends the request.
pub(super) fn check(parts: &Parts, allowed: &[String]) -> Result<(), Problem> {
    let host = host(parts)?;
    if let Some(host) = &host {
        ensure_allowed(host, allowed)?;
    }
    let foreign = |detail: String| Err(Problem::new(ProblemType::ForeignSite, detail));
    let text = |name: &HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let reads = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    // A link from another site to a page of this one is fine.
    let follows_link = reads && text(&FETCH_MODE) == Some("navigate");
    if text(&FETCH_SITE) == Some("cross-site") && !follows_link {
        return foreign("A browser sends this request for another site.".to_owned());
    }
    if reads {
        return Ok(());
    }
    for origin in parts.headers.get_all(ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        if !is_own(origin, host.as_deref(), allowed) {
            let detail = format!(
                "Requests from pages of {origin:?} may not change anything; if this is the server's own address \
                 behind a proxy, add its host to ECSS_ALLOWED_HOSTS."
            );
            return foreign(detail);
        }
    }
    Ok(())
}

/// Returns the authority that a request names; HTTP/1.0 may leave it out.
fn host(parts: &Parts) -> Result<Option<String>, Problem> {
    let wrong = |detail: &str| Err(Problem::new(ProblemType::Host, detail));
    let mut given = parts.headers.get_all(HOST).iter();
    let header = match (given.next(), given.next()) {
        (None, _) if parts.version < Version::HTTP_11 => None,
        (None, _) => return wrong("There is no Host header."),
        (Some(_), Some(_)) => return wrong("There is more than one Host header."),
        (Some(value), None) => Some(value),
    };
    // The target of the request wins over the header (RFC 9112, section 3.2.2).
    let target = parts.uri.authority().map(|authority| authority.as_str().to_owned());
    let header = header.map(|value| value.to_str().unwrap_or_default().to_owned());
    Ok(target.or(header))
}

fn ensure_allowed(authority: &str, allowed: &[String]) -> Result<(), Problem> {
    let Some((name, _)) = split(authority) else {
        return Err(Problem::new(ProblemType::Host, "The Host header is not a host and a port."));
    };
    let any = allowed.iter().any(|known| known == ANY_HOST);
    if any || is_address(&name) || is_configured(&name, allowed) {
        return Ok(());
    }
    let detail = format!(
        "This server does not have the name {name:?}; add the name to ECSS_ALLOWED_HOSTS if clients use it."
    );
    Err(Problem::new(ProblemType::ForeignHost, detail))
}

/// Tells whether an origin is the host that the request was sent to, or a configured one.
fn is_own(origin: &str, host: Option<&str>, allowed: &[String]) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let Some((name, port)) = split(authority) else { return false };
    let port_of = |port: Option<u16>| port.unwrap_or(if scheme == "https" { 443 } else { 80 });
    is_configured(&name, allowed)
        || host.and_then(split).is_some_and(|(host, its)| host == name && port_of(its) == port_of(port))
}

/// Splits an authority into its host, in lower case, and its port.
fn split(authority: &str) -> Option<(String, Option<u16>)> {
    let (name, port) = match authority.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (authority, None),
    };
    let port = port.filter(|port| !port.is_empty()).map(str::parse).transpose().ok()?;
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:[]".contains(&byte);
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    (!name.is_empty() && name.bytes().all(fine)).then_some((name, port))
}

/// Tells whether a name is safe from DNS rebinding: an IP address, or a loopback name.
fn is_address(name: &str) -> bool {
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    address.parse::<IpAddr>().is_ok() || name == "localhost" || name.ends_with(".localhost")
}

fn is_configured(name: &str, allowed: &[String]) -> bool {
    allowed.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Adds headers that stop browsers from guessing the media type and from sharing an answer with other sites.
pub(super) fn add_security_headers(headers: &mut HeaderMap) {
    let rules = [("x-content-type-options", "nosniff"), ("cross-origin-resource-policy", "same-origin")];
    for (name, value) in rules {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
}
