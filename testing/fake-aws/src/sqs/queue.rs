//! One queue: its messages and their phases.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::fifo;
use crate::clock::later;

/// Time for which past counts can be computed.
pub(crate) const COUNT_HISTORY: SignedDuration = SignedDuration::from_mins(10);

/// Number of sent messages between two evictions of deleted ones.
const EVICTION_INTERVAL: u64 = 256;

/// The phase of a message at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Sent with a delay that has not passed.
    Delayed,
    /// Visible to receivers.
    Visible,
    /// Received and not yet deleted.
    InFlight,
    /// Deleted, purged or too old.
    Gone,
}

/// A message to send.
#[derive(Debug, Clone)]
pub(crate) struct NewMessage {
    pub(crate) body: String,
    /// `MessageAttributes`.
    pub(crate) attributes: Value,
    /// In a FIFO queue.
    pub(crate) ordered: Option<FifoPosition>,
}

impl NewMessage {
    /// Makes a message of a body alone.
    pub(crate) fn from_body(body: &str) -> Self {
        Self { body: body.to_owned(), attributes: Value::Null, ordered: None }
    }
}

/// The position of a message in a FIFO queue.
#[derive(Debug, Clone)]
pub(crate) struct FifoPosition {
    pub(crate) group: String,
    /// The deduplication id, within a group or in the whole queue: no two messages within five minutes have the same.
    pub(crate) key: (Option<String>, String),
}

/// A message and its past and planned phases, oldest first.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) sent: NewMessage,
    pub(crate) sent_at: Timestamp,
    pub(crate) first_received_at: Option<Timestamp>,
    pub(crate) receives: u32,
    phases: Vec<(Timestamp, Phase)>,
}

impl Message {
    fn phase(&self, at: Timestamp) -> Phase {
        let reached = self.phases.iter().rev().find(|(since, _)| *since <= at);
        reached.map_or(Phase::Gone, |(_, phase)| *phase)
    }

    /// Drops the phases planned after `now`, and plans these instead.
    fn schedule_phases(&mut self, now: Timestamp, phases: impl IntoIterator<Item = (Timestamp, Phase)>) {
        self.phases.retain(|(since, _)| *since <= now);
        self.phases.extend(phases);
    }

    /// Drops phases that ended before `at`.
    fn trim(&mut self, at: Timestamp) {
        let over = self.phases.iter().rposition(|(since, _)| *since <= at).unwrap_or(0);
        self.phases.drain(..over);
    }
}

/// Number of messages in each phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) visible: usize,
    pub(crate) in_flight: usize,
    pub(crate) delayed: usize,
}

/// A queue's messages, by number in the order of their sending.
#[derive(Debug, Clone, Default)]
pub(crate) struct Messages {
    all: BTreeMap<u64, Message>,
    counter: u64,
}

impl Messages {
    /// Adds a message, which expires after `retention`, unless it duplicates one of a FIFO queue. Returns the stored
    /// message with its number.
    pub(crate) fn send(
        &mut self,
        sent: NewMessage,
        now: Timestamp,
        delay: SignedDuration,
        retention: SignedDuration,
    ) -> (u64, &Message) {
        if let Some(number) = sent.ordered.as_ref().and_then(|ordered| self.repeated(ordered, now)) {
            return (number, &self.all[&number]);
        }
        let mut phases = Vec::new();
        if delay.is_positive() {
            phases.push((now, Phase::Delayed));
        }
        phases.push((later(now, delay), Phase::Visible));
        phases.push((later(now, retention), Phase::Gone));
        let id = uuid::Uuid::new_v4().to_string();
        self.counter += 1;
        if self.counter.is_multiple_of(EVICTION_INTERVAL) {
            self.evict_old(now);
        }
        let message = Message { id, sent, sent_at: now, first_received_at: None, receives: 0, phases };
        (self.counter, self.all.entry(self.counter).or_insert(message))
    }

