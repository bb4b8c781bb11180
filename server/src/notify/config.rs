//! The part `notify` of the configuration file: channels, allowed receivers, and rules of all jobs.

use std::collections::BTreeMap;
use std::fmt;

use axum::http::{HeaderName, HeaderValue};
use ecs_scheduler_core::{NotifyRule, Permission};
use serde_json::Value;

use super::address::AllowList;
use super::command::CommandChannel;
use super::http::ReceiverUrl;
use super::signature::WebhookSecret;
use super::topic::TopicArn;
use fields::Fields;

mod fields;
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
        let mut fields = Fields::new("notify", fields);
        let (given, allow) = (fields.object("channels"), fields.texts("allow"));
        let defaults = fields.take("default");
        let mut problems = fields.finish(&["channels", "allow", "default"]).err().unwrap_or_default();
        if given.len() > MAX_CHANNELS {
            problems
                .push(format!("{CHANNELS} has {} channels; at most {MAX_CHANNELS} are allowed", given.len()));
        }
        // A rule may name a channel that has another problem.
        let names: Vec<String> = given.keys().cloned().collect();
        let mut channels = BTreeMap::new();
        for (name, fields) in given {
            problems.extend(check_name(&name).err());
            match channel(&format!("{CHANNELS}.{name}"), fields) {
                Ok(channel) => drop(channels.insert(name, channel)),
                Err(mut wrong) => problems.append(&mut wrong),
            }
        }
        let allow = AllowList::parse(&allow).unwrap_or_else(|wrong| {
            problems.extend(wrong.iter().map(|problem| format!("notify.allow: {problem}")));
            AllowList::default()
        });
        let defaults = defaults.map_or_else(
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

fn check_name(name: &str) -> Result<(), String> {
    let is_fine = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
    if (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_fine) {
        return Ok(());
    }
    Err(format!(
        "{CHANNELS} has a channel \"{name}\"; a name has 1 to {MAX_NAME} letters, digits, \"-\", \"_\", \".\""
    ))
}

/// Reads a channel.
///
/// # Errors
///
/// Fails with each of its problems.
fn channel(key: &str, given: Value) -> Result<ChannelConfig, Vec<String>> {
    let one = |problem: String| vec![problem];
    let kinds = || format!("must be one of {}", KINDS.join(", "));
    let Value::Object(members) = given else {
        return Err(one(format!("{key} must contain the keys of a channel, such as type")));
    };
    let mut fields = Fields::new(key, members);
    let (channel, known): (Option<ChannelConfig>, &[&str]) = match fields.take("type") {
        None => return Err(one(format!("{key}.type is missing; it {}", kinds()))),
        Some(Value::String(kind)) => match kind.as_str() {
            "webhook" => (webhook(&mut fields), &["type", "url", "secret", "headers"]),
            "slack" => {
                let url = fields.text("url", ReceiverUrl::parse);
                (url.map(|url| ChannelConfig::Slack { url }), &["type", "url"])
            }
            "command" => {
                let command = CommandChannel::new(fields.texts("command"));
                (command.map(ChannelConfig::Command), &["type", "command"])
            }
            "sns" if cfg!(feature = "aws") => {
                (fields.text("topicArn", TopicArn::parse).map(ChannelConfig::Sns), &["type", "topicArn"])
            }
            "sns" => {
                return Err(one(format!(
                    "{key}.type is sns, which this build does not support; use a webhook"
                )));
            }
            other => return Err(one(format!("{key}.type is \"{other}\"; it {}", kinds()))),
        },
        Some(_) => return Err(one(format!("{key}.type {}, written in the file itself", kinds()))),
    };
    fields.finish(known)?;
    channel.ok_or_else(|| one(format!("{key}.command must name a program")))
}

fn webhook(fields: &mut Fields<'_>) -> Option<ChannelConfig> {
    let url = fields.text("url", ReceiverUrl::parse);
    let secret = fields.text("secret", WebhookSecret::parse);
    let mut headers = Vec::new();
    for (name, value) in fields.object("headers") {
        match header(&name, &value) {
            Ok(header) => headers.push(header),
            Err(problem) => fields.refuse("headers", &problem),
        }
    }
    Some(ChannelConfig::Webhook { url: url?, secret: secret?, headers })
}

fn header(name: &str, value: &Value) -> Result<(String, HiddenText), String> {
    let lower = name.to_ascii_lowercase();
    if OWN_HEADERS.contains(&lower.as_str()) {
        return Err(format!("the scheduler sets \"{name}\" itself"));
    }
    if HeaderName::from_bytes(lower.as_bytes()).is_err() {
        return Err(format!("\"{name}\" is no name of a header"));
    }
    let Some(value) = value.as_str() else { return Err(format!("the value of \"{name}\" must be a text")) };
    if HeaderValue::from_str(value).is_err() {
        return Err(format!("the value of \"{name}\" has characters that a header cannot have"));
    }
    Ok((lower, HiddenText(value.to_owned())))
}
