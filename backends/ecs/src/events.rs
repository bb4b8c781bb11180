//! "ECS Task State Change" events from an SQS queue: the end of a task is known at once, and without polling ECS.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, QueueAttributeName};
use ecs_scheduler_backend_aws::{AwsScope, Fault};
use ecs_scheduler_core::fault::chain;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::LauncherContext;
use crate::task_snapshot::TaskSnapshot;

#[cfg(test)]
mod tests;

/// Wait of a long poll: the maximum of SQS.
const RECEIVE_WAIT: Duration = Duration::from_secs(20);
/// Messages of one receive: the maximum of SQS.
pub(crate) const MAX_BATCH: i32 = 10;
/// Wait after a failed receive.
const RETRY_DELAY: Duration = Duration::from_secs(10);
/// The detail type of task events.
const STATE_CHANGE: &str = "ECS Task State Change";

/// The remedy for messages of another kind.
pub(crate) const REMEDY: &str = "the EventBridge rule must send the whole event, without an input transformer, and only \"ECS \
                      Task State Change\"";

/// Maximum number of characters of a message that a report shows.
const MAX_SHOWN_CHARS: usize = 200;

/// Receives events until it is dropped.
#[derive(Debug)]
pub(crate) struct EventListener {
    task: JoinHandle<()>,
}

impl EventListener {
    pub(crate) fn start(shared: Arc<LauncherContext>, queue: String) -> Self {
        let receiver = EventReceiver { shared, queue };
        Self { task: tokio::spawn(async move { receiver.run().await }) }
    }
}

impl Drop for EventListener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Returns the key that encrypts the queue, by its id, alias or ARN. Returns nothing if SQS encrypts it with its own
/// keys, or if it is not encrypted.
pub(crate) async fn encryption_key(shared: &LauncherContext, queue: &str) -> Result<Option<String>, Fault> {
    let client = client(shared).await?;
    let url = url(&client, queue).await?;
    let name = QueueAttributeName::KmsMasterKeyId;
    let answer = client.get_queue_attributes().queue_url(url).attribute_names(name.clone()).send().await;
    let answer = answer.map_err(|error| fault(error, "diagnose", queue))?;
    Ok(answer.attributes.and_then(|mut all| all.remove(&name)))
}

struct EventReceiver {
    shared: Arc<LauncherContext>,
    /// The queue's name or URL.
    queue: String,
}

impl EventReceiver {
    async fn run(&self) {
        loop {
            let Err(fault) = self.receive_until_fault().await;
            tracing::warn!(
                queue = self.queue,
                error = chain(&fault),
                "could not receive task events; polling ECS instead"
            );
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }

    async fn receive_until_fault(&self) -> Result<std::convert::Infallible, Fault> {
        let client = client(&self.shared).await?;
        let url = url(&client, &self.queue).await?;
        loop {
            let receive = client.receive_message().queue_url(&url).max_number_of_messages(MAX_BATCH);
            let answer =
                receive.wait_time_seconds(i32::try_from(RECEIVE_WAIT.as_secs()).unwrap_or(0)).send().await;
            let answer = answer.map_err(|error| fault(error, "receive", &self.queue))?;
            self.shared.event_health.record_receive();
            let messages = answer.messages();
            if messages.is_empty() {
                continue;
            }
            for message in messages {
                match parse_event(message.body().unwrap_or_default()) {
                    Ok(snapshot) => self.shared.record_event(&snapshot).await,
                    Err(shape) => self.warn_unknown_shape(&shape),
                }
            }
            self.delete(&client, &url, messages).await?;
        }
    }

    /// Warns about a message of another kind, once for each shape.
    fn warn_unknown_shape(&self, shape: &str) {
        if self.shared.event_health.is_new_shape(shape) {
            let queue = &self.queue;
            tracing::warn!(
                queue,
                shape,
                "deleted a message that is not a task state change; {REMEDY}; this shape is not reported again"
            );
        }
    }

    /// Deletes all received messages: no other program uses this queue.
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

pub(crate) async fn client(shared: &LauncherContext) -> Result<Client, Fault> {
    let aws = shared.clients.aws();
    let config = aws.config(&AwsScope::default()).await?;
    // A receive that waits for messages takes longer than any other call.
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(RECEIVE_WAIT * 2)
        .operation_timeout(RECEIVE_WAIT * 3)
        .build();
    let builder = aws_sdk_sqs::config::Builder::from(&config).interceptor(aws.metering());
    Ok(Client::from_conf(builder.timeout_config(timeouts).build()))
}

pub(crate) async fn url(client: &Client, queue: &str) -> Result<String, Fault> {
    if queue.contains("://") {
        return Ok(queue.to_owned());
    }
    let answer = client.get_queue_url().queue_name(queue).send().await;
    Ok(answer.map_err(|error| fault(error, "find", queue))?.queue_url.unwrap_or_default())
}

pub(crate) fn fault<E>(error: aws_sdk_sqs::error::SdkError<E>, what: &str, queue: &str) -> Fault
where
    E: aws_sdk_sqs::error::ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    Fault::from_sdk(error, format!("could not {what} task events of queue \"{queue}\""))
}

/// Parses an event, as EventBridge sends it or in the envelope of SNS. Fails with a description of the message's
/// shape.
pub(crate) fn parse_event(body: &str) -> Result<TaskSnapshot, String> {
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
        return Err(format!("an event of type {:?}", kind.chars().take(MAX_SHOWN_CHARS).collect::<String>()));
    }
    let detail = event["detail"].take();
    // An end without its containers would have no exit code.
    if detail["taskArn"].as_str().is_none_or(str::is_empty)
        || !detail["lastStatus"].is_string()
        || !detail["containers"].is_array()
    {
        return Err(format!("a state change with missing fields: {}", shape(&detail)));
    }
    serde_json::from_value(detail).map_err(|error| format!("a state change that is not valid: {error}"))
}

/// Describes a JSON value by the names of its fields.
fn shape(value: &Value) -> String {
    let Some(fields) = value.as_object() else { return "JSON that is not an object".to_owned() };
    let names: Vec<_> = fields.keys().map(String::as_str).collect();
    format!(
        "an object with the fields {:?}",
        names.join(", ").chars().take(MAX_SHOWN_CHARS).collect::<String>()
    )
}
