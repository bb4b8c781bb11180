//! "ECS Task State Change" events from an SQS queue: ends are learnt at once, and without a call per look.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message};
use ecs_scheduler_backend_aws::{Fault, Place};
use ecs_scheduler_core::fault::chain;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::Shared;
use crate::view::TaskView;

#[cfg(test)]
mod tests;

/// How long a receive waits for messages: the longest that SQS allows.
const WAIT: Duration = Duration::from_secs(20);
/// Messages of one receive: the most that SQS gives.
const BATCH: i32 = 10;
/// The wait after a failed receive.
const AFTER_FAULT: Duration = Duration::from_secs(10);
/// Without a good receive for so long, events do not count as heard.
const DEAF: Duration = Duration::from_secs(60);

/// The detail type of the events that are wanted.
const STATE_CHANGE: &str = "ECS Task State Change";

/// Listens to the queue until it is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    task: JoinHandle<()>,
    heard: Arc<Mutex<Option<Instant>>>,
}

impl Listener {
    pub(crate) fn start(shared: Arc<Shared>, queue: String) -> Self {
        let heard = Arc::new(Mutex::new(None));
        let ear = Ear { shared, queue, heard: Arc::clone(&heard) };
        Self { task: tokio::spawn(async move { ear.listen().await }), heard }
    }

    /// Tells whether events are being heard.
    pub(crate) fn hears(&self) -> bool {
        self.heard.lock().is_some_and(|at| at.elapsed() < DEAF)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Looks into the queue without taking anything out of it.
pub(crate) async fn peek(shared: &Shared, queue: &str) -> Result<(), Fault> {
    let client = client(shared).await?;
    let url = url(&client, queue).await?;
    let receive = client.receive_message().queue_url(&url).max_number_of_messages(1).visibility_timeout(0);
    receive.wait_time_seconds(0).send().await.map_err(|error| fault(error, "receive", queue))?;
    Ok(())
}

struct Ear {
    shared: Arc<Shared>,
    /// The queue's name or URL.
    queue: String,
    heard: Arc<Mutex<Option<Instant>>>,
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
            *self.heard.lock() = Some(Instant::now());
            let messages = answer.messages();
            if messages.is_empty() {
                continue;
            }
            for view in messages.iter().filter_map(|message| parse(message.body()?)) {
                self.shared.hear(&view).await;
            }
            self.delete(&client, &url, messages).await?;
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

/// Reads an event; nothing when it is of another kind.
fn parse(body: &str) -> Option<TaskView> {
    #[derive(Deserialize)]
    struct Event {
        #[serde(rename = "detail-type")]
        kind: String,
        detail: serde_json::Value,
    }
    let event: Event = serde_json::from_str(body).ok()?;
    if event.kind != STATE_CHANGE {
        return None;
    }
    let view: TaskView = serde_json::from_value(event.detail).ok()?;
    (!view.task_arn.is_empty()).then_some(view)
}
