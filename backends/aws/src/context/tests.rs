use std::sync::Arc;

use aws_config::{BehaviorVersion, Region};
use aws_types::SdkConfig;
use ecs_scheduler_core::{FaultKind, Timestamp};
use ecs_scheduler_testing::SimClock;

use super::{AwsContext, AwsScope, AwsSettings, credentials, missing_region};

fn settings() -> AwsSettings {
    AwsSettings {
        region: Some("eu-central-1".to_owned()),
        credentials: Some(("AKID".to_owned(), "very-secret".to_owned())),
        ..AwsSettings::new(Arc::new(SimClock::at(Timestamp::UNIX_EPOCH)))
    }
}

#[tokio::test]
async fn config_is_cached_for_each_scope() {
    let aws = AwsContext::new(settings());
    let here = aws.config(&AwsScope::default()).await.unwrap();
    assert_eq!(here.region().unwrap().as_ref(), "eu-central-1");
    let scope = AwsScope { region: Some("us-east-1".to_owned()), account: None };
    let there = aws.config(&scope).await.unwrap();
    assert_eq!(there.region().unwrap().as_ref(), "us-east-1");
    assert_eq!(aws.inner.config_cache.lock().len(), 2);
    aws.config(&scope).await.unwrap();
    assert_eq!(aws.inner.config_cache.lock().len(), 2);
}

#[tokio::test]
async fn calls_have_timeouts_and_three_attempts() {
    let config = AwsContext::new(settings()).config(&AwsScope::default()).await.unwrap();
    let timeouts = config.timeout_config().unwrap();
    assert_eq!(timeouts.connect_timeout().unwrap().as_secs(), 3);
    assert_eq!(timeouts.operation_attempt_timeout().unwrap().as_secs(), 5);
    assert_eq!(timeouts.operation_timeout().unwrap().as_secs(), 15);
    assert_eq!(config.retry_config().unwrap().max_attempts(), 3);
}

#[tokio::test]
async fn missing_region_error_names_the_setting() {
    let config = aws_config::defaults(BehaviorVersion::latest()).test_credentials().region(None::<Region>);
    let fault = missing_region(&config.load().await).await;
    assert_eq!(fault.kind(), FaultKind::Config);
    assert!(fault.to_string().contains("AWS_REGION"), "{fault}");
}

#[tokio::test]
async fn missing_credentials_error_names_the_sources() {
    let fault = credentials::load(&SdkConfig::builder().build()).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Config);
    assert!(fault.to_string().contains("AWS_PROFILE"), "{fault}");
}

#[test]
fn secret_is_not_printed() {
    let text = format!("{:?}", settings());
    assert!(text.contains("AKID") && !text.contains("very-secret"), "{text}");
}

#[test]
fn scope_with_a_malformed_region_or_account_is_refused() {
    for region in ["eu-central-1", "us-gov-west-1", "ap-southeast-12"] {
        let scope = AwsScope::new(Some(region), Some("123456789012")).unwrap();
        assert_eq!((scope.region.as_deref(), scope.account.as_deref()), (Some(region), Some("123456789012")));
    }
    for region in [
        "",
        "eu",
        "eu-1",
        "eu-central",
        "eu-central-",
        "eu-central-123",
        "EU-central-1",
        "eu--1",
        "eu-central-x",
    ] {
        let error = AwsScope::new(Some(region), None).unwrap_err();
        assert_eq!(error.pointer, "/region", "{region}");
    }
    for account in ["", "12345678901", "1234567890123", "12345678901x"] {
        let error = AwsScope::new(None, Some(account)).unwrap_err();
        assert_eq!(error.pointer, "/accountId", "{account}");
    }
    assert_eq!(AwsScope::new(None, None).unwrap(), AwsScope::default());
}
