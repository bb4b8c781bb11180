//! Delivers notifications: one at a time per channel, in order for each job, retried for 24 hours.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;
use tokio::time::Instant;

use super::Notifications;
use crate::backoff::Backoff;
use crate::engine::inner::EngineInner;
use crate::engine::status::Counters;
use crate::hash::stable;
use crate::id::JobId;
use crate::notify::{DeliveryError, FailedDelivery, MAX_AGE, Outbox, PendingDelivery};
use crate::store::Shard;

/// The waits between the attempts at one delivery.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(5), MAX_BACKOFF).with_jitter(25);
const MAX_BACKOFF: Duration = Duration::from_mins(15);
/// The longest wait that a receiver may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);
/// How long one attempt may take.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);
/// How many notifications a channel gets in each period.
const RATE: (u32, Duration) = (10, Duration::from_secs(10));

/// The result of an attempt.
#[derive(Debug)]
pub(super) struct Delivered {
    shard: Shard,
    channel: String,
    id: String,
    result: Result<(), DeliveryError>,
}

/// The state of a channel.
#[derive(Debug)]
pub(super) struct Channel {
    is_busy: bool,
    /// The begin of the present period, and the number of attempts in it.
    period: (Instant, u32),
    /// Whether its last delivery failed.
    is_failing: bool,
}

impl Channel {
    fn new() -> Self {
        Self { is_busy: false, period: (Instant::now(), 0), is_failing: false }
    }

    /// Returns when the next attempt may begin.
    fn allowed_at(&self) -> Instant {
        let (begin, attempts) = self.period;
        if attempts < RATE.0 { begin } else { begin + RATE.1 }
    }

    fn begin(&mut self) {
        if self.period.0.elapsed() >= RATE.1 {
            self.period = (Instant::now(), 0);
        }
        self.period.1 += 1;
        self.is_busy = true;
    }
}

impl Notifications {
    /// Begins an attempt for each channel that is free and has a notification that is due.
    pub(super) fn start_deliveries(&mut self) {
        let now = self.engine.clock.now();
        for channel in self.waiting_channels() {
            let state = self.channels.entry(channel.clone()).or_insert_with(Channel::new);
            if state.is_busy || Instant::now() < state.allowed_at() {
                continue;
            }
            let is_due = |(_, pending): &(Shard, &PendingDelivery)| wait_of(pending, now).is_zero();
            let due = self.unblocked(&channel).into_iter().find(is_due);
            let Some((shard, pending)) = due else { continue };
            let notification = pending.notification.clone();
            let notifier = Arc::clone(&self.notifier);
            if let Some(state) = self.channels.get_mut(&channel) {
                state.begin();
            }
            self.delivering.spawn(async move {
                let attempt = AssertUnwindSafe(notifier.deliver(&channel, &notification)).catch_unwind();
                let result = match tokio::time::timeout(DELIVERY_TIMEOUT, attempt).await {
                    Ok(Ok(result)) => result,
                    Ok(Err(_)) => Err(DeliveryError::failed("the channel panicked")),
                    Err(_) => Err(DeliveryError::failed("no answer in time")),
                };
                Delivered { shard, channel, id: notification.id, result }
            });
        }
    }

    /// Returns the channels of the notifications that the store has.
    fn waiting_channels(&self) -> HashSet<String> {
        self.recorded().map(|(_, pending)| pending.channel.clone()).collect()
    }

    fn recorded(&self) -> impl Iterator<Item = (Shard, &PendingDelivery)> {
        let recorded = self.outboxes.iter().filter(|(_, kept)| !kept.has_new);
        recorded.flat_map(|(shard, kept)| kept.outbox.pending.iter().map(|pending| (*shard, pending)))
    }

    /// Returns the notifications for a channel that have no older one about one of their jobs before them, oldest first.
    fn unblocked(&self, channel: &str) -> Vec<(Shard, &PendingDelivery)> {
        let mut waiting: Vec<_> = self.recorded().filter(|(_, one)| one.channel == channel).collect();
        waiting.sort_by_key(|(_, one)| one.notification.at);
        let mut blocked: HashSet<&JobId> = HashSet::new();
        waiting.retain(|(_, one)| {
            let jobs = || one.notification.jobs.iter().map(|entry| &entry.job);
            let is_free = !jobs().any(|job| blocked.contains(job));
            blocked.extend(jobs());
            is_free
        });
        waiting
    }

