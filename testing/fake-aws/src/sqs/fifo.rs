//! FIFO queues: names, message groups, duplicates.
//!
//! # Source
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>,
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html>

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::attributes::{Attributes, IS_FIFO};
use super::invalid;
use super::queue::FifoPosition;
use crate::clock::later;
use crate::wire::Failure;

/// Time within which a message with the same deduplication id is dropped.
const DEDUPLICATION_WINDOW: SignedDuration = SignedDuration::from_mins(5);

/// Tells whether a new queue is a FIFO queue. Fails if its name and its attributes contradict each other.
pub(crate) fn is_fifo(name: &str, attributes: &BTreeMap<String, String>) -> Result<bool, Failure> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let fits = |plain: &str| !plain.is_empty() && name.len() <= 80 && plain.bytes().all(allowed);
    match attributes.get(IS_FIFO).map(String::as_str) {
        None if fits(name) => Ok(false),
        None => Err(invalid(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        )),
        Some("true") if name.strip_suffix(".fifo").is_some_and(fits) => Ok(true),
        Some("true") => Err(invalid(
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with \
             .fifo suffix and be 1 to 80 in length.",
        )),
        Some(_) => {
            let message = "Unknown Attribute FifoQueue.";
            Err(Failure::client("InvalidAttributeName", message).queried("InvalidAttributeName"))
        }
    }
}

/// Reads the group and the deduplication id of a message that is sent to a FIFO queue.
pub(crate) fn order(
    attributes: &Attributes,
    group: Option<String>,
    deduplication: Option<String>,
    delay: Option<i64>,
    body: &str,
) -> Result<FifoPosition, Failure> {
    let group = group.ok_or_else(|| {
        let message = "The request must contain the parameter MessageGroupId.";
        Failure::client("MissingRequiredParameterException", message).queried("MissingParameter")
    })?;
    if let Some(delay) = delay {
        return Err(invalid_for_queue_type(&format!("Value {delay} for parameter DelaySeconds")));
    }
    let by_content = || attributes.is("ContentBasedDeduplication", "true").then(|| body.to_owned());
    let key = deduplication.clone().or_else(by_content).ok_or_else(|| {
        invalid("The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
    })?;
    for (name, value) in
        [("MessageGroupId", Some(&group)), ("MessageDeduplicationId", deduplication.as_ref())]
    {
        check(name, value)?;
    }
    let scope = attributes.is("DeduplicationScope", "messageGroup").then(|| group.clone());
    Ok(FifoPosition { group, key: (scope, key) })
}

/// Fails on parameters that only FIFO queues accept. Standard queues accept a group too.
pub(crate) fn forbid(group: Option<&String>, deduplication: Option<&String>) -> Result<(), Failure> {
    if let Some(value) = deduplication {
        return Err(invalid_for_queue_type(&format!("Value {value} for parameter MessageDeduplicationId")));
    }
    check("MessageGroupId", group)
}

/// Tells whether a message sent at this time still suppresses duplicates now.
pub(crate) fn is_duplicate_window(sent_at: Timestamp, now: Timestamp) -> bool {
    now < later(sent_at, DEDUPLICATION_WINDOW)
}

fn invalid_for_queue_type(what: &str) -> Failure {
    invalid(&format!(
        "{what} is invalid. Reason: The request include parameter that is not valid for this queue type"
    ))
}

/// Fails on a group or id that is not 1 to 128 letters, digits and signs.
fn check(name: &str, value: Option<&String>) -> Result<(), Failure> {
    let is_good =
        |value: &String| (1..=128).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_graphic());
    if value.is_none_or(is_good) {
        return Ok(());
    }
    Err(invalid(&format!(
        "{name} can only include alphanumeric and punctuation characters. 1 to 128 in length."
    )))
}
