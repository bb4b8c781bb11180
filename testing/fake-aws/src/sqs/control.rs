//! Control of the fake SQS by tests, without HTTP.

use serde_json::json;

use crate::Service;
use crate::fake::Fake;

/// The control of the fake SQS, from the same process.
#[derive(Debug, Clone, Copy)]
pub struct SqsControl<'a>(pub(crate) &'a Fake);

impl SqsControl<'_> {
    /// Makes a queue and returns its URL. A name that ends in `.fifo` makes a FIFO queue with content-based
    /// deduplication.
    ///
    /// # Panics
    ///
    /// Panics if SQS would not accept the name.
    #[must_use]
    pub fn create_queue(&self, name: &str) -> String {
        let attributes = if name.ends_with(".fifo") {
            json!({ "FifoQueue": "true", "ContentBasedDeduplication": "true" })
        } else {
            json!({})
        };
        let call = json!({ "QueueName": name, "Attributes": attributes });
        let answer = self.0.call(Service::Sqs, "CreateQueue", &call);
        let answer = answer.expect("the queue has a good name");
        answer["QueueUrl"].as_str().expect("a queue has a URL").to_owned()
    }

    /// Sends a message; to a FIFO queue, in the group `all`.
    ///
    /// # Panics
    ///
    /// Panics when there is no such queue.
    pub fn send(&self, queue_url: &str, body: &str) {
        let mut call = json!({ "QueueUrl": queue_url, "MessageBody": body });
        if queue_url.ends_with(".fifo") {
            call["MessageGroupId"] = json!("all");
        }
        self.0.call(Service::Sqs, "SendMessage", &call).expect("the queue exists");
    }

    /// Sends this many messages.
    ///
    /// # Panics
    ///
    /// Panics when there is no such queue.
    pub fn fill(&self, queue_url: &str, messages: usize) {
        for number in 0..messages {
            self.send(queue_url, &format!("message {number}"));
        }
    }
}