    /// Returns when the next attempt is due, if none is under way.
    pub(super) fn next_delivery(&self) -> Option<Instant> {
        let now = self.engine.clock.now();
        let channels = self.waiting_channels().into_iter();
        let moments = channels.filter_map(|name| {
            let channel = self.channels.get(&name);
            if channel.is_some_and(|channel| channel.is_busy) {
                return None;
            }
            let waits = self.unblocked(&name).into_iter().map(|(_, pending)| wait_of(pending, now));
            let due = Instant::now() + waits.min()?;
            Some(channel.map_or(due, |channel| due.max(channel.allowed_at())))
        });
        moments.min()
    }

    /// Records the result of an attempt.
    pub(super) fn record_delivery(&mut self, delivered: Delivered) {
        let Delivered { shard, channel, id, result } = delivered;
        let (now, engine) = (self.engine.clock.now(), Arc::clone(&self.engine));
        let counters = &engine.process.counters;
        let state = self.channels.entry(channel.clone()).or_insert_with(Channel::new);
        state.is_busy = false;
        let was_failing = std::mem::replace(&mut state.is_failing, result.is_err());
        let Some(kept) = self.outboxes.get_mut(&shard) else { return };
        kept.is_changed = true;
        let outbox = &mut kept.outbox;
        match result {
            Ok(()) => {
                Counters::add(&counters.notifications_delivered, 1);
                outbox.remove(&channel, &id);
                if was_failing {
                    tracing::info!(channel, "a channel of notifications works again");
                }
            }
            Err(DeliveryError::Refused { reason }) => {
                if let Some(pending) = outbox.remove(&channel, &id) {
                    give_up(&engine, outbox, pending, reason, now);
                }
            }
            Err(DeliveryError::Failed { reason, retry_after }) => {
                Counters::add(&counters.notifications_retried, 1);
                if was_failing {
                    tracing::debug!(
                        channel,
                        id,
                        error = reason,
                        "a notification was not delivered; retrying"
                    );
                } else {
                    tracing::warn!(
                        channel,
                        id,
                        error = reason,
                        "a notification was not delivered; retrying for a day"
                    );
                }
                let is_it = |one: &&mut PendingDelivery| one.channel == channel && one.notification.id == id;
                let Some(pending) = outbox.pending.iter_mut().find(is_it) else { return };
                record_failure(pending, reason, retry_after, now);
                if pending.is_expired(now)
                    && let Some(pending) = outbox.remove(&channel, &id)
                {
                    let error = pending.error.clone().unwrap_or_default();
                    let reason = format!("not delivered within {} h: {error}", MAX_AGE.as_hours());
                    give_up(&engine, outbox, pending, reason, now);
                }
            }
        }
    }
}

/// Records that a delivery is not tried again.
fn give_up(
    engine: &EngineInner,
    outbox: &mut Outbox,
    pending: PendingDelivery,
    error: String,
    now: Timestamp,
) {
    Counters::add(&engine.process.counters.notifications_failed, 1);
    let FailedDelivery { channel, summary, error, attempts, .. } = outbox.give_up(pending, error, now);
    tracing::warn!(channel, attempts, error, "a notification is given up: {summary}");
}

/// Returns the time until the next attempt. The clock may have been ahead when its moment was set: then there is none.
fn wait_of(pending: &PendingDelivery, now: Timestamp) -> Duration {
    let wait = Duration::try_from(pending.next_attempt.duration_since(now)).unwrap_or_default();
    if wait > MAX_RETRY_AFTER { Duration::ZERO } else { wait }
}

fn record_failure(
    pending: &mut PendingDelivery,
    reason: String,
    retry_after: Option<Duration>,
    now: Timestamp,
) {
    pending.attempts = pending.attempts.saturating_add(1);
    let random = stable(&[pending.notification.id.as_bytes(), &pending.attempts.to_be_bytes()]);
    let backoff = BACKOFF.jittered_delay_after(pending.attempts, random);
    let wait = backoff.max(retry_after.unwrap_or_default().min(MAX_RETRY_AFTER));
    pending.next_attempt = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
    let mut error = reason;
    crate::text::make_line(&mut error);
    pending.error = Some(error.chars().take(MAX_ERROR).collect());
}

/// The maximum length of a recorded error, in characters.
const MAX_ERROR: usize = 512;
