//! Control of the fake SNS by tests, without HTTP.

use serde_json::json;

use super::PublishedMessage;
use crate::Service;
use crate::fake::Fake;

/// The control of the fake SNS, from the same process.
#[derive(Debug, Clone, Copy)]
pub struct SnsControl<'a>(pub(crate) &'a Fake);

impl SnsControl<'_> {
    /// Makes a topic, a FIFO topic if its name ends with `.fifo`, and returns its ARN.
    ///
    /// # Panics
    ///
    /// Panics if its name is none.
    #[must_use]
    pub fn create_topic(&self, name: &str) -> String {
        let mut call = json!({ "Name": name });
        if name.ends_with(".fifo") {
            call["Attributes.entry.1.key"] = super::IS_FIFO.into();
            call["Attributes.entry.1.value"] = "true".into();
        }
        let made = self.0.call(Service::Sns, "CreateTopic", &call).expect("the name is good");
        let arn = &made["CreateTopicResponse"]["CreateTopicResult"]["TopicArn"];
        arn.as_str().expect("a topic has an ARN").to_owned()
    }

    /// Returns the messages that were published to a topic, in their order.
    #[must_use]
    pub fn published(&self, arn: &str) -> Vec<PublishedMessage> {
        self.0.with_state(|state, _| state.sns.published(arn))
    }
}
