//! Calls to SQS: a queue's URL, and its counts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use ecs_scheduler_backend_aws::Fault;
use ecs_scheduler_core::{FaultKind, Source, TriggerError, async_trait};

use crate::address::{self, QueueName};
use crate::demand::Depth;

/// Finds URLs by name.
pub(crate) struct UrlSource {
    pub(crate) client: Client,
    /// The region, for error messages.
    pub(crate) region: String,
}

/// Reads counts by URL.
pub(crate) struct DepthSource {
    pub(crate) client: Client,
    /// The region, for error messages.
    pub(crate) region: String,
}

#[async_trait]
impl Source for UrlSource {
    type Key = QueueName;
    type Reading = Arc<str>;
    const MAX_KEYS: usize = 1;

    async fn read(&self, keys: &[QueueName]) -> HashMap<QueueName, Result<Arc<str>, TriggerError>> {
        let mut answers = HashMap::with_capacity(keys.len());
        for key in keys {
            answers.insert(key.clone(), self.find_url(key).await);
        }
        answers
    }
}

impl UrlSource {
    async fn find_url(&self, QueueName { name, owner }: &QueueName) -> Result<Arc<str>, TriggerError> {
        let request =
            self.client.get_queue_url().queue_name(name).set_queue_owner_aws_account_id(owner.clone());
        let attempted = format!("could not find queue \"{name}\" in {}", self.region);
        match request.send().await {
            Ok(answer) => answer.queue_url.map(Arc::from).ok_or_else(|| missing_field(&attempted, "the URL")),
            Err(error) => {
                Err(trigger_error(Fault::from_sdk(error, attempted.as_str()), &attempted, "sqs:GetQueueUrl"))
            }
        }
    }
}

#[async_trait]
impl Source for DepthSource {
    type Key = Arc<str>;
    type Reading = Depth;
    const MAX_KEYS: usize = 1;

    async fn read(&self, keys: &[Arc<str>]) -> HashMap<Arc<str>, Result<Depth, TriggerError>> {
        let mut answers = HashMap::with_capacity(keys.len());
        for key in keys {
            answers.insert(Arc::clone(key), self.read_depth(key).await);
        }
        answers
    }
}

impl DepthSource {
    async fn read_depth(&self, url: &str) -> Result<Depth, TriggerError> {
        let name = url.rsplit('/').next().unwrap_or(url);
        let mut attempted = format!("could not read the depth of queue \"{name}\" in {}", self.region);
        if address::is_vpc_endpoint(url) {
            attempted.push_str(
                " (the host of queueUrl is not called; to go through a VPC endpoint without private DNS, set AWS_ENDPOINT_URL_SQS)",
            );
        }
        let request = self.client.get_queue_attributes().queue_url(url).set_attribute_names(Some(vec![
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
            QueueAttributeName::VisibilityTimeout,
        ]));
        let answer = request.send().await.map_err(|error| {
            trigger_error(Fault::from_sdk(error, attempted.as_str()), &attempted, "sqs:GetQueueAttributes")
        })?;
        let attributes = answer.attributes.unwrap_or_default();
        let number = |name: QueueAttributeName| {
            let text = attributes.get(&name);
            text.and_then(|text| text.parse::<u64>().ok())
                .ok_or_else(|| missing_field(&attempted, name.as_str()))
        };
        Ok(Depth {
            visible: number(QueueAttributeName::ApproximateNumberOfMessages)?,
            in_flight: number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)?,
            delayed: number(QueueAttributeName::ApproximateNumberOfMessagesDelayed)?,
            visibility_timeout: Duration::from_secs(number(QueueAttributeName::VisibilityTimeout)?),
        })
    }
}

/// Converts a fault, and adds a remedy if SQS's own code has none.
fn trigger_error(fault: Fault, attempted: &str, action: &str) -> TriggerError {
    if fault.is_credentials_fault() {
        return fault.into();
    }
    match fault.kind() {
        FaultKind::NotFound => {
            let message = format!("{attempted}: there is none; check its name, region and accountId");
            TriggerError::new(FaultKind::NotFound, message).with_source(fault.service_answer())
        }
        FaultKind::Denied => {
            let message = format!(
                "{attempted}; allow {action} on it in the policy of the scheduler's role, and, if it belongs to another \
                 account, in the queue's own policy"
            );
            TriggerError::new(FaultKind::Denied, message).with_source(fault.service_answer())
        }
        FaultKind::Config | FaultKind::Throttled | FaultKind::Unavailable | FaultKind::Bug => fault.into(),
    }
}

/// Makes the error of a missing count, which must not be read as zero.
fn missing_field(attempted: &str, what: &str) -> TriggerError {
    TriggerError::new(FaultKind::Unavailable, format!("{attempted}: the response has no {what}"))
}
