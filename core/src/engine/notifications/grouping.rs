//! Groups notifications of one kind for one channel, when there are many at once.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::notify::{Notification, NotificationKind};
use crate::store::Shard;

/// The maximum number of notifications of one kind that a pass sends to a channel one by one.
const MAX_SINGLE: usize = 10;
/// The maximum number of jobs in one notification.
const MAX_GROUP: usize = 100;

/// A notification that is to be added to an outbox.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NewNotification {
    pub(super) shard: Shard,
    pub(super) channel: String,
    pub(super) notification: Notification,
}

/// Groups those of which there are many. A group is in the outbox of its first job.
pub(super) fn group(new: Vec<NewNotification>, now: Timestamp) -> Vec<NewNotification> {
    let mut by_kind: BTreeMap<(String, NotificationKind), Vec<NewNotification>> = BTreeMap::new();
    for one in new {
        by_kind.entry((one.channel.clone(), one.notification.kind)).or_default().push(one);
    }
    let mut grouped = Vec::new();
    for ((channel, kind), mut members) in by_kind {
        if members.len() <= MAX_SINGLE {
            grouped.append(&mut members);
            continue;
        }
        members.sort_by(|a, b| a.notification.jobs[0].job.cmp(&b.notification.jobs[0].job));
        for part in members.chunks(MAX_GROUP) {
            let notifications = part.iter().map(|member| member.notification.clone()).collect();
            let notification = Notification::group(kind, now, notifications);
            grouped.push(NewNotification { shard: part[0].shard, channel: channel.clone(), notification });
        }
    }
    grouped
}

#[cfg(test)]
mod tests;
