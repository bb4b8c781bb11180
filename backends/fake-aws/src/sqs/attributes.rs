//! Attributes of queues.
//!
//! # Source
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::wire::Failure;

/// Attributes that are numbers, with their bounds and what they are at first.
const NUMBERS: &[(&str, u32, u32, u32)] = &[
    ("DelaySeconds", 0, 900, 0),
    ("MaximumMessageSize", 1024, 1_048_576, 1_048_576),
    ("MessageRetentionPeriod", 60, 1_209_600, 345_600),
    ("ReceiveMessageWaitTimeSeconds", 0, 20, 0),
    ("VisibilityTimeout", 0, 43_200, 30),
];

/// Attributes that are kept and shown, and change nothing here.
const KEPT: &[&str] =
    &["Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId", "SqsManagedSseEnabled"];

/// Attributes that a queue has of itself.
const OWN: &[&str] = &[
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
];

/// What is set on a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attributes(BTreeMap<String, String>);

impl Default for Attributes {
    fn default() -> Self {
        Self(NUMBERS.iter().map(|(name, _, _, first)| ((*name).to_owned(), first.to_string())).collect())
    }
}

impl Attributes {
    /// Sets some of them; an unknown one or a value out of bounds changes nothing.
    pub(crate) fn set(&mut self, wanted: &BTreeMap<String, String>) -> Result<(), Failure> {
        for (name, value) in wanted {
            if let Some((_, least, most, _)) = NUMBERS.iter().find(|(known, ..)| known == name) {
                let within = value.parse().is_ok_and(|number: u32| (*least..=*most).contains(&number));
                if !within {
                    let message = format!("Invalid value for the parameter {name}.");
                    return Err(
                        Failure::client("InvalidAttributeValue", message).queried("InvalidAttributeValue")
                    );
                }
            } else if !KEPT.contains(&name.as_str()) {
                return Err(unknown(name));
            }
        }
        self.0.extend(wanted.clone());
        Ok(())
    }

    pub(crate) fn number(&self, name: &str) -> u32 {
        self.0.get(name).and_then(|text| text.parse().ok()).expect("numbers are there from the beginning")
    }

    pub(crate) fn seconds(&self, name: &str) -> SignedDuration {
        SignedDuration::from_secs(self.number(name).into())
    }

    /// Returns everything that is set.
    pub(crate) const fn all(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

/// Fails when no queue has an attribute of this name.
pub(crate) fn check_name(name: &str) -> Result<(), Failure> {
    let is_number = NUMBERS.iter().any(|(known, ..)| *known == name);
    if name == "All" || is_number || KEPT.contains(&name) || OWN.contains(&name) {
        return Ok(());
    }
    Err(unknown(name))
}

fn unknown(name: &str) -> Failure {
    let message = format!("Unknown Attribute {name}.");
    Failure::client("InvalidAttributeName", message).queried("InvalidAttributeName")
}
