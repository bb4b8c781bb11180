//! The stand-ins for AWS, and what a test does to them without the product: by plain HTTP, the same for all.

use std::collections::BTreeMap;
use std::fmt;

use ecs_scheduler_fake_aws::{Calls, Fake, FakeOptions};
use ecs_scheduler_test_support::{Emulator, EmulatorKind};
use reqwest::Client;
use serde_json::{Value, json};

/// The region that everything is in.
pub(crate) const REGION: &str = "eu-central-1";

/// Which stand-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Our own, the strict one.
    Fake,
    Ministack,
    Moto,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fake => "the fake",
            Self::Ministack => "ministack",
            Self::Moto => "moto",
        })
    }
}

/// The running stand-in; it ends when it is dropped.
enum Served {
    Fake(Fake),
    Emulator(Emulator),
}

/// A running stand-in.
pub(crate) struct Cloud {
    pub(crate) kind: Kind,
    http: Client,
    served: Served,
}

impl Cloud {
    pub(crate) async fn start(kind: Kind) -> Self {
        let served = match kind {
            Kind::Fake => Served::Fake(Fake::start(FakeOptions::default()).await.unwrap()),
            Kind::Ministack => Served::Emulator(Emulator::start(EmulatorKind::Ministack).await),
            Kind::Moto => Served::Emulator(Emulator::start(EmulatorKind::Moto).await),
        };
        let this = Self { kind, http: Client::builder().no_proxy().build().unwrap(), served };
        match kind {
            // Tasks run until they are stopped, as those of the others do.
            Kind::Fake => this.fake().configure(|settings| settings.ecs.life.run = None),
            Kind::Ministack => {}
            // Its tasks would go on to the next state each time that they are described.
            Kind::Moto => this.keep_tasks_running().await,
        }
        this
    }

    /// Returns the fake.
    pub(crate) fn fake(&self) -> &Fake {
        match &self.served {
            Served::Fake(fake) => fake,
            Served::Emulator(_) => panic!("{} is not the fake", self.kind),
        }
    }

    pub(crate) fn url(&self) -> String {
        match &self.served {
            Served::Fake(fake) => fake.url(),
            Served::Emulator(emulator) => emulator.url(),
        }
    }

    /// Calls ECS.
    pub(crate) async fn ecs(&self, operation: &str, body: Value) -> Value {
        self.json("ecs", &format!("AmazonEC2ContainerServiceV20141113.{operation}"), "1.1", &body).await
    }

    /// Calls SQS.
    pub(crate) async fn sqs(&self, operation: &str, body: Value) -> Value {
        self.json("sqs", &format!("AmazonSQS.{operation}"), "1.0", &body).await
    }

    /// Calls CloudWatch Logs.
    pub(crate) async fn logs(&self, operation: &str, body: Value) -> Value {
        self.json("logs", &format!("Logs_20140328.{operation}"), "1.1", &body).await
    }

    async fn json(&self, service: &str, target: &str, version: &str, body: &Value) -> Value {
        let request = self
            .http
            .post(self.url())
            .header("authorization", signature(service))
            .header("x-amz-target", target)
            .header("content-type", format!("application/x-amz-json-{version}"))
            .body(body.to_string());
        let text = send(request, target).await;
        if text.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{target}: {error}: {text}"))
    }

    /// Calls a service that takes forms and answers with XML.
    async fn form(&self, service: &str, fields: &[(&str, &str)]) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        let request = self
            .http
            .post(self.url())
            .header("authorization", signature(service))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.extend_pairs(fields).finish());
        send(request, service).await
    }

    /// Puts one value of a metric without dimensions.
    pub(crate) async fn put_metric(&self, namespace: &str, name: &str, at: jiff::Timestamp, value: f64) {
        if self.kind == Kind::Fake {
            return self.fake().cloudwatch().put(namespace, name, &[], at, value);
        }
        let fields = [
            ("Action", "PutMetricData"),
            ("Version", "2010-08-01"),
            ("Namespace", namespace),
            ("MetricData.member.1.MetricName", name),
            ("MetricData.member.1.Timestamp", &at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
            ("MetricData.member.1.Value", &value.to_string()),
        ];
        self.form("monitoring", &fields).await;
    }

    /// Returns what arrived at the fake, as in `ecs:RunTask`.
    pub(crate) async fn calls(&self) -> BTreeMap<String, Calls> {
        let text = send(self.http.get(format!("{}/_fake/calls", self.url())), "calls").await;
        serde_json::from_str(&text).unwrap()
    }

    /// Returns a subnet and a security group that tasks can be given.
    pub(crate) async fn network(&self) -> (String, String) {
        if self.kind != Kind::Moto {
            return ("subnet-0123456789abcdef0".to_owned(), "sg-0123456789abcdef0".to_owned());
        }
        let described = async |what: &str, tag: &str| {
            let xml = self.form("ec2", &[("Action", what), ("Version", "2016-11-15")]).await;
            let value = xml.split(&format!("<{tag}>")).nth(1).and_then(|rest| rest.split('<').next());
            value.unwrap_or_else(|| panic!("no {tag} in {xml}")).to_owned()
        };
        (described("DescribeSubnets", "subnetId").await, described("DescribeSecurityGroups", "groupId").await)
    }

    async fn keep_tasks_running(&self) {
        let never =
            json!({"model_name": "ecs::task", "transition": {"progression": "manual", "times": 1_000_000}});
        let url = format!("{}/moto-api/state-manager/set-transition", self.url());
        send(self.http.post(url).json(&never), "set-transition").await;
    }
}

/// Returns the start of a signature. None of the stand-ins checks it, but each reads the service and the region from it.
fn signature(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}

async fn send(request: reqwest::RequestBuilder, what: &str) -> String {
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{what}: {status}: {text}");
    text
}
