//! "ECS Task State Change" events from an SQS queue: ends are learnt at once, and without a call per look.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, QueueAttributeName};
use ecs_scheduler_backend_aws::{Fault, Place};
use ecs_scheduler_core::fault::chain;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::Shared;
use crate::task_snapshot::TaskView;

#[cfg(test)]
mod tests;

/// How long a receive waits for messages: the longest that SQS allows.
const WAIT: Duration = Duration::from_secs(20);
/// Messages of one receive: the most that SQS gives.
const BATCH: i32 = 10;
/// The wait after a failed receive.
const AFTER_FAULT: Duration = Duration::from_secs(10);
/// The detail type of the events that are wanted.
const STATE_CHANGE: &str = "ECS Task State Change";

/// The advice about other messages.
const REMEDY: &str = "let the EventBridge rule send the whole event, without an input transformer, and only \
                      \"ECS Task State Change\"";

/// Characters of a message's own that are shown.
const SHOWN: usize = 200;

/// Listens to the queue until it is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    task: JoinHandle<()>,
}

impl Listener {
    pub(crate) fn start(shared: Arc<Shared>, queue: String) -> Self {
        let ear = Ear { shared, queue };
        Self { task: tokio::spawn(async move { ear.listen().await }) }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Looks into the queue without taking anything out of it, and says what is wrong: messages that are not understood, or that
/// nothing may send events to it.
pub(crate) async fn look(shared: &Shared, queue: &str) -> Result<Option<String>, Fault> {
    let client = client(shared).await?;
    let url = url(&client, queue).await?;
    let receive =
        client.receive_message().queue_url(&url).max_number_of_messages(BATCH).visibility_timeout(0);
    let answer = receive.wait_time_seconds(0).send().await;
    let answer = answer.map_err(|error| fault(error, "receive", queue))?;
    for message in answer.messages() {
        if let Err(shape) = read(message.body().unwrap_or_default()) {
            return Ok(Some(format!("a message is no task state change but {shape}; {REMEDY}")));
        }
    }
    let name = QueueAttributeName::Policy;
    let attributes = client.get_queue_attributes().queue_url(url).attribute_names(name.clone()).send().await;
    // The scheduler itself needs no permission to read the policy.
    let Ok(attributes) = attributes else { return Ok(None) };
    let policy = attributes.attributes().and_then(|all| all.get(&name)).map_or("", String::as_str);
    if answer.messages().is_empty() && !lets_events_in(policy) {
        let text = "no event is there, and the queue's policy lets neither EventBridge nor SNS send any: add a rule for \
                    \"ECS Task State Change\" and the policy that lets it send (deploy/terraform has both)";
        return Ok(Some(text.to_owned()));
    }
    Ok(None)
}

/// Tells whether the policy of a queue allows EventBridge or SNS something, or everybody.
fn lets_events_in(policy: &str) -> bool {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    let statement = &policy["Statement"];
    let statements = statement.as_array().map_or(std::slice::from_ref(statement), Vec::as_slice);
    statements.iter().any(|statement| {
        let to = statement["Principal"].to_string();
        let names = |who: &str| to.contains(who);
        statement["Effect"] == "Allow"
            && (names("events.amazonaws.com") || names("sns.amazonaws.com") || names("\"*\""))
    })
}

/// Returns the key that encrypts the queue, by its id, alias or ARN; nothing when SQS's own keys do, or none.
pub(crate) async fn key(shared: &Shared, queue: &str) -> Result<Option<String>, Fault> {
    let client = client(shared).await?;
    let url = url(&client, queue).await?;
    let name = QueueAttributeName::KmsMasterKeyId;
    let answer = client.get_queue_attributes().queue_url(url).attribute_names(name.clone()).send().await;
    let answer = answer.map_err(|error| fault(error, "examine", queue))?;
    Ok(answer.attributes.and_then(|mut all| all.remove(&name)))
}

struct Ear {
    shared: Arc<Shared>,
    /// The queue's name or URL.
    queue: String,
}

impl Ear {
    async fn listen(&self) {
        loop {
            let Err(fault) = self.until_fault().await;
            tracing::warn!(
                queue = self.queue,
                error = chain(&fault),
                "task events cannot be received; asking ECS instead"
            );
            tokio::time::sleep(AFTER_FAULT).await;
        }
    }

    async fn until_fault(&self) -> Result<std::convert::Infallible, Fault> {
        let client = client(&self.shared).await?;
        let url = url(&client, &self.queue).await?;
        loop {
            let receive = client.receive_message().queue_url(&url).max_number_of_messages(BATCH);
            let answer = receive.wait_time_seconds(i32::try_from(WAIT.as_secs()).unwrap_or(0)).send().await;
            let answer = answer.map_err(|error| fault(error, "receive", &self.queue))?;
            self.shared.hearing.received();
            let messages = answer.messages();
            if messages.is_empty() {
                continue;
            }
            for message in messages {
                match read(message.body().unwrap_or_default()) {
                    Ok(view) => self.shared.hear(&view).await,
                    Err(shape) => self.report(&shape),
                }
            }
            self.delete(&client, &url, messages).await?;
        }
    }

    /// Says once of each shape that it is not understood.
    fn report(&self, shape: &str) {
        if self.shared.hearing.is_new(shape) {
            let queue = &self.queue;
            tracing::warn!(
                queue,
                shape,
                "a message is no task state change and was deleted; {REMEDY}; this shape is not reported again"
            );
        }
    }

    /// Deletes what was applied, and what is of no use to anybody: the queue is this scheduler's own.
    async fn delete(&self, client: &Client, url: &str, messages: &[Message]) -> Result<(), Fault> {
        let entries = messages.iter().enumerate().map(|(index, message)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .receipt_handle(message.receipt_handle().unwrap_or_default())
                .build()
                .expect("both are given")
        });
        let answer =
            client.delete_message_batch().queue_url(url).set_entries(Some(entries.collect())).send().await;
        answer.map_err(|error| fault(error, "delete", &self.queue))?;
        Ok(())
    }
}

async fn client(shared: &Shared) -> Result<Client, Fault> {
    let aws = shared.clients.aws();
    let config = aws.config(&Place::default()).await?;
    // A receive that waits for messages takes longer than any other call.
    let timeouts =
        TimeoutConfig::builder().operation_attempt_timeout(WAIT * 2).operation_timeout(WAIT * 3).build();
    let builder = aws_sdk_sqs::config::Builder::from(&config).interceptor(aws.metering());
    Ok(Client::from_conf(builder.timeout_config(timeouts).build()))
}

async fn url(client: &Client, queue: &str) -> Result<String, Fault> {
    if queue.contains("://") {
        return Ok(queue.to_owned());
    }
    let answer = client.get_queue_url().queue_name(queue).send().await;
    Ok(answer.map_err(|error| fault(error, "find", queue))?.queue_url.unwrap_or_default())
}

fn fault<E>(error: aws_sdk_sqs::error::SdkError<E>, what: &str, queue: &str) -> Fault
where
    E: aws_sdk_sqs::error::ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    Fault::of(error, format!("could not {what} task events of queue \"{queue}\""))
}

