use ecs_scheduler_core::{JobId, NotifiedJob, Timestamp};

use super::*;

fn moment() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

fn failing(text: &str) -> Notification {
    let job = NotifiedJob::new(JobId::new("report").unwrap(), text);
    Notification::of_job(NotificationKind::Failing, moment(), job, &["x"])
}

#[test]
fn event_of_one_job_has_the_attributes_of_cloudevents() {
    let notification = failing("3 ticks in a row failed");
    let event = event(&notification, "nightly");
    assert_eq!(
        event,
        json!({
            "specversion": "1.0",
            "id": notification.id,
            "source": "/ecs-scheduler/nightly",
            "type": "io.ecs-scheduler.job.failing",
            "subject": "report",
            "time": "2026-06-01T12:00:00Z",
            "datacontenttype": "application/json",
            "data": {
                "summary": "job report fails: 3 ticks in a row failed",
                "job": "report",
                "text": "3 ticks in a row failed",
            },
        })
    );
}

#[test]
fn event_of_several_jobs_lists_them() {
    let mut notification = failing("a");
    notification.jobs.push(NotifiedJob::new(JobId::new("other").unwrap(), "b"));
    notification.more = 3;
    let event = event(&notification, "nightly");
    assert_eq!((&event["type"], event.get("subject")), (&json!("io.ecs-scheduler.jobs.failing"), None));
    assert_eq!(event["data"]["jobs"], json!([{"job": "report", "text": "a"}, {"job": "other", "text": "b"}]));
    assert_eq!(event["data"]["summary"], "2 jobs fail: report, other; and 3 more events");
    assert_eq!(event["data"]["more"], 3);
    assert_eq!(super::event(&Notification::test(moment()), "nightly")["type"], "io.ecs-scheduler.test");
}

#[test]
fn text_for_slack_is_escaped() {
    let body = slack(&failing("<!channel> & more"), "nightly");
    assert_eq!(body, json!({"text": "[nightly] job report fails: &lt;!channel&gt; &amp; more"}));
}
