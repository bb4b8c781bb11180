//! Idle connections.

use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_backend_aws::{AwsContext, AwsSettings};
use ecs_scheduler_core::SystemClock;
use ecs_scheduler_fake_aws::{Fake, FakeOptions};
use ecs_scheduler_test_support::TcpProxy;

#[tokio::test]
async fn idle_connection_is_not_reused_after_a_minute() {
    let fake = Fake::start(FakeOptions::default()).await.expect("a port is free");
    let port = fake.url().rsplit(':').next().and_then(|port| port.parse().ok());
    let proxy = TcpProxy::start(port.expect("the URL of a fake ends with its port")).await;
    let aws = AwsContext::new(AwsSettings {
        region: Some("eu-central-1".to_owned()),
        credentials: Some(("AKIDEXAMPLE".to_owned(), "secret".to_owned())),
        endpoint: Some(format!("http://127.0.0.1:{}", proxy.port())),
        ..AwsSettings::new(Arc::new(SystemClock))
    });
    for _ in 0..2 {
        aws.caller_arn().await.expect("the fake answers");
    }
    assert_eq!(proxy.connections(), 1, "a connection is used again at once");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(55)).await;
    tokio::time::resume();
    aws.caller_arn().await.expect("the fake answers");
    assert_eq!(proxy.connections(), 2, "a firewall may have forgotten it");
}