/// Reads an event, as EventBridge sends it or in the envelope of SNS; fails with the shape of what it is instead.
fn read(body: &str) -> Result<TaskView, String> {
    let Ok(mut event) = serde_json::from_str::<Value>(body) else {
        return Err("text that is not JSON".to_owned());
    };
    if event["Type"] == "Notification"
        && let Some(text) = event["Message"].as_str()
    {
        let inner = serde_json::from_str(text);
        event = inner.map_err(|_| "a notification of SNS whose message is not JSON".to_owned())?;
    }
    let Some(kind) = event["detail-type"].as_str() else { return Err(shape(&event)) };
    if kind != STATE_CHANGE {
        return Err(format!("an event of type {:?}", kind.chars().take(SHOWN).collect::<String>()));
    }
    let detail = event["detail"].take();
    // An end without its containers would have no exit code.
    if detail["taskArn"].as_str().is_none_or(str::is_empty)
        || !detail["lastStatus"].is_string()
        || !detail["containers"].is_array()
    {
        return Err(format!("a state change of which parts are missing: {}", shape(&detail)));
    }
    serde_json::from_value(detail).map_err(|error| format!("a state change that cannot be read: {error}"))
}

/// Describes a JSON value by the names of its fields.
fn shape(value: &Value) -> String {
    let Some(fields) = value.as_object() else { return "JSON that is not an object".to_owned() };
    let names: Vec<_> = fields.keys().map(String::as_str).collect();
    format!("an object with the fields {:?}", names.join(", ").chars().take(SHOWN).collect::<String>())
}
