//! The policy of an SQS queue: whether it lets EventBridge or SNS send events.

use serde_json::Value;

#[cfg(test)]
mod tests;

/// The action that sends a message, in lower case.
const SEND: &str = "sqs:sendmessage";
/// The services that deliver events.
const SENDERS: [&str; 2] = ["events.amazonaws.com", "sns.amazonaws.com"];

/// The result of a queue's policy for events.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum EventAccess {
    /// A statement allows events from these rules and topics; an empty list stands for a pattern, or for all.
    Allowed(Vec<String>),
    /// No statement allows events.
    NotAllowed,
    /// A statement without a condition denies events.
    Denied,
}

impl EventAccess {
    /// Reads a policy. `arn` is that of the queue; if it is unknown, each `Resource` counts as the queue.
    ///
    /// # Source
    ///
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sqs-permissions>,
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>
    pub(crate) fn by_policy(policy: &str, arn: Option<&str>) -> Self {
        let policy: Value = serde_json::from_str(policy).unwrap_or_default();
        let statement = &policy["Statement"];
        let statements = statement.as_array().map_or(std::slice::from_ref(statement), Vec::as_slice);
        let fitting = || statements.iter().filter(|statement| is_about_sending(statement, arn));
        let is_unconditional =
            |statement: &Value| statement["Condition"].as_object().is_none_or(|all| all.is_empty());
        let denies = |statement: &Value| {
            statement["Effect"] == "Deny" && is_for_events(statement) && is_unconditional(statement)
        };
        if fitting().any(denies) {
            return Self::Denied;
        }
        let allowing =
            fitting().filter(|statement| statement["Effect"] == "Allow" && is_for_events(statement));
        let sources: Vec<Vec<String>> =
            allowing.filter_map(|statement| allowed_sources(statement, arn)).collect();
        if sources.is_empty() {
            Self::NotAllowed
        } else if sources.iter().any(Vec::is_empty) {
            // One statement without a list allows every source.
            Self::Allowed(Vec::new())
        } else {
            Self::Allowed(sources.concat())
        }
    }
}

/// Whether a statement is about messages that are sent to the queue.
fn is_about_sending(statement: &Value, arn: Option<&str>) -> bool {
    let is_send = |pattern: &str| fits(&pattern.to_ascii_lowercase(), SEND);
    let others = &statement["NotAction"];
    let action = if others.is_null() {
        texts(&statement["Action"]).into_iter().any(is_send)
    } else {
        !texts(others).into_iter().any(is_send)
    };
    let resources = texts(&statement["Resource"]);
    let is_queue = |pattern: &&str| arn.is_none_or(|arn| fits(pattern, arn));
    action && (resources.is_empty() || resources.iter().any(is_queue))
}

/// Whether a statement is about everybody, or about a service that delivers events.
fn is_for_events(statement: &Value) -> bool {
    let principal = &statement["Principal"];
    let services = texts(&principal["Service"]);
    is_everybody(principal) || services.iter().any(|service| SENDERS.contains(service))
}

fn is_everybody(principal: &Value) -> bool {
    principal == "*" || texts(&principal["AWS"]).contains(&"*")
}

/// Returns the rules and topics that the condition of a statement names, none of them for a pattern. `None` if the condition
/// does not hold for an event.
fn allowed_sources(statement: &Value, arn: Option<&str>) -> Option<Vec<String>> {
    let own_account = arn.and_then(|arn| arn.split(':').nth(4));
    let mut sources = Vec::new();
    let operators = statement["Condition"].as_object().into_iter().flatten();
    for (key, values) in operators.flat_map(|(_, keys)| keys.as_object().into_iter().flatten()) {
        let values = texts(values);
        match key.to_ascii_lowercase().as_str() {
            "aws:sourcearn" => {
                let (known, wrong): (Vec<&str>, Vec<&str>) =
                    values.into_iter().partition(|value| is_source(value));
                if known.is_empty() && !wrong.is_empty() {
                    return None;
                }
                if !known.iter().any(|value| value.contains(['*', '?'])) {
                    sources.extend(known.into_iter().map(str::to_owned));
                }
            }
            "aws:sourceaccount" => {
                own_account.is_none_or(|own| values.iter().any(|value| fits(value, own))).then_some(())?;
            }
            // Events come by TLS.
            "aws:securetransport" => {}
            // A condition on the caller's network, organization or identity does not hold for a service.
            _ if is_everybody(&statement["Principal"]) => return None,
            _ => {}
        }
    }
    Some(sources)
}

/// Whether a pattern can be the ARN of a rule of EventBridge or of a topic of SNS.
fn is_source(pattern: &str) -> bool {
    let parts: Vec<&str> = pattern.splitn(6, ':').collect();
    match parts.as_slice() {
        [_, _, service, .., resource] if parts.len() == 6 => {
            let is_rule = resource.starts_with("rule/") || resource.contains(['*', '?']);
            fits(service, "events") && is_rule || fits(service, "sns")
        }
        _ => pattern.contains('*'),
    }
}

/// The texts of a member that is a text or a list of texts.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

/// Whether a text fits a pattern, in which `*` stands for any text and `?` for one character.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut start) = (0, 0);
    // The last `*`, and the end of the text that it stands for.
    let mut star: Option<(usize, usize)> = None;
    while start < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, start));
                at += 1;
            }
            Some(expected) if *expected == b'?' || *expected == text[start] => {
                at += 1;
                start += 1;
            }
            _ => {
                let Some((place, end)) = star else { return false };
                star = Some((place, end + 1));
                (at, start) = (place + 1, end + 1);
            }
        }
    }
    pattern[at..].iter().all(|rest| *rest == b'*')
}
