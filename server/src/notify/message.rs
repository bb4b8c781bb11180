//! Notifications as receivers get them: a CloudEvents event, or a text for a Slack-compatible webhook.

use ecs_scheduler_core::{Notification, NotificationKind};
use serde_json::{Map, Value, json};

#[cfg(test)]
mod tests;

/// The beginning of the types of events, a reversed name as CloudEvents asks for.
const TYPE_PREFIX: &str = "io.ecs-scheduler";

/// Makes the event of a notification.
///
/// # Source
///
/// <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>
pub(super) fn event(notification: &Notification, scheduler: &str) -> Value {
    let mut event = json!({
        "specversion": "1.0",
        "id": notification.id,
        "source": format!("/ecs-scheduler/{scheduler}"),
        "type": event_type(notification),
        "time": notification.at,
        "datacontenttype": "application/json",
        "data": data(notification),
    });
    if let [job] = notification.jobs.as_slice() {
        event["subject"] = job.job.as_str().into();
    }
    event
}

/// `job` for an event of one job, `jobs` for that of several.
pub(super) fn event_type(notification: &Notification) -> String {
    match (notification.kind, notification.jobs.as_slice()) {
        (NotificationKind::Test, _) => format!("{TYPE_PREFIX}.test"),
        (kind, [_]) => format!("{TYPE_PREFIX}.job.{kind}"),
        (kind, _) => format!("{TYPE_PREFIX}.jobs.{kind}"),
    }
}

fn data(notification: &Notification) -> Value {
    let mut data = Map::from_iter([("summary".to_owned(), notification.summary().into())]);
    match notification.jobs.as_slice() {
        [job] => {
            let job = serde_json::to_value(job).expect("names, texts and moments are JSON");
            data.extend(job.as_object().cloned().unwrap_or_default());
        }
        jobs => {
            let jobs = serde_json::to_value(jobs).expect("names, texts and moments are JSON");
            data.insert("jobs".to_owned(), jobs);
        }
    }
    if notification.more > 0 {
        data.insert("more".to_owned(), notification.more.into());
    }
    data.into()
}

/// The maximum length of a subject, in characters: SNS takes less than 100.
const MAX_SUBJECT: usize = 99;
/// The end of a subject that was cut.
const CUT: &str = "...";

/// Makes a subject of printable ASCII characters; others become `?`.
///
/// # Source
///
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
pub(super) fn subject(notification: &Notification, scheduler: &str) -> String {
    let text = format!("[{scheduler}] {}", notification.summary());
    let mut subject: String =
        text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
    if subject.len() > MAX_SUBJECT {
        subject.truncate(MAX_SUBJECT - CUT.len());
        subject.push_str(CUT);
    }
    subject
}

/// Makes the body for a Slack-compatible webhook.
///
/// # Source
///
/// <https://docs.slack.dev/messaging/formatting-message-text>: `&`, `<` and `>` are escaped.
pub(super) fn slack(notification: &Notification, scheduler: &str) -> Value {
    let text = format!("[{scheduler}] {}", notification.summary());
    json!({ "text": text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;") })
}
