//! Permissions of callers: denied actions, and IAM policies.

mod dynamodb;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Service;
use crate::ecs::cluster_key;
use crate::state::{Call, FakeState};
use crate::wire::Failure;

/// Restrictions on callers. Everything is allowed until something is set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Permissions {
    /// Denied actions, as in `sqs:GetQueueAttributes`.
    pub denied: BTreeSet<String>,
    /// An IAM policy document, by action, resource, and the conditions `StringEquals`, `StringLike`, `ArnEquals` and
    /// `ArnLike`; when set, only what it allows is allowed.
    pub policy: Option<Value>,
    /// Ids of access keys that are refused, each with the code of the refusal, as in `ExpiredTokenException`.
    pub keys: BTreeMap<String, String>,
}

/// One permission that a call needs.
struct RequiredPermission {
    action: String,
    resource: String,
    context: BTreeMap<&'static str, String>,
}

impl FakeState {
    /// Fails when the caller lacks a permission that the call needs.
    pub(crate) fn permit(&self, call: &Call, body: &Value) -> Result<(), Failure> {
        let permissions = &self.settings.permissions;
        if let Some(code) = call.key.as_ref().and_then(|key| permissions.keys.get(key)) {
            return Err(refused_key(call, code));
        }
        if permissions.denied.is_empty() && permissions.policy.is_none() {
            return Ok(());
        }
        for permission in self.required(call, body) {
            let is_denied = permissions.denied.contains(&permission.action);
            let is_allowed = permissions.policy.as_ref().is_none_or(|policy| allows(policy, &permission));
            if is_denied || !is_allowed {
                return Err(refusal(call, &permission, is_denied));
            }
        }
        Ok(())
    }

    /// Returns the permissions that a call needs.
    ///
    /// # Source
    ///
    /// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html>,
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html>
    fn required(&self, call: &Call, body: &Value) -> Vec<RequiredPermission> {
        // The action of a batch's items permits the batch.
        let operation = call.operation.strip_suffix("Batch").unwrap_or(&call.operation);
        let action = format!("{}:{operation}", call.service.name());
        let resource = match call.service {
            Service::Ecs => self.ecs_resource(call, body),
            Service::Sqs => call.scope.arn("sqs", queue_name(body)),
            Service::CloudWatch => "*".to_owned(),
            Service::Logs => logs_resource(call, body),
            Service::DynamoDb => return dynamodb::required(call, body),
            Service::Sns => sns_resource(call, body),
            Service::Sts if operation == "GetCallerIdentity" => return Vec::new(),
            Service::Sts => body["RoleArn"].as_str().unwrap_or("*").to_owned(),
            Service::Imds => return Vec::new(),
        };
        let mut context = BTreeMap::new();
        if call.service == Service::Ecs
            && ["RunTask", "StopTask", "ListTasks", "DescribeTasks"].contains(&call.operation.as_str())
            && let Some(key) = cluster_key(&call.scope, body["cluster"].as_str())
        {
            context.insert("ecs:cluster", key.arn());
        }
        let mut required = vec![RequiredPermission { action, resource, context }];
        if call.service == Service::Sqs && operation == "ReceiveMessage" {
            required
                .extend(self.sqs.key_of(&call.scope, queue_name(body)).and_then(|key| decrypt(call, key)));
        }
        if call.operation == "RunTask" {
            required.extend(self.run_task_permissions(call, body));
        }
        required
    }

    fn ecs_resource(&self, call: &Call, body: &Value) -> String {
        let text = |name: &str| body[name].as_str().unwrap_or("");
        let cluster = || {
            cluster_key(&call.scope, body["cluster"].as_str())
                .map_or_else(|| "default".to_owned(), |key| key.name)
        };
        match call.operation.as_str() {
            "RunTask" => {
                let named = text("taskDefinition");
                let found = self.ecs.definition(&call.scope, named).map(|one| one.arn.clone());
                found.unwrap_or_else(|| call.scope.arn("ecs", &format!("task-definition/{named}")))
            }
            "StopTask" | "DescribeTasks" => {
                let named = if call.operation == "StopTask" {
                    text("task")
                } else {
                    body["tasks"][0].as_str().unwrap_or("")
                };
                let is_arn = named.starts_with("arn:");
                if is_arn {
                    named.to_owned()
                } else {
                    call.scope.arn("ecs", &format!("task/{}/{named}", cluster()))
                }
            }
            "ListTasks" => call.scope.arn("ecs", &format!("container-instance/{}/*", cluster())),
            "DescribeClusters" => {
                let key = cluster_key(&call.scope, body["clusters"][0].as_str());
                key.map_or_else(|| "*".to_owned(), |key| key.arn())
            }
            "TagResource" | "ListTagsForResource" => text("resourceArn").to_owned(),
            _ => "*".to_owned(),
        }
    }

