//! The part `notify` of the configuration file: channels, allowed receivers, and rules of all jobs.

use std::collections::BTreeMap;
use std::fmt;

use axum::http::{HeaderName, HeaderValue};
use ecs_scheduler_core::{NotifyRule, Permission, read_config};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::address::AllowList;
use super::command::CommandChannel;
use super::http::ReceiverUrl;
use super::signature::WebhookSecret;
use super::topic::TopicArn;

mod variables;

pub(crate) use variables::insert_variables;

#[cfg(test)]
mod tests;

/// The key of the channels.
const CHANNELS: &str = "notify.channels";
/// The maximum number of channels.
const MAX_CHANNELS: usize = 20;
/// The maximum length of a channel's name, in characters.
const MAX_NAME: usize = 64;
/// The kinds of channels.
const KINDS: [&str; 4] = ["webhook", "slack", "sns", "command"];
/// Headers that the scheduler sets itself.
const OWN_HEADERS: [&str; 9] = [
    "connection",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
    "user-agent",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
];

/// The configuration of notifications.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotifyConfig {
    pub(super) channels: BTreeMap<String, ChannelConfig>,
    pub(super) allow: AllowList,
    pub(super) defaults: Vec<NotifyRule>,
}

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ChannelConfig {
    /// Sends signed CloudEvents.
    Webhook { url: ReceiverUrl, secret: WebhookSecret, headers: Vec<(String, HiddenText)> },
    /// Sends texts to a Slack-compatible webhook.
    Slack { url: ReceiverUrl },
    /// Publishes CloudEvents to a topic of Amazon SNS.
    Sns(TopicArn),
    /// Runs a program.
    Command(CommandChannel),
}

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct HiddenText(String);

