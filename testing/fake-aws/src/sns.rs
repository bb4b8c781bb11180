//! The fake SNS: standard and FIFO topics, and what was published to them.

mod control;
mod publish;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::query;
use crate::scope::AwsScope;
use crate::wire::Failure;

pub use control::SnsControl;

/// The namespace of answers.
pub(crate) const XMLNS: &str = "http://sns.amazonaws.com/doc/2010-03-31/";
/// The version of the API.
pub(crate) const VERSION: &str = "2010-03-31";
/// Attributes of new topics that the fake knows.
const ATTRIBUTES: [&str; 2] = [IS_FIFO, BY_CONTENT];
const IS_FIFO: &str = "FifoTopic";
const BY_CONTENT: &str = "ContentBasedDeduplication";

/// A published message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishedMessage {
    /// The id that SNS gave it.
    pub message_id: String,
    /// Its text.
    pub message: String,
    /// Its subject.
    pub subject: Option<String>,
    /// Its attributes: the values of type `String` and `Number`, by name.
    pub attributes: BTreeMap<String, String>,
    /// The message group, on a FIFO topic.
    pub group: Option<String>,
}

/// A topic.
#[derive(Debug, Default)]
struct Topic {
    is_fifo: bool,
    /// Whether a message without a deduplication id is known by its text.
    by_content: bool,
    published: Vec<PublishedMessage>,
    /// The deduplication ids, with the time and the place of their messages.
    known: BTreeMap<String, (Timestamp, usize)>,
}

/// The state of the fake SNS: topics by their ARNs.
#[derive(Debug, Default)]
pub(crate) struct SnsState {
    topics: BTreeMap<String, Topic>,
}

/// Makes the failure of a parameter that SNS does not accept.
fn invalid(what: &str) -> Failure {
    Failure::client("InvalidParameter", format!("Invalid parameter: {what}"))
}

impl SnsState {
    /// Answers a call.
    pub(crate) fn handle(
        &mut self,
        scope: &AwsScope,
        operation: &str,
        body: &Value,
        now: Timestamp,
    ) -> Result<Value, Failure> {
        let form = body.as_object().into_iter().flatten();
        let mut form: BTreeMap<&str, &str> =
            form.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
        form.retain(|name, _| !matches!(*name, "Action" | "Version"));
        let result = match operation {
            "CreateTopic" => self.create(scope, form)?,
            "GetTopicAttributes" => self.attributes(scope, &form)?,
            "Publish" => self.topic(scope, &form)?.publish(form, now)?,
            _ => return Err(query::unknown_operation(operation, VERSION)),
        };
        Ok(query::result(operation, &result))
    }

    /// Returns the messages that were published to a topic, in their order.
    fn published(&self, arn: &str) -> Vec<PublishedMessage> {
        self.topics.get(arn).map(|topic| topic.published.clone()).unwrap_or_default()
    }

    /// # Source
    ///
    /// <https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html>
    fn create(&mut self, scope: &AwsScope, mut form: BTreeMap<&str, &str>) -> Result<Value, Failure> {
        let name = form.remove("Name").unwrap_or_default();
        let mut attributes: BTreeMap<&str, &str> = BTreeMap::new();
        for number in 1..=ATTRIBUTES.len() {
            let mut part = |part: &str| form.remove(format!("Attributes.entry.{number}.{part}").as_str());
            let (Some(key), Some(value)) = (part("key"), part("value")) else { break };
            if !ATTRIBUTES.contains(&key) || !matches!(value, "true" | "false") {
                return Err(invalid(&format!("Attributes Reason: Unknown attribute {key}")));
            }
            attributes.insert(key, value);
        }
        if let Some(name) = form.keys().next() {
            return Err(unknown(name));
        }
        let is_set = |name: &str| attributes.get(name) == Some(&"true");
        let (is_fifo, by_content) = (is_set(IS_FIFO), is_set(BY_CONTENT));
        if !is_name(name) || name.ends_with(".fifo") != is_fifo || (by_content && !is_fifo) {
            return Err(invalid("Topic Name"));
        }
        let arn = scope.arn("sns", name);
        let new = || Topic { is_fifo, by_content, ..Topic::default() };
        let topic = self.topics.entry(arn.clone()).or_insert_with(new);
        if (topic.is_fifo, topic.by_content) != (is_fifo, by_content) {
            return Err(invalid("Attributes Reason: Topic already exists with different attributes"));
        }
        Ok(json!({ "TopicArn": arn }))
    }

    /// # Source
    ///
    /// <https://docs.aws.amazon.com/sns/latest/api/API_GetTopicAttributes.html>
    fn attributes(&mut self, scope: &AwsScope, form: &BTreeMap<&str, &str>) -> Result<Value, Failure> {
        if let Some(name) = form.keys().find(|name| **name != "TopicArn") {
            return Err(unknown(name));
        }
        let topic = self.topic(scope, form)?;
        let mut entries = vec![json!({ "key": "TopicArn", "value": form["TopicArn"] })];
        if topic.is_fifo {
            entries.push(json!({ "key": IS_FIFO, "value": "true" }));
            entries.push(json!({ "key": BY_CONTENT, "value": topic.by_content.to_string() }));
        }
        Ok(json!({ "Attributes": { "entry": entries } }))
    }

    /// Returns the topic that a call names. Its region must be that of the call; topics of other accounts have no policies here, so
    /// they refuse.
    fn topic(&mut self, scope: &AwsScope, form: &BTreeMap<&str, &str>) -> Result<&mut Topic, Failure> {
        let arn = *form
            .get("TopicArn")
            .ok_or_else(|| invalid("TopicArn or TargetArn Reason: no value for required parameter"))?;
        let parts: Vec<&str> = arn.split(':').collect();
        let ["arn", "aws", "sns", region, account, name] = parts.as_slice() else {
            return Err(invalid("TopicArn Reason: An ARN must have at least 6 elements, not 1"));
        };
        if *region != scope.region || account.len() != 12 || !is_name(name) {
            return Err(invalid("TopicArn"));
        }
        if *account != scope.account {
            let message = format!(
                "User: {} is not authorized to perform: SNS:Publish on resource: {arn}",
                scope.caller()
            );
            return Err(Failure::new(403, "AuthorizationError", message));
        }
        self.topics.get_mut(arn).ok_or_else(|| Failure::new(404, "NotFound", "Topic does not exist"))
    }
}

fn unknown(name: &str) -> Failure {
    Failure::client("ValidationError", format!("the fake does not know the parameter {name}"))
}

/// Tells whether a text can be a topic's name.
///
/// # Source
///
/// <https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html>
fn is_name(name: &str) -> bool {
    let plain = name.strip_suffix(".fifo").unwrap_or(name);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !plain.is_empty() && name.len() <= 256 && plain.bytes().all(allowed)
}
