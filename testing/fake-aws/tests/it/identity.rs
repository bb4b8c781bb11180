//! Callers and their credentials: STS, and the metadata service of an instance.

use ecs_scheduler_fake_aws::{FaultRule, InjectedFault, Service};
use serde_json::{Value, json};

use crate::help::Rig;

/// Signed by a key of this id.
fn signed(key: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={key}/20260101/eu-central-1/sts/aws4_request, SignedHeaders=host, Signature=0"
    )
}

impl Rig {
    /// Calls STS with a form; returns the status and the XML.
    async fn sts(&self, form: &str) -> (u16, String) {
        let request = self.http.post(self.fake.url()).header("authorization", signed("AKIDEXAMPLE"));
        let kind = "application/x-www-form-urlencoded";
        let answer = request.header("content-type", kind).body(form.to_owned()).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Asks the metadata service.
    async fn metadata(&self, path: &str, token: &str) -> (u16, String) {
        let request = self.http.get(format!("{}/latest/{path}", self.fake.url()));
        let answer = request.header("x-aws-ec2-metadata-token", token).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn metadata_token(&self) -> (u16, String) {
        let request = self.http.put(format!("{}/latest/api/token", self.fake.url()));
        let answer = request.header("x-aws-ec2-metadata-token-ttl-seconds", "60").send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

const ROLE: &str = "arn:aws:iam::222222222222:role/reader";

fn assume(more: &str) -> String {
    format!("Action=AssumeRole&Version=2011-06-15&RoleArn={ROLE}&RoleSessionName=test{more}")
}

#[tokio::test]
async fn only_existing_roles_are_assumed_and_call_in_their_account() {
    let rig = Rig::new().await;
    let (status, said) = rig.sts(&assume("")).await;
    assert_eq!(status, 403, "{said}");
    assert!(said.contains("<Code>AccessDenied</Code>") && said.contains("sts:AssumeRole"), "{said}");

    rig.fake.configure(|settings| settings.sts.roles = [(ROLE.to_owned(), "orders".to_owned())].into());
    assert_eq!(rig.sts(&assume("")).await.0, 403, "the role asks for an external id");
    let (status, said) = rig.sts(&assume("&ExternalId=orders")).await;
    assert_eq!(status, 200, "{said}");
    assert!(said.contains("<AccessKeyId>222222222222</AccessKeyId>"), "{said}");
    assert!(said.contains("arn:aws:sts::222222222222:assumed-role/reader/test"), "{said}");

    let (status, said) = rig.sts("Action=GetCallerIdentity&Version=2011-06-15").await;
    assert_eq!(status, 200);
    assert!(said.contains("<Account>123456789012</Account>"), "{said}");
    assert_eq!(rig.fake.calls(Service::Sts, "AssumeRole").calls, 3);
}

#[tokio::test]
async fn faults_are_injected_into_sts_and_the_metadata_service() {
    let rig = Rig::new().await;
    let error = InjectedFault::error("IDPCommunicationError", "the identity provider did not answer");
    rig.fake.faults().add(FaultRule::once(Service::Sts, "GetCallerIdentity", error));
    let (status, said) = rig.sts("Action=GetCallerIdentity&Version=2011-06-15").await;
    assert_eq!(status, 400);
    assert!(said.contains("<Code>IDPCommunicationError</Code>"), "{said}");

    rig.fake.faults().add(FaultRule::once(Service::Imds, "GetToken", InjectedFault::ResetBeforeEffect));
    let put = rig.http.put(format!("{}/latest/api/token", rig.fake.url()));
    assert!(put.send().await.is_err());
}

#[tokio::test]
async fn metadata_service_returns_role_credentials_for_a_token() {
    let rig = Rig::new().await;
    let roles = "meta-data/iam/security-credentials/";
    assert_eq!(rig.metadata(roles, "").await.0, 401);
    let (status, token) = rig.metadata_token().await;
    assert_eq!(status, 200, "{token}");
    let (_, role) = rig.metadata(roles, &token).await;
    let (status, credentials) = rig.metadata(&format!("{roles}{role}"), &token).await;
    assert_eq!(status, 200, "{credentials}");
    let credentials: Value = serde_json::from_str(&credentials).unwrap();
    assert_eq!(credentials["Expiration"], "2026-01-01T06:00:00Z");
    assert_eq!(rig.metadata("meta-data/placement/region", &token).await.1, "eu-central-1");
    assert_eq!(rig.metadata(&format!("{roles}other"), &token).await.0, 404);
    assert_eq!(rig.fake.calls(Service::Imds, "GetCredentials").calls, 2);
}

#[tokio::test]
async fn refused_key_cannot_call() {
    let rig = Rig::new().await;
    let code = "ExpiredTokenException";
    rig.fake.configure(|settings| settings.permissions.keys = [("OLD".to_owned(), code.to_owned())].into());
    let list = json!({ "cluster": "batch" });
    let refused = rig.call(Service::Ecs, "ListTasks", &list, &signed("OLD")).await.unwrap();
    refused.is(code, "expired");
    rig.call(Service::Ecs, "ListTasks", &list, &signed("NEW")).await.unwrap().good();
}
