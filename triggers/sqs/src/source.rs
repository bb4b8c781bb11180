//! What is asked of SQS: a queue's URL, and its counts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use ecs_scheduler_backend_aws::Fault;
use ecs_scheduler_core::{FaultKind, SharedReading, Source, TriggerError, async_trait};

use crate::address::{self, Name};
use crate::demand::Depth;

/// Finds URLs by name.
pub(crate) struct Urls {
    pub(crate) client: Client,
    /// For what is said when it fails.
    pub(crate) region: String,
}

/// Reads counts by URL.
pub(crate) struct Depths {
    pub(crate) client: Client,
    /// For what is said when it fails.
    pub(crate) region: String,
}

#[async_trait]
impl Source for Urls {
    type Key = Name;
    type Reading = Arc<str>;
    const MAX_KEYS: usize = 1;

    async fn read(&self, keys: &[Name]) -> HashMap<Name, SharedReading<Arc<str>>> {
        let mut answers = HashMap::with_capacity(keys.len());
        for key in keys {
            answers.insert(key.clone(), self.url(key).await.map_err(Arc::new));
        }
        answers
    }
}

impl Urls {
    async fn url(&self, Name { name, owner }: &Name) -> Result<Arc<str>, TriggerError> {
        let asked =
            self.client.get_queue_url().queue_name(name).set_queue_owner_aws_account_id(owner.clone());
        let attempted = format!("could not find queue \"{name}\" in {}", self.region);
        match asked.send().await {
            Ok(answer) => answer.queue_url.map(Arc::from).ok_or_else(|| lacks(&attempted, "the URL")),
            Err(error) => Err(failed(Fault::of(error, attempted.as_str()), &attempted, "sqs:GetQueueUrl")),
        }
    }
}

#[async_trait]
impl Source for Depths {
    type Key = Arc<str>;
    type Reading = Depth;
    const MAX_KEYS: usize = 1;

    async fn read(&self, keys: &[Arc<str>]) -> HashMap<Arc<str>, SharedReading<Depth>> {
        let mut answers = HashMap::with_capacity(keys.len());
        for key in keys {
            answers.insert(Arc::clone(key), self.depth(key).await.map_err(Arc::new));
        }
        answers
    }
}

impl Depths {
    async fn depth(&self, url: &str) -> Result<Depth, TriggerError> {
        let name = url.rsplit('/').next().unwrap_or(url);
        let mut attempted = format!("could not read the depth of queue \"{name}\" in {}", self.region);
        if address::is_of_vpc_endpoint(url) {
            attempted.push_str(
                " (the host of queueUrl is not called; to go through a VPC endpoint without private DNS, set AWS_ENDPOINT_URL_SQS)",
            );
        }
        let asked = self.client.get_queue_attributes().queue_url(url).set_attribute_names(Some(vec![
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
            QueueAttributeName::VisibilityTimeout,
        ]));
        let answer = asked.send().await.map_err(|error| {
            failed(Fault::of(error, attempted.as_str()), &attempted, "sqs:GetQueueAttributes")
        })?;
        let attributes = answer.attributes.unwrap_or_default();
        let number = |name: QueueAttributeName| {
            let text = attributes.get(&name);
            text.and_then(|text| text.parse::<u64>().ok()).ok_or_else(|| lacks(&attempted, name.as_str()))
        };
        Ok(Depth {
            visible: number(QueueAttributeName::ApproximateNumberOfMessages)?,
            in_flight: number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)?,
            delayed: number(QueueAttributeName::ApproximateNumberOfMessagesDelayed)?,
            visibility_timeout: Duration::from_secs(number(QueueAttributeName::VisibilityTimeout)?),
        })
    }
}

/// Says what to do about a failure, where SQS's own code does not.
fn failed(fault: Fault, attempted: &str, action: &str) -> TriggerError {
    if fault.is_of_credentials() {
        return fault.into();
    }
    match fault.kind() {
        FaultKind::NotFound => {
            let message = format!("{attempted}: there is none; check its name, region and accountId");
            TriggerError::new(FaultKind::NotFound, message).because(said(&fault))
        }
        FaultKind::Denied => {
            let message = format!(
                "{attempted}; allow {action} on it in the policy of the scheduler's role, and, if it belongs to another \
                 account, in the queue's own policy"
            );
            TriggerError::new(FaultKind::Denied, message).because(said(&fault))
        }
        FaultKind::Config | FaultKind::Throttled | FaultKind::Unavailable | FaultKind::Bug => fault.into(),
    }
}

/// Returns SQS's code and words.
fn said(fault: &Fault) -> String {
    format!("{}: {}", fault.code().unwrap_or("no code"), fault.words().unwrap_or("no explanation"))
}

/// A count that is not there is not a count of zero.
fn lacks(attempted: &str, what: &str) -> TriggerError {
    TriggerError::new(FaultKind::Unavailable, format!("{attempted}: the answer lacks {what}"))
}