impl HiddenText {
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HiddenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNotify {
    #[serde(default)]
    channels: BTreeMap<String, Map<String, Value>>,
    #[serde(default)]
    allow: Vec<String>,
    #[serde(default)]
    default: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWebhook {
    url: String,
    secret: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSlack {
    url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawSns {
    topic_arn: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCommand {
    command: Vec<String>,
}

impl NotifyConfig {
    /// Reads the value of the setting `notify`: the JSON of that part of the file.
    ///
    /// # Errors
    ///
    /// Fails with all problems at once, without secrets.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let one = |problem: String| vec![problem];
        let value: Value =
            serde_json::from_str(text).map_err(|_| one("notify must contain keys with values".to_owned()))?;
        let Value::Object(fields) = value else {
            return Err(one("notify must contain the keys channels, allow, default".to_owned()));
        };
        let raw: RawNotify = read_part("notify", fields).map_err(one)?;
        let mut problems = Vec::new();
        if raw.channels.len() > MAX_CHANNELS {
            problems.push(format!(
                "notify.channels has {} channels; at most {MAX_CHANNELS} are allowed",
                raw.channels.len()
            ));
        }
        // A rule may name a channel that has another problem.
        let names: Vec<String> = raw.channels.keys().cloned().collect();
        let mut channels = BTreeMap::new();
        for (name, fields) in raw.channels {
            let checked =
                check_name(&name).and_then(|()| channel(&format!("{CHANNELS}.{name}"), fields).map_err(one));
            match checked {
                Ok(channel) => drop(channels.insert(name, channel)),
                Err(mut wrong) => problems.append(&mut wrong),
            }
        }
        let allow = AllowList::parse(&raw.allow).unwrap_or_else(|error| {
            problems.push(format!("notify.allow: {error}"));
            AllowList::default()
        });
        let defaults = raw.default.map_or_else(
            || Ok(Vec::new()),
            |value| ecs_scheduler_core::job::parse_notify("notify.default", &value, &names),
        );
        let defaults = defaults.unwrap_or_else(|errors| {
            let texts = errors.iter().map(|error| {
                format!("{}: {}", error.pointer.trim_start_matches('/').replace('/', "."), error.explained())
            });
            problems.extend(texts);
            Vec::new()
        });
        if problems.is_empty() { Ok(Self { channels, allow, defaults }) } else { Err(problems) }
    }

    /// Returns the permissions that the channels need in AWS.
    pub(crate) fn permissions(&self) -> impl Iterator<Item = Permission> {
        self.channels.values().filter_map(|channel| match channel {
            ChannelConfig::Sns(topic) => Some(topic.permission()),
            ChannelConfig::Webhook { .. } | ChannelConfig::Slack { .. } | ChannelConfig::Command(_) => None,
        })
    }

    /// Returns the names of the channels.
    #[must_use]
    pub fn channel_names(&self) -> Vec<String> {
        self.channels.keys().cloned().collect()
    }
}

fn check_name(name: &str) -> Result<(), Vec<String>> {
    let is_fine = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
    if (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_fine) {
        return Ok(());
    }
    Err(vec![format!(
        "{CHANNELS} has a channel \"{name}\"; a name has 1 to {MAX_NAME} letters, digits, \"-\", \"_\", \".\""
    )])
}

/// Reads an object of the configuration. Values are not part of messages: they may be secret.
fn read_part<T: serde::de::DeserializeOwned>(key: &str, fields: Map<String, Value>) -> Result<T, String> {
    read_config(fields).map_err(|error| {
        let below = error.pointer.replace('/', ".");
        format!("{key}{below}: {}", without_text(&error.message))
    })
}

/// Removes the text of a value of a wrong type from a message.
fn without_text(message: &str) -> String {
    let around = message.split_once("string \"").and_then(|(before, rest)| {
        let (_, after) = rest.rsplit_once("\", expected")?;
        Some(format!("{before}string, expected{after}"))
    });
    around.unwrap_or_else(|| message.to_owned())
}

fn channel(key: &str, mut fields: Map<String, Value>) -> Result<ChannelConfig, String> {
    let kind = fields.remove("type");
    let Some(kind) = kind.as_ref().and_then(Value::as_str) else {
        return Err(format!("{key}.type is missing; it must be one of {}", KINDS.join(", ")));
    };
    match kind {
        "webhook" => {
            let RawWebhook { url, secret, headers } = read_part(key, fields)?;
            let url = ReceiverUrl::parse(&url).map_err(|error| format!("{key}.url: {error}"))?;
            let secret = WebhookSecret::parse(&secret).map_err(|error| format!("{key}.secret: {error}"))?;
            let headers = headers.into_iter().map(|(name, value)| header(key, name, value));
            Ok(ChannelConfig::Webhook { url, secret, headers: headers.collect::<Result<_, _>>()? })
        }
        "slack" => {
            let RawSlack { url } = read_part(key, fields)?;
            let url = ReceiverUrl::parse(&url).map_err(|error| format!("{key}.url: {error}"))?;
            Ok(ChannelConfig::Slack { url })
        }
        "command" => {
            let RawCommand { command } = read_part(key, fields)?;
            let command = CommandChannel::new(command);
            let command = command.ok_or_else(|| format!("{key}.command must name a program"))?;
            Ok(ChannelConfig::Command(command))
        }
        "sns" if cfg!(feature = "aws") => {
            let RawSns { topic_arn } = read_part(key, fields)?;
            let topic = TopicArn::parse(&topic_arn).map_err(|error| format!("{key}.topicArn: {error}"))?;
            Ok(ChannelConfig::Sns(topic))
        }
        "sns" => Err(format!("{key}.type is sns, which this build does not support; use a webhook")),
        other => Err(format!("{key}.type is \"{other}\"; it must be one of {}", KINDS.join(", "))),
    }
}

fn header(key: &str, name: String, value: String) -> Result<(String, HiddenText), String> {
    let lower = name.to_ascii_lowercase();
    if OWN_HEADERS.contains(&lower.as_str()) {
        return Err(format!("{key}.headers has \"{name}\", which the scheduler sets itself"));
    }
    if HeaderName::from_bytes(lower.as_bytes()).is_err() {
        return Err(format!("{key}.headers has \"{name}\", which is no name of a header"));
    }
    if HeaderValue::from_str(&value).is_err() {
        return Err(format!("{key}.headers.{name} has characters that a header cannot have"));
    }
    Ok((lower, HiddenText(value)))
}
