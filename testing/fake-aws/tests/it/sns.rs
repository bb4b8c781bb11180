//! SNS: topics, and what `Publish` accepts.

use ecs_scheduler_fake_aws::Service;
use serde_json::json;

use crate::help::Rig;

const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/eu-central-1/sns/aws4_request, SignedHeaders=host, Signature=0";

type Fields<'a> = Vec<(&'a str, &'a str)>;

impl Rig {
    /// Calls SNS with a form; returns the status and the XML.
    async fn sns(&self, action: &str, fields: &Fields<'_>) -> (u16, String) {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).append_pair("Version", "2010-03-31").extend_pairs(fields);
        let request = self
            .http
            .post(self.fake.url())
            .header("authorization", SIGNED)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.finish());
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn refused(&self, fields: &Fields<'_>, status: u16, code: &str) {
        let (answered, said) = self.sns("Publish", fields).await;
        assert_eq!(answered, status, "{fields:?}: {said}");
        assert!(said.contains(&format!("<Code>{code}</Code>")), "{fields:?}: {said}");
    }
}

/// The text of the first element of this name.
fn element<'a>(xml: &'a str, name: &str) -> &'a str {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap();
    rest.split_once('<').unwrap().0
}

fn attribute<'a>(name: &'a str, kind: &'a str, value: &'a str) -> Fields<'a> {
    vec![
        ("MessageAttributes.entry.1.Name", name),
        ("MessageAttributes.entry.1.Value.DataType", kind),
        ("MessageAttributes.entry.1.Value.StringValue", value),
    ]
}

#[tokio::test]
async fn message_is_published_with_its_subject_and_attributes() {
    let rig = Rig::new().await;
    let arn = rig.fake.sns().create_topic("ops");
    assert_eq!(arn, "arn:aws:sns:eu-central-1:123456789012:ops");
    let mut call = vec![("TopicArn", arn.as_str()), ("Message", "a < b & c"), ("Subject", "[x] job fails")];
    call.extend(attribute("type", "String", "failing"));
    let (status, said) = rig.sns("Publish", &call).await;
    assert_eq!(status, 200, "{said}");
    assert!(
        said.starts_with("<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\">"),
        "{said}"
    );
    let published = rig.fake.sns().published(&arn);
    assert_eq!(published.len(), 1);
    assert_eq!(published[0].message_id, element(&said, "MessageId"));
    assert_eq!(
        (published[0].message.as_str(), published[0].subject.as_deref()),
        ("a < b & c", Some("[x] job fails"))
    );
    assert_eq!(published[0].attributes, [("type".to_owned(), "failing".to_owned())].into());
    let (status, said) = rig.sns("GetTopicAttributes", &vec![("TopicArn", arn.as_str())]).await;
    assert!(
        status == 200 && said.contains(&format!("<entry><key>TopicArn</key><value>{arn}</value></entry>")),
        "{said}"
    );
}

