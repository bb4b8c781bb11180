//! Roles of other accounts, and credentials that AWS does not accept any more.

use std::sync::Arc;

use ecs_scheduler_backend_aws::{AssumeRole, AwsContext, AwsScope, AwsSettings, Fault};
use ecs_scheduler_core::{FaultKind, SystemClock};
use ecs_scheduler_fake_aws::{Fake, FakeOptions, FaultRule, InjectedFault, Service};

const ACCOUNT: &str = "222222222222";
const ROLE: &str = "arn:aws:iam::222222222222:role/reader";

/// Returns a fake, a context, and a scope in another account, whose role exists if `allowed`.
async fn elsewhere(allowed: bool) -> (Fake, AwsContext, AwsScope) {
    let fake = Fake::start(FakeOptions::default()).await.expect("a port is free");
    if allowed {
        fake.configure(|settings| settings.sts.roles = [(ROLE.to_owned(), String::new())].into());
    }
    let role = "arn:aws:iam::{account}:role/reader".to_owned();
    let aws = AwsContext::new(AwsSettings {
        region: Some("eu-central-1".to_owned()),
        credentials: Some(("AKIDEXAMPLE".to_owned(), "secret".to_owned())),
        endpoint: Some(fake.url()),
        assume_role: Some(AssumeRole { role, external_id: None }),
        ..AwsSettings::new(Arc::new(SystemClock))
    });
    (fake, aws, AwsScope { region: None, account: Some(ACCOUNT.to_owned()) })
}

/// Returns the account of the caller in a scope.
async fn account(aws: &AwsContext, scope: &AwsScope) -> Result<String, Fault> {
    let config = aws.config(scope).await?;
    let sts = aws_sdk_sts::config::Builder::from(&config).interceptor(aws.metering()).build();
    let answer = aws_sdk_sts::Client::from_conf(sts).get_caller_identity().send().await;
    Ok(answer.map_err(|error| Fault::from_sdk(error, "could not ask"))?.account.expect("the fake names it"))
}

#[tokio::test]
async fn scope_in_another_account_uses_its_role() {
    let (fake, aws, scope) = elsewhere(true).await;
    assert_eq!(account(&aws, &scope).await.expect("the role exists"), ACCOUNT);
    assert_eq!(account(&aws, &scope).await.expect("the role exists"), ACCOUNT);
    assert_eq!(fake.calls(Service::Sts, "AssumeRole").calls, 2, "one to try it, one that is kept");
}

#[tokio::test]
async fn denied_role_works_once_allowed() {
    let (fake, aws, scope) = elsewhere(false).await;
    let fault = account(&aws, &scope).await.expect_err("there is no such role");
    assert_eq!(fault.kind(), FaultKind::Denied);
    let message = fault.to_string();
    assert!(
        message.contains(ROLE)
            && message.contains("allow sts:AssumeRole")
            && message.contains("trust policy"),
        "{message}"
    );
    fake.configure(|settings| settings.sts.roles = [(ROLE.to_owned(), String::new())].into());
    assert_eq!(account(&aws, &scope).await.expect("a failure is not kept"), ACCOUNT);
}

#[tokio::test]
async fn unavailable_sts_is_retried() {
    let (fake, aws, scope) = elsewhere(true).await;
    fake.faults().add(FaultRule::every(Service::Sts, InjectedFault::ServerError { status: 503 }).times(3));
    let fault = account(&aws, &scope).await.expect_err("STS is down");
    assert!(fault.kind().is_transient(), "{fault}");
    assert_eq!(account(&aws, &scope).await.expect("STS is back"), ACCOUNT);
}

#[tokio::test]
async fn credentials_that_aws_calls_expired_are_reloaded() {
    let (fake, aws, scope) = elsewhere(true).await;
    account(&aws, &scope).await.expect("the role exists");
    let config = aws.config(&scope).await.expect("it is kept");
    let sts = aws_sdk_sts::config::Builder::from(&config).interceptor(aws.metering()).build();
    let client = aws_sdk_sts::Client::from_conf(sts);
    client.get_caller_identity().send().await.expect("the credentials are good");
    let before = fake.calls(Service::Sts, "AssumeRole").calls;

    let expired = (ACCOUNT.to_owned(), "ExpiredToken".to_owned());
    fake.configure(|settings| settings.permissions.keys = [expired].into());
    let error = client.get_caller_identity().send().await.expect_err("the credentials have expired");
    let fault = Fault::from_sdk(error, "could not ask");
    assert!(fault.kind().is_transient() && fault.to_string().contains("renew"), "{fault}");
    fake.configure(|settings| settings.permissions.keys.clear());
    client.get_caller_identity().send().await.expect("new credentials are good");
    assert_eq!(fake.calls(Service::Sts, "AssumeRole").calls, before + 1);
}