    /// `RunTask` also needs the permission to pass the task's roles, and to tag if it tags.
    fn run_task_permissions(&self, call: &Call, body: &Value) -> Vec<RequiredPermission> {
        let definition = self.ecs.definition(&call.scope, body["taskDefinition"].as_str().unwrap_or(""));
        let document = definition.map_or(&Value::Null, |one| &one.document);
        let mut required = Vec::new();
        let roles = ["taskRoleArn", "executionRoleArn"].map(|name| {
            let role = body["overrides"][name].as_str().or_else(|| document[name].as_str());
            (role, "ecs-tasks.amazonaws.com")
        });
        let volumes = body["volumeConfigurations"].as_array().into_iter().flatten();
        let volumes = volumes.map(|one| (one["managedEBSVolume"]["roleArn"].as_str(), "ecs.amazonaws.com"));
        for (role, service) in roles.into_iter().chain(volumes) {
            let Some(role) = role else { continue };
            // A bare name is that of a role in the caller's account.
            let resource = if role.starts_with("arn:") {
                role.to_owned()
            } else {
                format!("arn:aws:iam::{}:role/{role}", call.scope.account)
            };
            let context = BTreeMap::from([("iam:PassedToService", service.to_owned())]);
            required.push(RequiredPermission { action: "iam:PassRole".to_owned(), resource, context });
        }
        if body["tags"].as_array().is_some_and(|tags| !tags.is_empty()) {
            let key = cluster_key(&call.scope, body["cluster"].as_str());
            let path = format!("task/{}/*", key.map_or_else(|| "default".to_owned(), |key| key.name));
            let context = BTreeMap::from([("ecs:CreateAction", "RunTask".to_owned())]);
            required.push(RequiredPermission {
                action: "ecs:TagResource".to_owned(),
                resource: call.scope.arn("ecs", &path),
                context,
            });
        }
        required
    }
}

/// A receiver of messages must be allowed to use the key that encrypts them; every receiver may use SQS's own key.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html>
fn decrypt(call: &Call, key: &str) -> Option<RequiredPermission> {
    let (resource, context) = match key.rsplit(':').next().unwrap_or(key) {
        "alias/aws/sqs" => return None,
        alias if alias.starts_with("alias/") => {
            let context = BTreeMap::from([("kms:ResourceAliases", alias.to_owned())]);
            (call.scope.arn("kms", "key/00000000-0000-0000-0000-000000000000"), context)
        }
        id if id.starts_with("key/") => (key.to_owned(), BTreeMap::new()),
        id => (call.scope.arn("kms", &format!("key/{id}")), BTreeMap::new()),
    };
    Some(RequiredPermission { action: "kms:Decrypt".to_owned(), resource, context })
}

/// Returns the queue's name from its URL or from the call.
fn queue_name(body: &Value) -> &str {
    let url = body["QueueUrl"].as_str().and_then(|url| url.rsplit('/').next());
    url.or_else(|| body["QueueName"].as_str()).unwrap_or("*")
}

/// Returns the topic; the creation of one names it.
///
/// # Source
///
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html>
fn sns_resource(call: &Call, body: &Value) -> String {
    let new = || call.scope.arn("sns", body["Name"].as_str().unwrap_or("*"));
    body["TopicArn"].as_str().map_or_else(new, str::to_owned)
}

/// Returns the stream, or the group where the call names no stream.
///
/// # Source
///
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html>
fn logs_resource(call: &Call, body: &Value) -> String {
    let group = body["logGroupName"].as_str().unwrap_or("*");
    let stream = body["logStreamName"].as_str().map(|stream| format!(":log-stream:{stream}"));
    call.scope.arn("logs", &format!("log-group:{group}{}", stream.unwrap_or_default()))
}

