//! The fake SQS: standard and FIFO queues.

mod attributes;
mod control;
mod fifo;
mod md5;
mod messages;
mod queue;
mod settings;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use self::attributes::Attributes;
use self::queue::{COUNT_HISTORY, Messages, NewMessage};
use crate::clock::later;
use crate::scope::AwsScope;
use crate::wire::{Failure, read};

pub use control::SqsControl;
pub use settings::SqsSettings;

/// Minimum time between two purges.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_PurgeQueue.html>
const PURGE_INTERVAL: SignedDuration = SignedDuration::from_secs(60);

/// A queue.
#[derive(Debug)]
pub(crate) struct Queue {
    arn: String,
    attributes: Attributes,
    messages: Messages,
    created_at: Timestamp,
    modified_at: Timestamp,
    purged_at: Option<Timestamp>,
}

/// The state of the fake SQS.
#[derive(Debug)]
pub(crate) struct SqsState {
    /// The prefix of queue URLs.
    base: String,
    queues: BTreeMap<(AwsScope, String), Queue>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    queue_name: String,
    #[serde(rename = "QueueOwnerAWSAccountId")]
    owner: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetAttributes {
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

/// Makes the failure of a parameter that SQS does not accept.
fn invalid(message: &str) -> Failure {
    Failure::client("InvalidParameterValueException", message).queried("InvalidParameterValue")
}

fn missing() -> Failure {
    let failure = Failure::client("QueueDoesNotExist", "The specified queue does not exist.");
    failure.queried("AWS.SimpleQueueService.NonExistentQueue")
}

impl SqsState {
    pub(crate) const fn new(base: String) -> Self {
        Self { base, queues: BTreeMap::new() }
    }

    /// Answers a call.
    pub(crate) fn handle(
        &mut self,
        scope: &AwsScope,
        operation: &str,
        body: &Value,
        now: Timestamp,
        settings: &SqsSettings,
    ) -> Result<Value, Failure> {
        match operation {
            "CreateQueue" => return self.create(scope, body, now),
            "GetQueueUrl" => return self.url(scope, body),
            "DeleteQueue" => return self.delete(scope, body),
            _ => {}
        }
        let queue = self.queue(scope, body)?;
        match operation {
            "GetQueueAttributes" => queue.attributes(body, now, settings),
            "SetQueueAttributes" => queue.set_attributes(body, now),
            "SendMessage" => queue.send(body, now),
            "SendMessageBatch" => queue.batch(body, |queue, entry| queue.send(entry, now)),
            "ReceiveMessage" => queue.receive(body, now),
            "DeleteMessage" => queue.delete(body, now),
            "DeleteMessageBatch" => queue.batch(body, |queue, entry| queue.delete(entry, now)),
            "ChangeMessageVisibility" => queue.change_visibility(body, now),
            "PurgeQueue" => queue.purge(now),
            _ => {
                let message = format!("the fake has no SQS operation {operation}");
                Err(Failure::client("UnknownOperationException", message).queried("InvalidAction"))
            }
        }
    }

    /// Puts an event of EventBridge into a queue, given by its name, URL or ARN. Without such a queue the event is
    /// lost.
    pub(crate) fn deliver(&mut self, scope: &AwsScope, queue: &str, body: &str, at: Timestamp) {
        let name = queue.rsplit(['/', ':']).next().unwrap_or(queue);
        let queue = self.queues.get_mut(&(scope.clone(), name.to_owned()));
        // A FIFO queue accepts nothing without a message group.
        if let Some(queue) = queue.filter(|queue| !queue.attributes.is_fifo()) {
            let (delay, retention) = (
                queue.attributes.seconds("DelaySeconds"),
                queue.attributes.seconds("MessageRetentionPeriod"),
            );
            queue.messages.send(NewMessage::from_body(body), at, delay, retention);
        }
    }

    /// Returns the wait of a receiver, and the time when the next hidden message of its queue becomes visible.
    pub(crate) fn long_poll(
        &self,
        scope: &AwsScope,
        body: &Value,
        now: Timestamp,
    ) -> Option<(SignedDuration, Option<Timestamp>)> {
        let queue = self.queues.get(&self.key(scope, body)?)?;
        Some((queue.wait_time(body), queue.messages.next_visible(now)))
    }

    fn create(&mut self, scope: &AwsScope, body: &Value, now: Timestamp) -> Result<Value, Failure> {
        let request: Named = read(body)?;
        let name = request.queue_name;
        let is_fifo = fifo::is_fifo(&name, &request.attributes)?;
        let mut attributes = Attributes::new(is_fifo);
        attributes.set(&request.attributes)?;
        let url = self.url_of(&scope.account, &name);
        let key = (scope.clone(), name);
        if let Some(known) = self.queues.get(&key) {
            let same = request
                .attributes
                .iter()
                .all(|(name, value)| known.attributes.all().get(name) == Some(value));
            if !same {
                let message =
                    "A queue already exists with the same name and a different value for an attribute";
                return Err(Failure::client("QueueNameExists", message).queried("QueueAlreadyExists"));
            }
            return Ok(json!({ "QueueUrl": url }));
        }
        let (arn, messages) = (scope.arn("sqs", &key.1), Messages::default());
        let queue = Queue { arn, attributes, messages, created_at: now, modified_at: now, purged_at: None };
        self.queues.insert(key, queue);
        Ok(json!({ "QueueUrl": url }))
    }

    fn url(&self, scope: &AwsScope, body: &Value) -> Result<Value, Failure> {
        let request: Named = read(body)?;
        let account = request.owner.unwrap_or_else(|| scope.account.clone());
        let owner = AwsScope { account, region: scope.region.clone() };
        let key = (owner, request.queue_name);
        if !self.queues.contains_key(&key) {
            return Err(missing());
        }
        Ok(json!({ "QueueUrl": self.url_of(&key.0.account, &key.1) }))
    }

    /// Returns the key that encrypts a queue of this name, if one is set.
    pub(crate) fn key_of(&self, scope: &AwsScope, name: &str) -> Option<&str> {
        let queue = self.queues.get(&(scope.clone(), name.to_owned()))?;
        queue.attributes.all().get("KmsMasterKeyId").map(String::as_str)
    }

    fn url_of(&self, account: &str, name: &str) -> String {
        format!("{}/{account}/{name}", self.base)
    }

    /// Returns the queue of a call's URL: its account and name, in the region of the call.
    fn key(&self, scope: &AwsScope, body: &Value) -> Option<(AwsScope, String)> {
        let url = body["QueueUrl"].as_str()?;
        let (account, name) =
            url.rsplit_once('/').and_then(|(rest, name)| Some((rest.rsplit_once('/')?.1, name)))?;
        Some((AwsScope { account: account.to_owned(), region: scope.region.clone() }, name.to_owned()))
    }

    fn delete(&mut self, scope: &AwsScope, body: &Value) -> Result<Value, Failure> {
        let key = self.key(scope, body).ok_or_else(missing)?;
        self.queues.remove(&key).map(|_| json!({})).ok_or_else(missing)
    }

    fn queue(&mut self, scope: &AwsScope, body: &Value) -> Result<&mut Queue, Failure> {
        if !body["QueueUrl"].is_string() {
            let message = "The request must contain the parameter QueueUrl.";
            return Err(
                Failure::client("MissingRequiredParameterException", message).queried("MissingParameter")
            );
        }
        let key = self.key(scope, body).ok_or_else(missing)?;
        self.queues.get_mut(&key).ok_or_else(missing)
    }
}

impl Queue {
    fn attributes(&self, body: &Value, now: Timestamp, settings: &SqsSettings) -> Result<Value, Failure> {
        let request: GetAttributes = read(body)?;
        for name in &request.attribute_names {
            attributes::check_name(name)?;
        }
        let seen_at = later(now, -settings.counts_lag.min(COUNT_HISTORY));
        let counts = self.messages.counts(seen_at);
        let own = [
            ("ApproximateNumberOfMessages", counts.visible.to_string()),
            ("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string()),
            ("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string()),
            ("CreatedTimestamp", self.created_at.as_second().to_string()),
            ("LastModifiedTimestamp", self.modified_at.as_second().to_string()),
            ("QueueArn", self.arn.clone()),
        ];
        let mut shown = self.attributes.all().clone();
        shown.extend(own.map(|(name, value)| (name.to_owned(), value)));
        shown.retain(|name, _| request.attribute_names.iter().any(|asked| asked == name || asked == "All"));
        Ok(if shown.is_empty() { json!({}) } else { json!({ "Attributes": shown }) })
    }

    fn set_attributes(&mut self, body: &Value, now: Timestamp) -> Result<Value, Failure> {
        let request: GetAttributes = read(body)?;
        if request.attributes.contains_key(attributes::IS_FIFO) {
            let message =
                "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported.";
            return Err(Failure::client("InvalidAttributeValue", message).queried("InvalidAttributeValue"));
        }
        self.attributes.set(&request.attributes)?;
        self.modified_at = now;
        Ok(json!({}))
    }

    fn purge(&mut self, now: Timestamp) -> Result<Value, Failure> {
        if self.purged_at.is_some_and(|at| now < later(at, PURGE_INTERVAL)) {
            let message = "Only one PurgeQueue operation is allowed every 60 seconds.";
            let failure = Failure::client("PurgeQueueInProgress", message);
            return Err(failure.queried("AWS.SimpleQueueService.PurgeQueueInProgress"));
        }
        self.purged_at = Some(now);
        self.messages.purge(now);
        Ok(json!({}))
    }
}
