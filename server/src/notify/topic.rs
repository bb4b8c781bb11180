//! A channel that publishes to a topic of Amazon SNS. The call itself is a plugin's: `wiring` knows it.

use std::fmt;

use ecs_scheduler_core::{DeliveryError, Notification, Permission, async_trait};

use super::message;

#[cfg(test)]
mod tests;

/// The message group of a notification about several jobs, on a FIFO topic.
const GROUP_OF_SEVERAL: &str = "jobs";
/// The maximum length of a topic's name, in bytes.
const MAX_NAME: usize = 256;

/// The ARN of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TopicArn(String);

impl TopicArn {
    /// Reads an ARN.
    ///
    /// # Source
    ///
    /// <https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html>
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "it must be the ARN of a topic: arn:aws:sns:eu-west-1:123456789012:ops".to_owned();
        let parts: Vec<&str> = text.split(':').collect();
        let ["arn", partition, "sns", region, account, name] = parts.as_slice() else { return Err(wrong()) };
        let is_word = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
        };
        let plain = name.strip_suffix(".fifo").unwrap_or(name);
        let is_name = !plain.is_empty()
            && name.len() <= MAX_NAME
            && plain.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_');
        let is_account = account.len() == 12 && account.bytes().all(|c| c.is_ascii_digit());
        if is_word(partition) && is_word(region) && is_account && is_name {
            Ok(Self(text.to_owned()))
        } else {
            Err(wrong())
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the permission that the channel needs.
    pub(super) fn permission(&self) -> Permission {
        Permission::new("sns:Publish", self.0.as_str())
    }
}

/// A notification as a topic gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicMessage {
    /// The id of the notification: the deduplication id on a FIFO topic.
    pub id: String,
    /// 1 to 99 printable ASCII characters.
    pub subject: String,
    /// The CloudEvents event as JSON.
    pub body: String,
    /// The message group on a FIFO topic: the job, or `jobs` if there are several.
    pub group: String,
    /// Names and values of the message attributes: `type`, and `job` if there is one.
    pub attributes: Vec<(&'static str, String)>,
}

impl TopicMessage {
    pub(super) fn new(notification: &Notification, scheduler: &str) -> Self {
        let mut attributes = vec![("type", message::event_type(notification))];
        let group = match notification.jobs.as_slice() {
            [job] => {
                attributes.push(("job", job.job.to_string()));
                job.job.to_string()
            }
            _ => GROUP_OF_SEVERAL.to_owned(),
        };
        Self {
            id: notification.id.clone(),
            subject: message::subject(notification, scheduler),
            body: message::event(notification, scheduler).to_string(),
            group,
            attributes,
        }
    }
}

/// Publishes to topics.
#[async_trait]
pub trait TopicPublisher: fmt::Debug + Send + Sync {
    /// Publishes a message to the topic of this ARN.
    ///
    /// # Errors
    ///
    /// Fails when AWS does not confirm it.
    async fn publish(&self, arn: &str, message: &TopicMessage) -> Result<(), DeliveryError>;

    /// Checks that the topic of this ARN exists. Nothing is published.
    ///
    /// # Errors
    ///
    /// Fails with the problem and the remedy.
    async fn check(&self, arn: &str) -> Result<(), String>;
}