fn refusal(call: &Call, permission: &RequiredPermission, is_denied: bool) -> Failure {
    let why = if is_denied { "with an explicit deny in an" } else { "because no" };
    let tail = if is_denied { String::new() } else { format!(" allows the {} action", permission.action) };
    let message = format!(
        "User: {} is not authorized to perform: {} on resource: {} {why} identity-based policy{tail}",
        call.scope.caller(),
        permission.action,
        permission.resource
    );
    match call.service {
        Service::Ecs | Service::DynamoDb | Service::Logs | Service::Imds => {
            Failure::client("AccessDeniedException", message)
        }
        Service::Sns => Failure::new(403, "AuthorizationError", message),
        Service::Sts => Failure::new(403, "AccessDenied", message),
        Service::Sqs => Failure::new(403, "AccessDeniedException", message).queried("AccessDenied"),
        Service::CloudWatch => Failure::new(403, "AccessDeniedException", message).queried("AccessDenied"),
    }
}

/// Refuses a call because of the key that signed it.
fn refused_key(call: &Call, code: &str) -> Failure {
    let state = if code.starts_with("Expired") { "expired" } else { "invalid" };
    let status = match call.service {
        Service::Ecs | Service::DynamoDb | Service::Logs => 400,
        Service::Sqs | Service::CloudWatch | Service::Sns | Service::Sts | Service::Imds => 403,
    };
    Failure::new(status, code, format!("The security token included in the request is {state}"))
}

/// Tells whether a policy allows an action: a denial wins, an allowance is needed.
fn allows(policy: &Value, permission: &RequiredPermission) -> bool {
    let matching = |effect: &str| {
        let mut statements = one_or_many(&policy["Statement"]).into_iter();
        statements.any(|statement| statement["Effect"] == effect && covers(statement, permission))
    };
    matching("Allow") && !matching("Deny")
}

fn covers(statement: &Value, permission: &RequiredPermission) -> bool {
    let any = |of: &Value, text: &str, ignore_case: bool| {
        one_or_many(of)
            .into_iter()
            .filter_map(Value::as_str)
            .any(|pattern| matches_wildcard(pattern, text, ignore_case))
    };
    any(&statement["Action"], &permission.action, true)
        && any(&statement["Resource"], &permission.resource, false)
        && statement["Condition"]
            .as_object()
            .is_none_or(|all| all.iter().all(|(operator, keys)| condition_holds(operator, keys, permission)))
}

/// Tells whether a condition holds. An unknown condition never holds.
fn condition_holds(operator: &str, keys: &Value, permission: &RequiredPermission) -> bool {
    let exact = match operator {
        // The keys that the fake knows have one value each.
        "StringEquals" | "ForAnyValue:StringEquals" => true,
        "StringLike" | "ArnEquals" | "ArnLike" => false,
        _ => return false,
    };
    keys.as_object().into_iter().flatten().all(|(key, wanted)| {
        let has = permission
            .context
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(key))
            .map(|(_, value)| value);
        let mut wanted = one_or_many(wanted).into_iter().filter_map(Value::as_str);
        has.is_some_and(|has| {
            wanted.any(|one| if exact { one == has } else { matches_wildcard(one, has, false) })
        })
    })
}

/// Returns the items of a value that may stand alone or in a list.
fn one_or_many(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |list| list.iter().collect())
}

/// Matches a pattern with `*` (anything) and `?` (one character).
fn matches_wildcard(pattern: &str, text: &str, ignore_case: bool) -> bool {
    let lower = |text: &str| if ignore_case { text.to_ascii_lowercase() } else { text.to_owned() };
    let (pattern, text) = (lower(pattern).into_bytes(), lower(text).into_bytes());
    let (mut at, mut seen, mut star) = (0, 0, None);
    while seen < text.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at, seen));
            at += 1;
        } else if pattern.get(at).is_some_and(|byte| *byte == b'?' || *byte == text[seen]) {
            (at, seen) = (at + 1, seen + 1);
        } else if let Some((star_at, star_seen)) = star {
            star = Some((star_at, star_seen + 1));
            (at, seen) = (star_at + 1, star_seen + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests;
