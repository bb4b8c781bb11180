//! Channels of notifications: their configuration, and the ways to deliver through them.
//!
//! Only the configuration names receivers; jobs name channels. So a client that may write jobs cannot send anything to an address of
//! its choice.

mod address;
mod command;
mod config;
mod http;
mod message;
mod signature;
mod topic;

pub use config::NotifyConfig;
pub(crate) use config::insert_variables;
pub use topic::{TopicMessage, TopicPublisher};

use std::sync::Arc;

use ecs_scheduler_core::{
    CheckResult, Clock, DeliveryError, Notification, Notifier, NotifyRule, async_trait,
};

use config::ChannelConfig;
use http::HttpClient;

/// Why a topic cannot be used.
const NO_TOPICS: &str = "this build cannot publish to Amazon SNS";

/// The configured channels.
#[derive(Debug)]
pub struct Channels {
    names: Vec<String>,
    config: NotifyConfig,
    client: HttpClient,
    topics: Option<Arc<dyn TopicPublisher>>,
    /// The name of the scheduler, which events have as their source.
    scheduler: String,
    clock: Arc<dyn Clock>,
}

impl Channels {
    /// Prepares the channels. Nothing is sent. None if no channel is configured. `topics` publishes to topics of Amazon SNS, if this
    /// build can.
    #[must_use]
    pub fn notifier(
        config: &NotifyConfig,
        scheduler: &str,
        clock: &Arc<dyn Clock>,
        topics: Option<Arc<dyn TopicPublisher>>,
    ) -> Option<Arc<dyn Notifier>> {
        Self::open(config, scheduler, clock, topics).map(|channels| Arc::new(channels) as Arc<dyn Notifier>)
    }

    fn open(
        config: &NotifyConfig,
        scheduler: &str,
        clock: &Arc<dyn Clock>,
        topics: Option<Arc<dyn TopicPublisher>>,
    ) -> Option<Self> {
        if config.channels.is_empty() {
            return None;
        }
        Some(Self {
            names: config.channels.keys().cloned().collect(),
            client: HttpClient::new(config.allow.clone(), Arc::clone(clock)),
            config: config.clone(),
            topics,
            scheduler: scheduler.to_owned(),
            clock: Arc::clone(clock),
        })
    }

    /// Checks each channel as far as that is possible without sending anything: that its host has an allowed address, that its
    /// program or its topic exists.
    pub(crate) async fn diagnose(
        config: &NotifyConfig,
        scheduler: &str,
        clock: &Arc<dyn Clock>,
        topics: Option<Arc<dyn TopicPublisher>>,
    ) -> Vec<CheckResult> {
        let Some(channels) = Self::open(config, scheduler, clock, topics) else { return Vec::new() };
        let mut seen = Vec::new();
        for (name, channel) in &channels.config.channels {
            let what = format!("channel {name}");
            let checked = match channel {
                ChannelConfig::Webhook { url, .. } | ChannelConfig::Slack { url } => {
                    channels.client.check(url).await
                }
                ChannelConfig::Command(command) => command.check(),
                ChannelConfig::Sns(topic) => match &channels.topics {
                    Some(topics) => topics
                        .check(topic.as_str())
                        .await
                        .map(|()| format!("topic {} exists", topic.as_str())),
                    None => Err(NO_TOPICS.to_owned()),
                },
            };
            seen.push(match checked {
                Ok(found) => CheckResult::passed(format!("{what}: {found}")),
                Err(error) => CheckResult::failed(what, error),
            });
        }
        seen
    }
}

#[async_trait]
impl Notifier for Channels {
    fn channels(&self) -> &[String] {
        &self.names
    }

    fn defaults(&self) -> &[NotifyRule] {
        &self.config.defaults
    }

    async fn deliver(&self, channel: &str, notification: &Notification) -> Result<(), DeliveryError> {
        match self.config.channels.get(channel) {
            None => Err(DeliveryError::refused(format!("channel {channel} is not configured any more"))),
            Some(ChannelConfig::Webhook { url, secret, headers }) => {
                let body = message::event(notification, &self.scheduler).to_string();
                let signed = secret.headers(&notification.id, self.clock.now(), &body);
                let given = headers.iter().map(|(name, value)| (name.as_str(), value.reveal().to_owned()));
                let all: Vec<(&str, String)> = [("content-type", "application/cloudevents+json".to_owned())]
                    .into_iter()
                    .chain(signed)
                    .chain(given)
                    .collect();
                self.client.post(url, &all, body).await
            }
            Some(ChannelConfig::Slack { url }) => {
                let body = message::slack(notification, &self.scheduler).to_string();
                let headers = [("content-type", "application/json".to_owned())];
                self.client.post(url, &headers, body).await
            }
            Some(ChannelConfig::Command(command)) => {
                let event = message::event(notification, &self.scheduler).to_string();
                command.run(&notification.id, &event).await
            }
            Some(ChannelConfig::Sns(topic)) => match &self.topics {
                Some(topics) => {
                    topics.publish(topic.as_str(), &TopicMessage::new(notification, &self.scheduler)).await
                }
                None => Err(DeliveryError::failed(NO_TOPICS)),
            },
        }
    }
}
