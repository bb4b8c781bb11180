//! Task state events on their way from ECS through EventBridge into a queue.
//!
//! # Source
//!
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html>

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::model::{EcsState, PendingEvent};
use super::render::{Dates, render_task};
use super::settings::{EcsSettings, EventForm};
use crate::clock::later;
use crate::rng::Rng;

/// Builds the message of an event.
fn body_of(form: EventForm, event: &Value) -> String {
    let detail = &event["detail"];
    match form {
        EventForm::Whole => event.to_string(),
        EventForm::Notification => json!({
            "Type": "Notification",
            "MessageId": uuid::Uuid::new_v4(),
            "TopicArn": "arn:aws:sns:eu-central-1:123456789012:events",
            "Message": event.to_string(),
            "Timestamp": event["time"],
        })
        .to_string(),
        EventForm::Transformed => {
            json!({ "task": detail["taskArn"], "status": detail["lastStatus"] }).to_string()
        }
    }
}

impl EcsState {
    /// Posts an event for each of these tasks, as it is now.
    pub(crate) fn announce(&mut self, tasks: &[u64], settings: &EcsSettings, at: Timestamp) {
        for number in tasks {
            let task = &self.tasks[number];
            let Some(feed) = settings.events.get(&task.cluster.name) else { continue };
            let mut detail = render_task(task, Dates::Text, false);
            detail["updatedAt"] = json!(at.to_string());
            let scope = task.cluster.scope.clone();
            let body = json!({
                "version": "0",
                "id": uuid::Uuid::new_v4(),
                "detail-type": "ECS Task State Change",
                "source": "aws.ecs",
                "account": scope.account,
                "time": at.to_string(),
                "region": scope.region,
                "resources": [task.arn],
                "detail": detail,
            });
            let body = body_of(feed.form, &body);
            let rng = self.feeds.entry(task.cluster.name.clone()).or_insert_with(|| Rng::new(feed.seed));
            if rng.chance(feed.losses) {
                continue;
            }
            let copies = if rng.chance(feed.duplicates) { 2 } else { 1 };
            let lateness = [(); 2].map(|()| feed.jitter.mul_f64(rng.unit()));
            for late in &lateness[..copies] {
                let due = later(at, feed.delay.saturating_add(*late));
                let posted =
                    PendingEvent { scope: scope.clone(), queue: feed.queue.clone(), body: body.clone() };
                let key = (due, self.number());
                self.post.insert(key, posted);
            }
        }
    }

    /// Returns the time of the next scheduled change: a task's step, or an event's arrival.
    pub(crate) fn next_change(&self) -> Option<Timestamp> {
        let change = self.agenda.first_key_value().map(|((at, _), _)| *at);
        let arrival = self.post.first_key_value().map(|((at, _), _)| *at);
        [change, arrival].into_iter().flatten().min()
    }

    /// Removes and returns the events that have arrived, in the order of their arrival.
    pub(crate) fn arrived(&mut self, now: Timestamp) -> Vec<(Timestamp, PendingEvent)> {
        let later_ones = self.post.split_off(&(later(now, SignedDuration::from_nanos(1)), 0));
        let arrived = std::mem::replace(&mut self.post, later_ones);
        arrived.into_iter().map(|((at, _), posted)| (at, posted)).collect()
    }
}
