//! Attributes of queues.
//!
//! # Source
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::wire::Failure;

/// Numeric attributes, with their bounds and defaults.
const NUMERIC: &[(&str, u32, u32, u32)] = &[
    ("DelaySeconds", 0, 900, 0),
    ("MaximumMessageSize", 1024, 1_048_576, 1_048_576),
    ("MessageRetentionPeriod", 60, 1_209_600, 345_600),
    ("ReceiveMessageWaitTimeSeconds", 0, 20, 0),
    ("VisibilityTimeout", 0, 43_200, 30),
];

/// Attributes that are stored and shown, without effect here.
const PASSIVE: &[&str] =
    &["Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId", "SqsManagedSseEnabled"];

/// Attributes of FIFO queues, with their allowed values and defaults. The kind of a queue never changes.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html>
const FIFO: &[(&str, &[&str])] = &[
    (IS_FIFO, &["true"]),
    ("ContentBasedDeduplication", &["false", "true"]),
    ("DeduplicationScope", &["queue", "messageGroup"]),
    ("FifoThroughputLimit", &["perQueue", "perMessageGroupId"]),
];

/// The attribute of a FIFO queue.
pub(crate) const IS_FIFO: &str = "FifoQueue";

/// Attributes that SQS itself sets.
const READ_ONLY: &[&str] = &[
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
];

/// The attributes that are set on a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attributes(BTreeMap<String, String>);

impl Attributes {
    /// Makes the attributes of a new queue.
    pub(crate) fn new(is_fifo: bool) -> Self {
        let numbers = NUMERIC.iter().map(|(name, _, _, first)| ((*name).to_owned(), first.to_string()));
        let fifo =
            FIFO.iter().filter(|_| is_fifo).map(|(name, values)| ((*name).to_owned(), values[0].to_owned()));
        Self(numbers.chain(fifo).collect())
    }

    /// Sets attributes. An unknown one or a value out of bounds changes nothing.
    pub(crate) fn set(&mut self, wanted: &BTreeMap<String, String>) -> Result<(), Failure> {
        let refuse = |name: &str| {
            let message = format!("Invalid value for the parameter {name}.");
            Err(Failure::client("InvalidAttributeValue", message).queried("InvalidAttributeValue"))
        };
        for (name, value) in wanted {
            let number = NUMERIC.iter().find(|(known, ..)| known == name);
            let fifo = FIFO.iter().find(|(known, _)| self.is_fifo() && known == name);
            let is_good = match (number, fifo) {
                (Some((_, least, most, _)), _) => {
                    value.parse().is_ok_and(|number: u32| (*least..=*most).contains(&number))
                }
                (None, Some((_, values))) => values.contains(&value.as_str()),
                (None, None) if PASSIVE.contains(&name.as_str()) => true,
                (None, None) => return Err(unknown(name)),
            };
            if !is_good {
                return refuse(name);
            }
        }
        let mut next = self.clone();
        next.0.extend(wanted.clone());
        if next.is("FifoThroughputLimit", "perMessageGroupId")
            && !next.is("DeduplicationScope", "messageGroup")
        {
            return refuse("FifoThroughputLimit");
        }
        *self = next;
        Ok(())
    }

    pub(crate) fn is_fifo(&self) -> bool {
        self.0.contains_key(IS_FIFO)
    }

    /// Tells whether an attribute has this value.
    pub(crate) fn is(&self, name: &str, value: &str) -> bool {
        self.0.get(name).is_some_and(|has| has == value)
    }

    pub(crate) fn number(&self, name: &str) -> u32 {
        self.0.get(name).and_then(|text| text.parse().ok()).expect("numbers are there from the beginning")
    }

    pub(crate) fn seconds(&self, name: &str) -> SignedDuration {
        SignedDuration::from_secs(self.number(name).into())
    }

    /// Returns all attributes that are set.
    pub(crate) const fn all(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

/// Fails when no queue has an attribute of this name.
pub(crate) fn check_name(name: &str) -> Result<(), Failure> {
    let is_number = NUMERIC.iter().any(|(known, ..)| *known == name);
    let is_fifo = FIFO.iter().any(|(known, _)| *known == name);
    if name == "All" || is_number || is_fifo || PASSIVE.contains(&name) || READ_ONLY.contains(&name) {
        return Ok(());
    }
    Err(unknown(name))
}

fn unknown(name: &str) -> Failure {
    let message = format!("Unknown Attribute {name}.");
    Failure::client("InvalidAttributeName", message).queried("InvalidAttributeName")
}
