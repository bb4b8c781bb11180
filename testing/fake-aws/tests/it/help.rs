//! Calls by plain HTTP, so that no client library hides anything.

use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::Clock as _;
use ecs_scheduler_fake_aws::{Fake, FakeOptions, Service};
use ecs_scheduler_testing::ManualClock;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// A signature's first half; the fake reads the region out of it.
pub(crate) const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/eu-central-1/ecs/aws4_request, SignedHeaders=host, Signature=0";

/// The start time of every test.
pub(crate) fn beginning() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// A fake whose clock only the test moves, and a client.
pub(crate) struct Rig {
    pub(crate) fake: Fake,
    pub(crate) http: reqwest::Client,
}

/// An answer of the JSON protocols.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) query_error: Option<String>,
    pub(crate) date: String,
}

impl Answer {
    /// Returns the name of the error.
    pub(crate) fn error(&self) -> &str {
        self.body["__type"].as_str().unwrap_or("none")
    }

    pub(crate) fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or("none")
    }

    /// Returns the body of a successful answer.
    #[track_caller]
    pub(crate) fn good(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body
    }

    /// Asserts that the answer is this error.
    #[track_caller]
    pub(crate) fn is(&self, code: &str, part: &str) {
        assert_eq!(self.error(), code, "{}", self.body);
        assert!(self.message().contains(part), "{}", self.body);
        assert_eq!(self.status, 400);
    }
}

impl Rig {
    /// Starts a fake with a cluster `batch` and a task definition `work`.
    pub(crate) async fn new() -> Self {
        let options = FakeOptions { clock: Arc::new(ManualClock::at(beginning())), ..FakeOptions::default() };
        let fake = Fake::start(options).await.unwrap();
        fake.ecs().create_cluster("batch");
        fake.ecs().register_simple("work");
        Self { fake, http: reqwest::Client::new() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.fake.clock().now()
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.fake.clock().advance(SignedDuration::from_secs(seconds));
    }

    pub(crate) async fn ecs(&self, operation: &str, body: Value) -> Answer {
        self.call(Service::Ecs, operation, &body, SIGNED).await.unwrap()
    }

    pub(crate) async fn logs(&self, operation: &str, body: Value) -> Answer {
        self.call(Service::Logs, operation, &body, SIGNED).await.unwrap()
    }

    pub(crate) async fn sqs(&self, operation: &str, body: Value) -> Answer {
        self.call(Service::Sqs, operation, &body, SIGNED).await.unwrap()
    }

    pub(crate) async fn call(
        &self,
        service: Service,
        operation: &str,
        body: &Value,
        signature: &str,
    ) -> reqwest::Result<Answer> {
        let (prefix, kind) = match service {
            Service::Ecs => ("AmazonEC2ContainerServiceV20141113", "application/x-amz-json-1.1"),
            Service::Sqs | Service::CloudWatch => ("AmazonSQS", "application/x-amz-json-1.0"),
            Service::Logs => ("Logs_20140328", "application/x-amz-json-1.1"),
            Service::DynamoDb => ("DynamoDB_20120810", "application/x-amz-json-1.0"),
            Service::Sns | Service::Sts | Service::Imds => panic!("{service:?} speaks no JSON"),
        };
        let request = self
            .http
            .post(self.fake.url())
            .header("x-amz-target", format!("{prefix}.{operation}"))
            .header("content-type", kind)
            .header("authorization", signature)
            .timeout(Duration::from_secs(30))
            .body(body.to_string());
        let response = request.send().await?;
        let status = response.status().as_u16();
        let header = response.headers().get("x-amzn-query-error");
        let query_error = header.map(|value| value.to_str().unwrap().to_owned());
        let date = response.headers().get("date");
        let date = date.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        Ok(Answer { status, body: response.json().await?, query_error, date })
    }

    /// Starts tasks of `work` in `batch`; `more` is merged into the call.
    pub(crate) async fn run(&self, more: Value) -> Answer {
        self.ecs("RunTask", run_task(more)).await
    }

    pub(crate) async fn describe(&self, arn: &str) -> Value {
        let answer = self
            .ecs("DescribeTasks", json!({ "cluster": "batch", "tasks": [arn], "include": ["TAGS"] }))
            .await;
        answer.good()["tasks"][0].clone()
    }

    pub(crate) async fn list(&self, more: Value) -> Vec<String> {
        let answer = self.ecs("ListTasks", with(json!({ "cluster": "batch" }), more)).await.good();
        serde_json::from_value(answer["taskArns"].clone()).unwrap()
    }
}

/// A complete call, with more merged into it.
pub(crate) fn run_task(more: Value) -> Value {
    let network = json!({ "awsvpcConfiguration": { "subnets": ["subnet-0123456789abcdef0"] } });
    let call = json!({
        "cluster": "batch", "taskDefinition": "work", "launchType": "FARGATE", "networkConfiguration": network,
    });
    with(call, more)
}

/// Merges the members of one object into another; null removes.
pub(crate) fn with(mut into: Value, more: Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        into[name] = value.clone();
    }
    into.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    into
}

/// Returns the ARNs of an answer's tasks.
pub(crate) fn arns(answer: &Value) -> Vec<String> {
    answer["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["taskArn"].as_str().unwrap().to_owned())
        .collect()
}
