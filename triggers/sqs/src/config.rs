//! The configuration of the trigger.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Asks for tasks by the depth of an SQS queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(extend("oneOf" = [{ "required": ["queueName"] }, { "required": ["queueUrl"] }]))]
pub struct SqsConfig {
    /// The queue's name: 1 to 80 letters, digits, `_` and `-`; a FIFO queue's ends in `.fifo`. Either this or `queueUrl`.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "String", length(min = 1, max = 80), regex(pattern = r"^[0-9A-Za-z_-]+(\.fifo)?$"))]
    pub queue_name: Option<String>,
    /// The queue's URL: `https://sqs.eu-central-1.amazonaws.com/123456789012/orders`. Its region is taken from it.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "String", regex(pattern = r"^https?://[^/\s]+(/[^/\s]+)+$"), length(max = 1024))]
    pub queue_url: Option<String>,
    /// Messages per task, at least 1: asks for as many tasks as the messages need. Without it, asks for `taskCount`
    /// tasks at any number of messages.
    #[serde(deserialize_with = "count")]
    #[schemars(with = "NonZeroU32")]
    pub messages_per_task: Option<NonZeroU32>,
    /// Whether messages count that a consumer has received and not yet deleted.
    pub count_in_flight: bool,
    /// Whether messages count that are delayed and cannot be received yet.
    pub count_delayed: bool,
    /// Number of messages up to which it asks for no task; 0 or more.
    pub activation: u64,
    /// The region of a queue that is given by name. Default: the scheduler's own.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "String", regex(pattern = "^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$"))]
    pub region: Option<String>,
    /// The account that owns the queue, twelve digits, if it is not the scheduler's own.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "String", regex(pattern = "^[0-9]{12}$"))]
    pub account_id: Option<String>,
}

/// Any value of a field, so that a wrong one is refused with the Python version's messages.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawValue {
    Text(String),
    Whole(i64),
    Number(f64),
    Nothing(()),
    Other(serde::de::IgnoredAny),
}

const NULL: &str = "Field may not be null.";

fn text<'de, D: Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    match RawValue::deserialize(value)? {
        RawValue::Text(text) => Ok(Some(text)),
        RawValue::Nothing(()) => Err(D::Error::custom(NULL)),
        RawValue::Whole(_) | RawValue::Number(_) | RawValue::Other(_) => {
            Err(D::Error::custom("Not a valid string."))
        }
    }
}

/// Parses a count. A string of digits is one, as in the Python version.
fn count<'de, D: Deserializer<'de>>(value: D) -> Result<Option<NonZeroU32>, D::Error> {
    let whole = match RawValue::deserialize(value)? {
        RawValue::Whole(whole) => Some(whole),
        RawValue::Text(digits) => digits.trim().parse().ok(),
        RawValue::Number(number) if number.fract() == 0.0 => format!("{number:.0}").parse().ok(),
        RawValue::Nothing(()) => return Err(D::Error::custom(NULL)),
        RawValue::Number(_) | RawValue::Other(_) => None,
    };
    let whole = whole.ok_or_else(|| D::Error::custom("Not a valid integer."))?;
    if whole < 1 {
        return Err(D::Error::custom("Must be at least 1."));
    }
    let count = u32::try_from(whole).ok().and_then(NonZeroU32::new);
    count.map(Some).ok_or_else(|| D::Error::custom(format!("Must be between 1 and {}.", u32::MAX)))
}
