//! Against the strict fake.

use ecs_scheduler_backend_sns::{MAX_MESSAGE, SnsMessage};
use ecs_scheduler_core::FaultKind;
use ecs_scheduler_core::fault::chain;
use ecs_scheduler_fake_aws::{Fake, FakeOptions, FaultRule, InjectedFault, Service};
use serde_json::json;

use crate::{MESSAGE, publisher};

async fn fake() -> Fake {
    Fake::start(FakeOptions::default()).await.unwrap()
}

#[tokio::test]
async fn message_arrives_with_subject_and_attributes_in_the_region_of_the_topic() {
    let fake = fake().await;
    let topic = fake.sns().create_topic("ops");
    publisher(fake.url()).publish(&topic, &MESSAGE).await.unwrap();
    let published = fake.sns().published(&topic);
    assert_eq!(published.len(), 1);
    assert_eq!(
        (published[0].message.as_str(), published[0].subject.as_deref()),
        (MESSAGE.body, Some(MESSAGE.subject))
    );
    let attributes = MESSAGE.attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    assert_eq!(published[0].attributes, attributes.collect());
    assert_eq!(published[0].group, None);
}

#[tokio::test]
async fn fifo_topic_gets_the_group_and_drops_a_repetition_after_a_lost_answer() {
    let fake = fake().await;
    let topic = fake.sns().create_topic("ops.fifo");
    fake.faults().add(FaultRule::once(Service::Sns, "Publish", InjectedFault::LostAfterEffect));
    publisher(fake.url()).publish(&topic, &MESSAGE).await.unwrap();
    assert_eq!(fake.calls(Service::Sns, "Publish").calls, 2);
    let published = fake.sns().published(&topic);
    assert_eq!(published.len(), 1);
    assert_eq!(published[0].group.as_deref(), Some("report"));
}

#[tokio::test]
async fn largest_message_is_published_and_a_larger_one_is_not_sent() {
    let fake = fake().await;
    let topic = fake.sns().create_topic("ops");
    let largest = "m".repeat(MAX_MESSAGE - "typeStringx".len());
    let message = |body| SnsMessage { body, attributes: &[("type", "x")], ..MESSAGE };
    let publisher = publisher(fake.url());
    publisher.publish(&topic, &message(&largest)).await.unwrap();
    let error = publisher.publish(&topic, &message(&format!("{largest}m"))).await.unwrap_err();
    assert_eq!(error.kind(), FaultKind::Config);
    assert_eq!(fake.calls(Service::Sns, "Publish").calls, 1);
}

#[tokio::test]
async fn failures_name_the_topic_and_the_remedy() {
    let fake = fake().await;
    let publisher = publisher(fake.url());
    let missing = "arn:aws:sns:eu-central-1:123456789012:gone";
    let error = publisher.publish(missing, &MESSAGE).await.unwrap_err();
    assert_eq!(error.kind(), FaultKind::NotFound);
    let expected = format!("could not publish to topic {missing}: there is none; check its ARN: NotFound: ");
    assert!(chain(&error).starts_with(&expected), "{}", chain(&error));
    let topic = fake.sns().create_topic("ops");
    let policy = json!({"Statement": [{"Effect": "Allow", "Action": "sns:Publish", "Resource": topic}]});
    fake.configure(|settings| settings.permissions.policy = Some(policy));
    publisher.publish(&topic, &MESSAGE).await.unwrap();
    let error = publisher.check(&topic).await.unwrap_err();
    assert_eq!(error.kind(), FaultKind::Denied);
    assert!(error.to_string().contains("allow sns:GetTopicAttributes"), "{error}");
    fake.configure(|settings| settings.permissions.policy = None);
    publisher.check(&topic).await.unwrap();
}

#[tokio::test]
async fn throttled_call_is_repeated() {
    let fake = fake().await;
    let topic = fake.sns().create_topic("ops");
    fake.faults().add(FaultRule::once(Service::Sns, "Publish", InjectedFault::Throttled));
    publisher(fake.url()).publish(&topic, &MESSAGE).await.unwrap();
    assert_eq!((fake.calls(Service::Sns, "Publish").calls, fake.sns().published(&topic).len()), (2, 1));
}
