//! Against moto, which delivers to a queue: the opinion of others on topics and messages.

use ecs_scheduler_backend_sns::SnsMessage;
use ecs_scheduler_test_support::{Emulator, EmulatorKind};
use serde_json::{Value, json};

use crate::{MESSAGE, publisher};

/// moto with a queue that is subscribed to a topic.
struct Rig {
    moto: Emulator,
    topic: String,
    queue: String,
}

impl Rig {
    async fn new(moto: Emulator, suffix: &str) -> Self {
        let mut rig = Self { moto, topic: String::new(), queue: String::new() };
        let fifo = if suffix.is_empty() { Value::Null } else { json!({"FifoQueue": "true"}) };
        let mut queue = json!({"QueueName": format!("ops{suffix}")});
        let mut topic = vec![("Action", "CreateTopic"), ("Version", "2010-03-31")];
        let name = format!("ops{suffix}");
        topic.push(("Name", &name));
        if fifo.is_object() {
            queue["Attributes"] = fifo;
            topic.extend([("Attributes.entry.1.key", "FifoTopic"), ("Attributes.entry.1.value", "true")]);
        }
        let made = rig.sqs("CreateQueue", &queue).await;
        rig.queue = made["QueueUrl"].as_str().unwrap().to_owned();
        let answer = rig.sns(&topic).await;
        let (_, rest) = answer.split_once("<TopicArn>").unwrap();
        rig.topic = rest.split_once('<').unwrap().0.to_owned();
        let endpoint = format!("arn:aws:sqs:eu-central-1:123456789012:ops{suffix}");
        let subscribe = [
            ("Action", "Subscribe"),
            ("Version", "2010-03-31"),
            ("TopicArn", rig.topic.as_str()),
            ("Protocol", "sqs"),
            ("Endpoint", &endpoint),
        ];
        rig.sns(&subscribe).await;
        rig
    }

    async fn send(&self, service: &str, request: reqwest::RequestBuilder) -> String {
        let signature = format!(
            "AWS4-HMAC-SHA256 Credential=key/20260101/eu-central-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
        );
        let answer = request.header("authorization", signature).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{text}");
        text
    }

    async fn sns(&self, fields: &[(&str, &str)]) -> String {
        let form: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", value.replace(':', "%3A"))).collect();
        let request = reqwest::Client::new()
            .post(self.moto.url())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.join("&"));
        self.send("sns", request).await
    }

    async fn sqs(&self, operation: &str, body: &Value) -> Value {
        let request = reqwest::Client::new()
            .post(self.moto.url())
            .header("x-amz-target", format!("AmazonSQS.{operation}"))
            .header("content-type", "application/x-amz-json-1.0")
            .body(body.to_string());
        serde_json::from_str(&self.send("sqs", request).await).unwrap()
    }

    /// Receives what the topic delivered: the envelopes of SNS.
    async fn received(&self) -> Vec<Value> {
        let call = json!({"QueueUrl": self.queue, "MaxNumberOfMessages": 10});
        let answer = self.sqs("ReceiveMessage", &call).await;
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        messages.iter().map(|one| serde_json::from_str(one["Body"].as_str().unwrap()).unwrap()).collect()
    }
}

#[tokio::test]
async fn moto_delivers_messages_and_refuses_what_the_limits_forbid() {
    let rig = Rig::new(Emulator::start(EmulatorKind::Moto).await, "").await;
    let publisher = publisher(rig.moto.url());
    publisher.check(&rig.topic).await.unwrap();
    publisher.publish(&rig.topic, &MESSAGE).await.unwrap();
    let received = rig.received().await;
    assert_eq!(received.len(), 1);
    let envelope = &received[0];
    assert_eq!((&envelope["Message"], &envelope["Subject"]), (&json!(MESSAGE.body), &json!(MESSAGE.subject)));
    assert_eq!(envelope["MessageAttributes"]["job"], json!({"Type": "String", "Value": "report"}));
    let subject = "s".repeat(101);
    let refused =
        publisher.publish(&rig.topic, &SnsMessage { subject: &subject, ..MESSAGE }).await.unwrap_err();
    assert_eq!(refused.code(), Some("InvalidParameter"), "{refused:?}");
    let missing = publisher.publish(&format!("{}x", rig.topic), &MESSAGE).await.unwrap_err();
    assert_eq!(missing.kind(), ecs_scheduler_core::FaultKind::NotFound);

    let rig = Rig::new(rig.moto, ".fifo").await;
    for _ in 0..2 {
        publisher.publish(&rig.topic, &MESSAGE).await.unwrap();
    }
    assert_eq!(rig.received().await.len(), 1, "the second one is a duplicate");
}
