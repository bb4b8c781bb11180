//! `Publish`, and the rules for messages.
//!
//! # Source
//!
//! <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>,
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html>,
//! <https://docs.aws.amazon.com/sns/latest/dg/fifo-message-dedup.html>

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{PublishedMessage, Topic, invalid, unknown};
use crate::wire::Failure;

/// Maximum size of a message with its attributes, in bytes.
const MAX_SIZE: usize = 256 * 1024;
/// A subject is shorter than this number of characters.
const SUBJECT_LIMIT: usize = 100;
/// Maximum length of an attribute's name, in bytes.
const MAX_ATTRIBUTE_NAME: usize = 256;
/// Maximum length of a message group and of a deduplication id, in bytes.
const MAX_ORDER: usize = 128;
/// Time within which a message with the same deduplication id is accepted, but not published.
const DEDUPLICATION_WINDOW: SignedDuration = SignedDuration::from_mins(5);

impl Topic {
    pub(super) fn publish(
        &mut self,
        mut form: BTreeMap<&str, &str>,
        now: Timestamp,
    ) -> Result<Value, Failure> {
        form.remove("TopicArn");
        let message = form.remove("Message").unwrap_or_default();
        let subject = form.remove("Subject");
        let group = form.remove("MessageGroupId");
        let deduplication = form.remove("MessageDeduplicationId");
        let (attributes, attribute_bytes) = attributes(&mut form)?;
        if let Some(name) = form.keys().next() {
            return Err(unknown(name));
        }
        if message.is_empty() {
            return Err(invalid("Empty message"));
        }
        if message.len() + attribute_bytes > MAX_SIZE {
            return Err(invalid("Message too long"));
        }
        if !subject.is_none_or(is_subject) {
            return Err(invalid("Subject"));
        }
        let key = self.deduplication_key(message, group, deduplication)?;
        self.known.retain(|_, (at, _)| now.duration_since(*at) < DEDUPLICATION_WINDOW);
        let index = match key.as_ref().and_then(|key| self.known.get(key)) {
            Some((_, index)) => *index,
            None => {
                self.published.push(PublishedMessage {
                    message_id: uuid::Uuid::new_v4().to_string(),
                    message: message.to_owned(),
                    subject: subject.map(str::to_owned),
                    attributes,
                    group: group.map(str::to_owned),
                });
                self.published.len() - 1
            }
        };
        let mut result = json!({ "MessageId": self.published[index].message_id });
        if let Some(key) = key {
            self.known.entry(key).or_insert((now, index));
            result["SequenceNumber"] = format!("{:020}", 10_000_000_000_000_000_000 + index as u64).into();
        }
        Ok(result)
    }

    /// Returns by what a message on a FIFO topic is recognised. Fails if the topic's kind does not accept the parameters. AWS
    /// accepts a group on standard topics, for fair queues; the fake does not.
    fn deduplication_key(
        &self,
        message: &str,
        group: Option<&str>,
        deduplication: Option<&str>,
    ) -> Result<Option<String>, Failure> {
        if !self.is_fifo {
            let given = [("MessageGroupId", group), ("MessageDeduplicationId", deduplication)];
            let given = given.into_iter().find(|(_, value)| value.is_some());
            return given.map_or(Ok(None), |(name, _)| {
                Err(invalid(&format!(
                    "{name} Reason: The request includes {name} parameter that is not valid for this topic type"
                )))
            });
        }
        let group =
            group.ok_or_else(|| invalid("The MessageGroupId parameter is required for FIFO topics"))?;
        let by_content = self.by_content.then_some(message);
        let key = deduplication.or(by_content).ok_or_else(|| {
            invalid("The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
        })?;
        for (name, value) in [("MessageGroupId", Some(group)), ("MessageDeduplicationId", deduplication)] {
            let fits = |text: &str| {
                (1..=MAX_ORDER).contains(&text.len())
                    && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte.is_ascii_punctuation())
            };
            if !value.is_none_or(fits) {
                return Err(invalid(&format!(
                    "{name} Reason: {name} can only include alphanumeric and punctuation characters. 1 to 128 in length"
                )));
            }
        }
        Ok(Some(key.to_owned()))
    }
}

/// Subjects are ASCII, begin with a letter, a number or punctuation, and have no line breaks or control characters.
fn is_subject(text: &str) -> bool {
    (1..SUBJECT_LIMIT).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
        && !text.starts_with(' ')
}

/// Reads the attributes; also returns their size in bytes.
fn attributes(form: &mut BTreeMap<&str, &str>) -> Result<(BTreeMap<String, String>, usize), Failure> {
    let (mut attributes, mut bytes) = (BTreeMap::new(), 0);
    for number in 1.. {
        let mut part = |part: &str| form.remove(format!("MessageAttributes.entry.{number}.{part}").as_str());
        let (name, kind) = (part("Name"), part("Value.DataType"));
        let value = part("Value.StringValue");
        if (name, kind, value) == (None, None, None) {
            break;
        }
        let refused = |message: String| Failure::client("ParameterValueInvalid", message);
        let name = name.unwrap_or_default();
        if !is_attribute_name(name) || attributes.contains_key(name) {
            return Err(refused(format!("Invalid attribute name: {name}")));
        }
        let kind = kind.unwrap_or_default();
        let value = value.unwrap_or_default();
        let fits = match kind {
            "String" => !value.is_empty(),
            "Number" => value.parse::<f64>().is_ok(),
            _ => false,
        };
        if !fits {
            return Err(refused(format!(
                "The message attribute '{name}' must contain non-empty message attribute value for message attribute type '{kind}'."
            )));
        }
        bytes += name.len() + kind.len() + value.len();
        attributes.insert(name.to_owned(), value.to_owned());
    }
    Ok((attributes, bytes))
}

fn is_attribute_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (1..=MAX_ATTRIBUTE_NAME).contains(&name.len())
        && name.bytes().all(allowed)
        && !(name.starts_with('.') || name.ends_with('.') || name.contains(".."))
        && !(lower.starts_with("aws.") || lower.starts_with("amazon."))
}
