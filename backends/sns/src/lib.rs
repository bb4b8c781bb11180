#![doc = include_str!("../README.md")]

use std::time::Duration;

use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use ecs_scheduler_backend_aws::{
    AwsContext, AwsScope, Fault, PUBLISH, RateLimiters, RegionalClients, SdkConfig,
};
use ecs_scheduler_core::FaultKind;
use tokio::time::Instant;

/// The maximum size of a message with its attributes, in bytes.
///
/// # Source
///
/// <https://docs.aws.amazon.com/general/latest/gr/sns.html>
pub const MAX_MESSAGE: usize = 256 * 1024;

/// The end of the names of FIFO topics.
const FIFO_SUFFIX: &str = ".fifo";
/// The deadline of a call that waits for quota: other waiting calls with an earlier one go first.
const QUOTA_DEADLINE: Duration = Duration::from_secs(5);

/// A message for a topic.
#[derive(Debug, Clone, Copy)]
pub struct SnsMessage<'a> {
    /// The deduplication id on a FIFO topic: 1 to 128 ASCII letters, digits and punctuation.
    pub id: &'a str,
    /// The subject: 1 to 99 printable ASCII characters, without a space at the beginning.
    pub subject: &'a str,
    /// The message; not empty.
    pub body: &'a str,
    /// The message group on a FIFO topic, as the id.
    pub group: &'a str,
    /// Names and values of attributes of the type `String`; no value is empty.
    pub attributes: &'a [(&'a str, &'a str)],
}

/// Publishes messages. Reads nothing and makes no call until it is used.
#[derive(Debug)]
pub struct SnsPublisher {
    clients: RegionalClients<Client>,
    limiters: RateLimiters,
}

impl SnsPublisher {
    /// Makes a publisher.
    #[must_use]
    pub fn new(aws: AwsContext) -> Self {
        Self { clients: RegionalClients::new(aws), limiters: RateLimiters::default() }
    }

    /// Publishes a message once. The SDK repeats calls without an answer, up to 3 in 15 s: a standard topic may then publish it
    /// twice.
    ///
    /// # Errors
    ///
    /// Fails when the message is too large, and when AWS does not confirm the call; the topic may have published it nevertheless.
    pub async fn publish(&self, topic: &str, message: &SnsMessage<'_>) -> Result<(), Fault> {
        let attempted = format!("could not publish to topic {topic}");
        let bytes = size(message);
        if bytes > MAX_MESSAGE {
            let text =
                format!("{attempted}: the message has {bytes} bytes; at most {MAX_MESSAGE} are allowed");
            return Err(Fault::new(FaultKind::Config, text));
        }
        let scope = scope(topic);
        let client = self.client(&scope).await?;
        let limiter = self.limiters.get(&scope, PUBLISH);
        limiter.acquire(Instant::now() + QUOTA_DEADLINE, 1).await;
        let mut call = client.publish().topic_arn(topic).subject(message.subject).message(message.body);
        for (name, value) in message.attributes {
            let attribute = MessageAttributeValue::builder().data_type("String").string_value(*value).build();
            let attribute = attribute.map_err(|error| {
                Fault::new(FaultKind::Bug, attempted.as_str()).with_source(error.to_string())
            })?;
            call = call.message_attributes(*name, attribute);
        }
        if topic.ends_with(FIFO_SUFFIX) {
            call = call.message_group_id(message.group).message_deduplication_id(message.id);
        }
        let answer = call
            .send()
            .await
            .map_err(|error| fault(Fault::from_sdk(error, attempted.as_str()), &attempted, "sns:Publish"));
        if answer.as_ref().is_err_and(|fault| fault.kind() == FaultKind::Throttled) {
            limiter.throttled();
        }
        answer.map(drop)
    }

    /// Checks that a topic exists, by reading its attributes (`sns:GetTopicAttributes`).
    ///
    /// # Errors
    ///
    /// Fails when the topic cannot be read.
    pub async fn check(&self, topic: &str) -> Result<(), Fault> {
        let attempted = format!("could not read topic {topic}");
        let client = self.client(&scope(topic)).await?;
        let answer = client.get_topic_attributes().topic_arn(topic).send().await;
        let read = answer.map_err(|error| {
            fault(Fault::from_sdk(error, attempted.as_str()), &attempted, "sns:GetTopicAttributes")
        });
        read.map(drop)
    }

    async fn client(&self, scope: &AwsScope) -> Result<std::sync::Arc<Client>, Fault> {
        let make = |config: &SdkConfig, _| {
            let builder = aws_sdk_sns::config::Builder::from(config);
            Client::from_conf(builder.interceptor(self.clients.aws().metering()).build())
        };
        self.clients.at(scope, make).await
    }
}

/// Returns the scope of the calls for a topic: its region, with the default credentials.
fn scope(topic: &str) -> AwsScope {
    AwsScope { region: topic.split(':').nth(3).map(str::to_owned), account: None }
}

/// Returns the size of a message as SNS counts it.
fn size(message: &SnsMessage<'_>) -> usize {
    let attributes = message.attributes.iter();
    message.body.len()
        + attributes.map(|(name, value)| name.len() + "String".len() + value.len()).sum::<usize>()
}

/// Adds a remedy to what AWS answered.
fn fault(fault: Fault, attempted: &str, action: &str) -> Fault {
    if fault.is_credentials_fault() {
        return fault;
    }
    let remedy = match fault.kind() {
        FaultKind::NotFound => "there is none; check its ARN".to_owned(),
        FaultKind::Denied => format!(
            "access denied; allow {action} on it in the policy of the scheduler's role, and, if it belongs to another account, \
             in the topic's own policy"
        ),
        FaultKind::Config | FaultKind::Throttled | FaultKind::Unavailable | FaultKind::Bug => return fault,
    };
    Fault::new(fault.kind(), format!("{attempted}: {remedy}")).with_source(fault.service_answer())
}