    /// Finds the message that this one duplicates. Messages are stored for longer than the window.
    fn repeated(&self, ordered: &FifoPosition, now: Timestamp) -> Option<u64> {
        let mut newest =
            self.all.iter().rev().take_while(|(_, message)| fifo::is_duplicate_window(message.sent_at, now));
        let same =
            |message: &Message| message.sent.ordered.as_ref().is_some_and(|one| one.key == ordered.key);
        newest.find(|(_, message)| same(message)).map(|(number, _)| *number)
    }

    /// Receives up to `most` visible messages and hides them for `timeout`. A message group with a message in flight
    /// gives out no other.
    pub(crate) fn receive(
        &mut self,
        most: usize,
        now: Timestamp,
        timeout: SignedDuration,
        retention: SignedDuration,
    ) -> Vec<(u64, &Message)> {
        let in_flight = self.all.values().filter(|message| message.is_in_flight(now));
        let busy: BTreeSet<String> =
            in_flight.filter_map(|message| Some(message.sent.ordered.as_ref()?.group.clone())).collect();
        let mut taken = Vec::new();
        for (number, message) in &mut self.all {
            if taken.len() == most {
                break;
            }
            let is_held = message.sent.ordered.as_ref().is_some_and(|one| busy.contains(&one.group));
            if is_held || message.phase(now) != Phase::Visible {
                continue;
            }
            message.receives += 1;
            message.first_received_at.get_or_insert(now);
            message.hide(now, timeout, retention);
            taken.push((*number, &*message));
        }
        taken
    }

    /// Finds a message by its number.
    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut Message> {
        self.all.get_mut(&number)
    }

    /// Deletes everything.
    pub(crate) fn purge(&mut self, now: Timestamp) {
        for message in self.all.values_mut() {
            message.delete(now);
        }
    }

    /// Counts the messages as they were at a moment.
    pub(crate) fn counts(&self, at: Timestamp) -> Counts {
        let mut counts = Counts::default();
        for message in self.all.values() {
            match message.phase(at) {
                Phase::Visible => counts.visible += 1,
                Phase::InFlight => counts.in_flight += 1,
                Phase::Delayed => counts.delayed += 1,
                Phase::Gone => {}
            }
        }
        counts
    }

    /// Returns the time when a message that is not visible now becomes visible.
    pub(crate) fn next_visible(&self, now: Timestamp) -> Option<Timestamp> {
        let phases = self.all.values().flat_map(|message| &message.phases);
        phases.filter(|(at, phase)| *at > now && *phase == Phase::Visible).map(|(at, _)| *at).min()
    }

    /// Drops messages that no count can include any more.
    fn evict_old(&mut self, now: Timestamp) {
        let horizon = later(now, -COUNT_HISTORY);
        self.all.retain(|_, message| {
            message.trim(horizon);
            message.phases.first().is_some_and(|(since, phase)| *phase != Phase::Gone || *since > horizon)
        });
    }
}

impl Message {
    /// Hides the message from now on for a while; with zero time it is visible at once.
    pub(crate) fn hide(&mut self, now: Timestamp, timeout: SignedDuration, retention: SignedDuration) {
        let mut plan =
            vec![(later(now, timeout), Phase::Visible), (later(self.sent_at, retention), Phase::Gone)];
        if timeout.is_positive() {
            plan.insert(0, (now, Phase::InFlight));
        }
        plan.sort_by_key(|(at, _)| *at);
        self.schedule_phases(now, plan);
    }

    pub(crate) fn is_in_flight(&self, now: Timestamp) -> bool {
        self.phase(now) == Phase::InFlight
    }

    /// Tells whether it can be received again.
    pub(crate) fn is_back(&self, now: Timestamp) -> bool {
        self.phase(now) == Phase::Visible
    }

    pub(crate) fn delete(&mut self, now: Timestamp) {
        if self.phase(now) != Phase::Gone {
            self.schedule_phases(now, [(now, Phase::Gone)]);
        }
    }
}
