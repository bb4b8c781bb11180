use ecs_scheduler_core::{JobId, NotificationKind, NotifiedJob, Timestamp};

use super::*;

const AT: &str = "2026-06-01T12:00:00Z";

fn failing(text: &str) -> Notification {
    let job = NotifiedJob::new(JobId::new("report").unwrap(), text);
    Notification::of_job(NotificationKind::Failing, AT.parse().unwrap(), job, &["x"])
}

#[test]
fn arns_of_topics_are_read_and_others_are_refused() {
    for arn in [
        "arn:aws:sns:eu-west-1:123456789012:ops",
        "arn:aws-us-gov:sns:us-gov-west-1:123456789012:Ops_1-a.fifo",
    ] {
        let topic = TopicArn::parse(arn).unwrap();
        assert_eq!(topic.permission(), Permission::new("sns:Publish", arn));
    }
    let longest = format!("arn:aws:sns:eu-west-1:123456789012:{}", "n".repeat(256));
    TopicArn::parse(&longest).unwrap();
    for arn in [
        "ops",
        "arn:aws:sqs:eu-west-1:123456789012:ops",
        "arn:aws:sns:eu-west-1:12345:ops",
        "arn:aws:sns::123456789012:ops",
        "arn:aws:sns:eu-west-1:123456789012:",
        "arn:aws:sns:eu-west-1:123456789012:.fifo",
        "arn:aws:sns:eu-west-1:123456789012:a.b",
        "arn:aws:sns:eu-west-1:123456789012:ops:1a2b",
        &format!("{longest}n"),
    ] {
        assert!(TopicArn::parse(arn).is_err(), "{arn}");
    }
}

#[test]
fn message_has_the_event_its_type_and_its_job() {
    let message = TopicMessage::new(&failing("3 ticks in a row failed"), "nightly");
    assert_eq!(message.subject, "[nightly] job report fails: 3 ticks in a row failed");
    assert_eq!(
        message.attributes,
        [("type", "io.ecs-scheduler.job.failing".to_owned()), ("job", "report".to_owned())]
    );
    assert_eq!((message.id, message.group), (failing("").id, "report".to_owned()));
    assert!(
        message.body.starts_with('{') && message.body.contains("\"specversion\":\"1.0\""),
        "{}",
        message.body
    );
}

#[test]
fn test_has_no_job() {
    let message = TopicMessage::new(&Notification::test(Timestamp::UNIX_EPOCH), "nightly");
    assert_eq!(message.attributes, [("type", "io.ecs-scheduler.test".to_owned())]);
    assert_eq!(message.group, GROUP_OF_SEVERAL);
}

#[test]
fn subject_is_cut_to_99_printable_ascii_characters() {
    let subject = |text: &str| TopicMessage::new(&failing(text), "nächtlich").subject;
    assert_eq!(subject("größer"), "[n?chtlich] job report fails: gr??er");
    let start = "[n?chtlich] job report fails: ".len();
    let fitting = "x".repeat(99 - start);
    assert!(subject(&fitting).ends_with("xx"));
    let cut = subject(&format!("{fitting}x"));
    assert!(cut.len() == 99 && cut.ends_with("x..."), "{cut}");
    assert!(subject(&"ü".repeat(200)).bytes().all(|c| c.is_ascii_graphic() || c == b' '));
}
