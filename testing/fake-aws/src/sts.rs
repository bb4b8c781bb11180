//! The fake STS: the caller's identity, and roles of other accounts.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::later;
use crate::query;
use crate::scope::AwsScope;
use crate::wire::Failure;

/// The namespace of answers.
pub(crate) const XMLNS: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
/// The version of the API.
const VERSION: &str = "2011-06-15";

/// Settings of the fake STS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct StsSettings {
    /// The roles that may be assumed, by ARN, each with its external id, which may be empty. Calls with the
    /// credentials of a role are made in the account of the role.
    pub roles: BTreeMap<String, String>,
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
        _ => return Err(query::unknown_operation(operation, VERSION)),
    };
    Ok(query::result(operation, &result))
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
