//! The fake STS: the caller's identity, and roles of other accounts. It speaks the query protocol.

use std::collections::BTreeMap;

use axum::body::{Body, Bytes};
use axum::http::Response;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::clock::later;
use crate::scope::AwsScope;
use crate::wire::{Failure, response};

/// The namespace of requests and answers.
const XMLNS: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// Settings of the fake STS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct StsSettings {
    /// The roles that may be assumed, by ARN, each with its external id, which may be empty. Calls with the
    /// credentials of a role are made in the account of the role.
    pub roles: BTreeMap<String, String>,
}

/// Returns the operation that a form names.
pub(crate) fn operation(bytes: &Bytes) -> Option<&str> {
    let mut pairs = bytes.split(|byte| *byte == b'&');
    pairs.find_map(|pair| std::str::from_utf8(pair.strip_prefix(b"Action=")?).ok())
}

/// Reads a form.
pub(crate) fn read_form(bytes: &Bytes) -> Value {
    let pairs = form_urlencoded::parse(bytes);
    pairs.map(|(name, value)| (name.into_owned(), json!(value))).collect::<Map<_, _>>().into()
}

/// Answers a call.
pub(crate) fn handle(
    scope: &AwsScope,
    operation: &str,
    body: &Value,
    now: Timestamp,
    settings: &StsSettings,
) -> Result<Value, Failure> {
    let result = match operation {
        "GetCallerIdentity" => {
            json!({ "Arn": scope.caller(), "UserId": "AIDAFAKE", "Account": scope.account })
        }
        "AssumeRole" => assume_role(scope, body, now, settings)?,
        _ => {
            let message = format!("Could not find operation {operation} for version 2011-06-15");
            return Err(Failure::client("InvalidAction", message));
        }
    };
    Ok(json!({ (format!("{operation}Response")): { (format!("{operation}Result")): result } }))
}

/// # Source
///
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
fn assume_role(
    scope: &AwsScope,
    body: &Value,
    now: Timestamp,
    settings: &StsSettings,
) -> Result<Value, Failure> {
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    let (role, session) = (text("RoleArn"), text("RoleSessionName"));
    let invalid = |what: &str| Failure::client("ValidationError", format!("{what} is not valid"));
    let account = role.strip_prefix("arn:aws:iam::").and_then(|rest| rest.split_once(":role/"));
    let (account, name) = account.ok_or_else(|| invalid("roleArn"))?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if !(2..=64).contains(&session.len()) || !session.chars().all(allowed) {
        return Err(invalid("roleSessionName"));
    }
    let asked = settings.roles.get(role);
    if asked.is_none_or(|external| !external.is_empty() && external != text("ExternalId")) {
        let message = format!(
            "User: {} is not authorized to perform: sts:AssumeRole on resource: {role}",
            scope.caller()
        );
        return Err(Failure::new(403, "AccessDenied", message));
    }
    let expiration = later(now, SignedDuration::from_hours(1));
    Ok(json!({
        "Credentials": {
            "AccessKeyId": account,
            "SecretAccessKey": "secret",
            "SessionToken": "token",
            "Expiration": expiration.to_string(),
        },
        "AssumedRoleUser": {
            "AssumedRoleId": format!("AROAFAKE:{session}"),
            "Arn": format!("arn:aws:sts::{account}:assumed-role/{name}/{session}"),
        },
    }))
}

/// Writes an answer.
pub(crate) fn answer(answer: Result<Value, Failure>) -> Response<Body> {
    let (status, document) = match answer {
        Ok(document) => (200, document),
        Err(failure) => {
            let error = json!({ "Type": failure.side(), "Code": failure.code, "Message": failure.message });
            (failure.status, json!({ "ErrorResponse": { "Error": error } }))
        }
    };
    let mut xml = String::new();
    elements(&mut xml, &document, &format!(" xmlns=\"{XMLNS}\""));
    response(status, "text/xml", xml.into_bytes())
}

/// Writes the members of an object as elements; the outermost ones have these attributes.
fn elements(xml: &mut String, value: &Value, attributes: &str) {
    let Some(members) = value.as_object() else {
        let text = value.as_str().unwrap_or_default();
        return xml.push_str(&text.replace('&', "&amp;").replace('<', "&lt;"));
    };
    for (name, member) in members {
        xml.push_str(&format!("<{name}{attributes}>"));
        elements(xml, member, "");
        xml.push_str(&format!("</{name}>"));
    }
}