#[tokio::test]
async fn wrong_messages_and_topics_are_refused() {
    let rig = Rig::new().await;
    let arn = rig.fake.sns().create_topic("ops");
    let publish = |more: Fields<'static>| {
        let mut call = vec![("TopicArn", "arn:aws:sns:eu-central-1:123456789012:ops"), ("Message", "m")];
        call.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
        call.extend(more);
        call
    };
    let topics = [
        ("ops", 400, "InvalidParameter"),
        ("arn:aws:sqs:eu-central-1:123456789012:ops", 400, "InvalidParameter"),
        ("arn:aws:sns:eu-west-1:123456789012:ops", 400, "InvalidParameter"),
        ("arn:aws:sns:eu-central-1:123456789012:other", 404, "NotFound"),
        ("arn:aws:sns:eu-central-1:999999999999:ops", 403, "AuthorizationError"),
    ];
    for (topic, status, code) in topics {
        rig.refused(&publish(vec![("TopicArn", topic)]), status, code).await;
    }
    let long: &'static str = Box::leak("s".repeat(100).into_boxed_str());
    for subject in ["", long, " x", "two\nlines", "grün"] {
        rig.refused(&publish(vec![("Subject", subject)]), 400, "InvalidParameter").await;
    }
    let attributes = [
        ("type", "String", ""),
        ("type", "Text", "x"),
        ("n", "Number", "x"),
        ("AWS.type", "String", "x"),
        ("a..b", "String", "x"),
        (".a", "String", "x"),
        ("a b", "String", "x"),
    ];
    for (name, kind, value) in attributes {
        rig.refused(&publish(attribute(name, kind, value)), 400, "ParameterValueInvalid").await;
    }
    let huge: &'static str = Box::leak("m".repeat(256 * 1024 + 1).into_boxed_str());
    let full = &huge[..256 * 1024];
    for message in ["", huge] {
        rig.refused(&publish(vec![("Message", message)]), 400, "InvalidParameter").await;
    }
    let mut with_attribute = publish(vec![("Message", full)]);
    with_attribute.extend(attribute("type", "String", "x"));
    rig.refused(&with_attribute, 400, "InvalidParameter").await;
    for name in ["MessageGroupId", "MessageDeduplicationId"] {
        rig.refused(&publish(vec![(name, "x")]), 400, "InvalidParameter").await;
    }
    rig.refused(&publish(vec![("Colour", "blue")]), 400, "ValidationError").await;
    assert_eq!(rig.fake.sns().published(&arn), []);
    assert_eq!(rig.sns("Publish", &publish(vec![("Message", full)])).await.0, 200, "the largest message");
}

#[tokio::test]
async fn fifo_topic_needs_a_group_and_drops_duplicates_for_five_minutes() {
    let rig = Rig::new().await;
    let arn = rig.fake.sns().create_topic("ops.fifo");
    let (status, said) = rig.sns("CreateTopic", &vec![("Name", "plain.fifo")]).await;
    assert!(status == 400 && said.contains("Topic Name"), "{said}");
    let publish = |group: &'static str, id: &'static str| {
        let fields = [
            ("TopicArn", arn.as_str()),
            ("Message", "m"),
            ("MessageGroupId", group),
            ("MessageDeduplicationId", id),
        ];
        fields.into_iter().filter(|(_, value)| *value != "-").collect::<Fields<'_>>()
    };
    for (group, id) in [("-", "x"), ("a", "-"), ("a b", "x"), ("a", "x\u{e4}")] {
        rig.refused(&publish(group, id), 400, "InvalidParameter").await;
    }
    let (_, first) = rig.sns("Publish", &publish("a", "1")).await;
    let (_, again) = rig.sns("Publish", &publish("b", "1")).await;
    for name in ["MessageId", "SequenceNumber"] {
        assert_eq!(element(&first, name), element(&again, name));
    }
    assert_eq!(rig.fake.sns().published(&arn).len(), 1);
    rig.pass(5 * 60);
    rig.sns("Publish", &publish("a", "1")).await;
    let groups: Vec<_> = rig.fake.sns().published(&arn).into_iter().map(|one| one.group).collect();
    assert_eq!(groups, [Some("a".to_owned()), Some("a".to_owned())]);
}

#[tokio::test]
async fn publish_needs_its_permission_on_the_topic() {
    let rig = Rig::new().await;
    let arn = rig.fake.sns().create_topic("ops");
    let publish = vec![("TopicArn", arn.as_str()), ("Message", "m")];
    let allow = |resource: &str| json!({"Statement": [{"Effect": "Allow", "Action": "sns:Publish", "Resource": resource}]});
    rig.fake.configure(|settings| settings.permissions.policy = Some(allow(&format!("{arn}2"))));
    rig.refused(&publish, 403, "AuthorizationError").await;
    rig.fake.configure(|settings| settings.permissions.policy = Some(allow(&arn)));
    assert_eq!(rig.sns("Publish", &publish).await.0, 200);
    assert_eq!(rig.sns("GetTopicAttributes", &vec![("TopicArn", arn.as_str())]).await.0, 403);
    assert_eq!(rig.fake.calls(Service::Sns, "Publish").failed, 1);
}
