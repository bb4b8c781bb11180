//! The metadata service of an EC2 instance that has a role: the region, and the role's credentials. Version 2 only.

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::clock::later;
use crate::scope::AwsScope;
use crate::wire::{Failure, response};

/// The role of the instance.
const ROLE: &str = "fake";
/// The part of the path of a role's credentials that follows the path of the role.
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
/// The session token that every other request must name.
const TOKEN: &str = "fake-token";
/// How long a session token lives, in seconds.
const TOKEN_LIFE: &str = "x-aws-ec2-metadata-token-ttl-seconds";

/// Returns the operation of a request, as faults and counts name it. Returns nothing if the request is for another
/// service.
pub(crate) fn operation(parts: &Parts) -> Option<String> {
    let name = match (&parts.method, parts.uri.path()) {
        (&Method::PUT, "/latest/api/token") => "GetToken",
        (&Method::GET, "/latest/meta-data/placement/region") => "GetRegion",
        (&Method::GET, ROLES) => "GetRole",
        (&Method::GET, path) if path.starts_with(ROLES) => "GetCredentials",
        (_, path) if path.starts_with("/latest/") => "GetOther",
        _ => return None,
    };
    Some(name.to_owned())
}

/// Returns the part of a request that the service reads.
pub(crate) fn request(parts: &Parts) -> Bytes {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let role = parts.uri.path().strip_prefix(ROLES);
    let read =
        json!({ "token": header("x-aws-ec2-metadata-token"), "life": header(TOKEN_LIFE), "role": role });
    read.to_string().into()
}

/// Answers a request: a text.
pub(crate) fn handle(
    scope: &AwsScope,
    operation: &str,
    body: &Value,
    now: Timestamp,
) -> Result<Value, Failure> {
    if operation == "GetToken" {
        let life = body["life"].as_str().and_then(|life| life.parse::<u32>().ok());
        let lasting = life.is_some_and(|life| (1..=21_600).contains(&life));
        return if lasting { Ok(json!(TOKEN)) } else { Err(Failure::client("", "Bad Request")) };
    }
    if body["token"] != TOKEN {
        return Err(Failure::new(401, "", "Unauthorized"));
    }
    match operation {
        "GetRegion" => Ok(json!(scope.region)),
        "GetRole" => Ok(json!(ROLE)),
        "GetCredentials" if body["role"] == ROLE => {
            let expiration = later(now, SignedDuration::from_hours(6));
            let credentials = json!({
                "Code": "Success",
                "LastUpdated": now.to_string(),
                "Type": "AWS-HMAC",
                "AccessKeyId": "ASIAFAKE",
                "SecretAccessKey": "secret",
                "Token": "token",
                "Expiration": expiration.to_string(),
            });
            Ok(json!(credentials.to_string()))
        }
        _ => Err(Failure::new(404, "", "Not Found")),
    }
}

/// Writes an answer.
pub(crate) fn answer(answer: Result<Value, Failure>) -> Response<Body> {
    let (status, text) = match answer {
        Ok(text) => (200, text.as_str().unwrap_or_default().to_owned()),
        Err(failure) => (failure.status, failure.message),
    };
    let mut response = response(status, "text/plain", text.into_bytes());
    response.headers_mut().insert(TOKEN_LIFE, HeaderValue::from_static("21600"));
    response
}
