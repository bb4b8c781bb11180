//! Sending, receiving and deleting messages.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::md5;
use super::queue::{Message, NewMessage};
use super::{Queue, fifo, invalid};
use crate::wire::{Failure, read};

/// Maximum visibility timeout in seconds.
const MAX_VISIBILITY_TIMEOUT: i64 = 43_200;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Send {
    #[serde(default)]
    message_body: String,
    delay_seconds: Option<i64>,
    #[serde(default)]
    message_attributes: Value,
    message_group_id: Option<String>,
    message_deduplication_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Receive {
    max_number_of_messages: Option<i64>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Receipt {
    receipt_handle: String,
    visibility_timeout: Option<i64>,
}

/// The delivery of a message that a receipt handle stands for.
struct Delivery {
    number: u64,
    receive: u32,
}

impl Delivery {
    fn handle(&self) -> String {
        format!("AQEB{:016x}{:08x}", self.number, self.receive)
    }

    fn parse(handle: &str) -> Result<Self, Failure> {
        let message = "The input receipt handle is invalid.";
        let wrong = || Failure::client("ReceiptHandleIsInvalid", message).queried("ReceiptHandleIsInvalid");
        let digits = handle
            .strip_prefix("AQEB")
            .filter(|rest| rest.len() == 24 && rest.is_ascii())
            .ok_or_else(wrong)?;
        let number = u64::from_str_radix(&digits[..16], 16).map_err(|_| wrong())?;
        let receive = u32::from_str_radix(&digits[16..], 16).map_err(|_| wrong())?;
        Ok(Self { number, receive })
    }
}

impl Queue {
    pub(crate) fn send(&mut self, body: &Value, now: Timestamp) -> Result<Value, Failure> {
        let request: Send = read(body)?;
        if request.message_body.is_empty() {
            let message = "The request must contain the parameter MessageBody.";
            return Err(
                Failure::client("MissingRequiredParameterException", message).queried("MissingParameter")
            );
        }
        let most = self.attributes.number("MaximumMessageSize");
        if request.message_body.len() > most as usize {
            return Err(invalid(&format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {most} bytes."
            )));
        }
        let delay = match request.delay_seconds {
            None => self.attributes.seconds("DelaySeconds"),
            Some(seconds) => within("DelaySeconds", seconds, 0, 900)?,
        };
        let retention = self.attributes.seconds("MessageRetentionPeriod");
        let (group, key) = (request.message_group_id, request.message_deduplication_id);
        let (body, attributes) = (request.message_body, request.message_attributes);
        let ordered = if self.attributes.is_fifo() {
            Some(fifo::order(&self.attributes, group, key, request.delay_seconds, &body)?)
        } else {
            fifo::forbid(group.as_ref(), key.as_ref())?;
            None
        };
        let digest = md5::hex(body.as_bytes());
        let (number, message) =
            self.messages.send(NewMessage { body, attributes, ordered }, now, delay, retention);
        let mut answer = json!({ "MessageId": message.id, "MD5OfMessageBody": digest });
        if self.attributes.is_fifo() {
            answer["SequenceNumber"] = json!(sequence(number));
        }
        Ok(answer)
    }

    pub(crate) fn receive(&mut self, body: &Value, now: Timestamp) -> Result<Value, Failure> {
        let request: Receive = read(body)?;
        let most = request.max_number_of_messages.unwrap_or(1);
        within("MaxNumberOfMessages", most, 1, 10)?;
        let timeout = match request.visibility_timeout {
            None => self.attributes.seconds("VisibilityTimeout"),
            Some(seconds) => within("VisibilityTimeout", seconds, 0, MAX_VISIBILITY_TIMEOUT)?,
        };
        within("WaitTimeSeconds", request.wait_time_seconds.unwrap_or(0), 0, 20)?;
        let retention = self.attributes.seconds("MessageRetentionPeriod");
        let most = usize::try_from(most).expect("it is within 1 and 10");
        let taken = self.messages.receive(most, now, timeout, retention);
        if taken.is_empty() {
            return Ok(json!({}));
        }
        let shown: Vec<Value> =
            taken.into_iter().map(|(number, message)| render_message(number, message, &request)).collect();
        Ok(json!({ "Messages": shown }))
    }

    /// Returns the wait of a receiver.
    pub(crate) fn wait_time(&self, body: &Value) -> SignedDuration {
        let asked = body["WaitTimeSeconds"].as_i64().filter(|seconds| (0..=20).contains(seconds));
        asked.map_or_else(
            || self.attributes.seconds("ReceiveMessageWaitTimeSeconds"),
            SignedDuration::from_secs,
        )
    }

    pub(crate) fn delete(&mut self, body: &Value, now: Timestamp) -> Result<Value, Failure> {
        let request: Receipt = read(body)?;
        let delivery = Delivery::parse(&request.receipt_handle)?;
        let message = self.messages.get_mut(delivery.number);
        if let Some(message) = message.filter(|message| message.receives == delivery.receive) {
            if message.sent.ordered.is_some() && message.is_back(now) {
                let handle = &request.receipt_handle;
                return Err(invalid(&format!(
                    "Value {handle} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired."
                )));
            }
            message.delete(now);
        }
        Ok(json!({}))
    }

    pub(crate) fn change_visibility(&mut self, body: &Value, now: Timestamp) -> Result<Value, Failure> {
        let request: Receipt = read(body)?;
        let delivery = Delivery::parse(&request.receipt_handle)?;
        let timeout =
            within("VisibilityTimeout", request.visibility_timeout.unwrap_or(-1), 0, MAX_VISIBILITY_TIMEOUT)?;
        let retention = self.attributes.seconds("MessageRetentionPeriod");
        let message = self.messages.get_mut(delivery.number);
        let in_flight =
            message.filter(|message| message.receives == delivery.receive && message.is_in_flight(now));
        let Some(message) = in_flight else {
            let failure = Failure::client("MessageNotInflight", "The specified message isn't in flight.");
            return Err(failure.queried("AWS.SimpleQueueService.MessageNotInflight"));
        };
        message.hide(now, timeout, retention);
        Ok(json!({}))
    }

    /// Runs a function on each entry of a batch. A failing entry does not stop the others.
    pub(crate) fn batch(
        &mut self,
        body: &Value,
        mut each: impl FnMut(&mut Self, &Value) -> Result<Value, Failure>,
    ) -> Result<Value, Failure> {
        let entries = body["Entries"].as_array().map_or(&[][..], Vec::as_slice);
        check_batch(entries)?;
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for entry in entries {
            match each(self, entry) {
                Ok(mut done) => {
                    done["Id"] = entry["Id"].clone();
                    good.push(done);
                }
                Err(failure) => bad.push(json!({
                    "Id": entry["Id"], "SenderFault": failure.status < 500,
                    "Code": failure.query_code.as_ref().unwrap_or(&failure.code), "Message": failure.message,
                })),
            }
        }
        Ok(json!({ "Successful": good, "Failed": bad }))
    }
}

fn check_batch(entries: &[Value]) -> Result<(), Failure> {
    let refuse = |code: &str, message: &str| {
        Err(Failure::client(code, message).queried(&format!("AWS.SimpleQueueService.{code}")))
    };
    let ids: BTreeSet<&str> = entries.iter().filter_map(|entry| entry["Id"].as_str()).collect();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if entries.is_empty() {
        return refuse("EmptyBatchRequest", "There should be at least one entry in the request.");
    }
    if entries.len() > 10 {
        return refuse("TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10.");
    }
    if ids.iter().any(|id| id.is_empty() || id.len() > 80 || !id.bytes().all(allowed)) {
        return refuse(
            "InvalidBatchEntryId",
            "A batch entry id has up to 80 letters, digits, hyphens and underscores.",
        );
    }
    if ids.len() != entries.len() {
        return refuse(
            "BatchEntryIdsNotDistinct",
            "Two or more batch entries in the request have the same Id.",
        );
    }
    Ok(())
}

/// Returns a number as seconds. Fails if it is out of bounds.
fn within(name: &str, value: i64, least: i64, most: i64) -> Result<SignedDuration, Failure> {
    if (least..=most).contains(&value) {
        return Ok(SignedDuration::from_secs(value));
    }
    Err(invalid(&format!(
        "Value {value} for parameter {name} is invalid. Reason: Must be between {least} and {most}, if provided."
    )))
}

/// Returns the sequence number of a message in a FIFO queue.
fn sequence(number: u64) -> String {
    format!("{number:020}")
}

fn render_message(number: u64, message: &Message, request: &Receive) -> Value {
    let mut shown = json!({
        "MessageId": message.id,
        "ReceiptHandle": Delivery { number, receive: message.receives }.handle(),
        "Body": message.sent.body,
        "MD5OfBody": md5::hex(message.sent.body.as_bytes()),
    });
    let first = message.first_received_at.unwrap_or(message.sent_at);
    let ordered = message.sent.ordered.iter().flat_map(|ordered| {
        [
            ("MessageGroupId", ordered.group.clone()),
            ("MessageDeduplicationId", ordered.key.1.clone()),
            ("SequenceNumber", sequence(number)),
        ]
    });
    let all = [
        ("SentTimestamp", message.sent_at.as_millisecond().to_string()),
        ("ApproximateReceiveCount", message.receives.to_string()),
        ("ApproximateFirstReceiveTimestamp", first.as_millisecond().to_string()),
        ("SenderId", "AIDAFAKE".to_owned()),
    ];
    let asked: Vec<&String> =
        request.attribute_names.iter().chain(&request.message_system_attribute_names).collect();
    let is_asked = |name: &str| asked.iter().any(|one| *one == name || *one == "All");
    let attributes: Map<String, Value> = all
        .into_iter()
        .chain(ordered)
        .filter(|(name, _)| is_asked(name))
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect();
    if !attributes.is_empty() {
        shown["Attributes"] = Value::Object(attributes);
    }
    let wanted = &request.message_attribute_names;
    let is_wanted = |name: &str| wanted.iter().any(|one| one == name || one == "All" || one == ".*");
    let sent = message.sent.attributes.as_object().into_iter().flatten();
    let kept: Map<String, Value> =
        sent.filter(|(name, _)| is_wanted(name)).map(|(name, value)| (name.clone(), value.clone())).collect();
    if !kept.is_empty() {
        shown["MessageAttributes"] = Value::Object(kept);
    }
    shown
}
