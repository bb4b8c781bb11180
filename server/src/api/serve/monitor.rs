//! How long each connection has waited for its client, and which one has to go.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ConnectionLimits;

#[cfg(test)]
mod tests;

/// The connections that are open.
#[derive(Debug)]
pub(super) struct Open {
    limits: ConnectionLimits,
    table: Mutex<Table>,
    /// Tells that a connection was closed.
    closed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    last: u64,
    watches: HashMap<u64, Arc<Watch>>,
    /// Connections that still have a descriptor, also those that have to go.
    alive: usize,
    /// Whether a connection had to go since the last sweep, so that a flood is one line a second in the log.
    crowded: u64,
}

impl Open {
    pub(super) fn new(limits: ConnectionLimits) -> Self {
        Self { limits, table: Mutex::default(), closed: Notify::new() }
    }

    /// Takes a connection in. When there are as many as there may be, the one that has waited longest for its client is
    /// closed; when none waits, the new one is not taken in.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Entry> {
        let mut table = self.table.lock();
        if table.watches.len() >= self.limits.connections {
            table.crowded += 1;
            let waiting = table.watches.iter().filter_map(|(id, watch)| Some((watch.waits()?.0, *id)));
            let (_, id) = waiting.min()?;
            if let Some(watch) = table.watches.remove(&id) {
                watch.close.cancel();
            }
        }
        table.last += 1;
        table.alive += 1;
        let (id, watch) = (table.last, Arc::new(Watch::new(self.limits)));
        table.watches.insert(id, Arc::clone(&watch));
        drop(table);
        Some(Entry { id, watch, open: Arc::clone(self) })
    }

    /// Waits until the connections that had to go are closed, so that no more descriptors are in use than connections are allowed.
    pub(super) async fn evicted_are_closed(&self) {
        while self.table.lock().alive > self.limits.connections {
            self.closed.notified().await;
        }
    }

    /// Closes the connections that have waited longer for their clients than they may.
    pub(super) fn close_overdue(&self) {
        let mut table = self.table.lock();
        let now = Instant::now();
        for watch in table.watches.values() {
            let waited =
                watch.waits().is_some_and(|(since, what)| now.duration_since(since) >= self.limit(what));
            if waited || watch.is_slow_reader(now) {
                watch.close.cancel();
            }
        }
        let crowded = std::mem::take(&mut table.crowded);
        drop(table);
        if crowded > 0 {
            let most = self.limits.connections;
            tracing::warn!(
                crowded,
                most,
                "too many connections: those that wait longest for their clients are closed"
            );
        }
    }

    fn limit(&self, what: Wait) -> Duration {
        match what {
            Wait::Head => self.limits.head,
            Wait::Body | Wait::Answer => self.limits.stalled,
            Wait::Idle => self.limits.idle,
        }
    }
}

/// A connection's place among those that are open.
#[derive(Debug)]
pub(super) struct Entry {
    id: u64,
    watch: Arc<Watch>,
    open: Arc<Open>,
}

impl Entry {
    pub(super) fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut table = self.open.table.lock();
        table.watches.remove(&self.id);
        table.alive -= 1;
        drop(table);
        self.open.closed.notify_one();
    }
}

/// The step of its client that a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// To send the rest of a head.
    Head,
    /// To send more of a body.
    Body,
    /// To take more of an answer.
    Answer,
    /// To ask for something.
    Idle,
}

/// The step that a connection waits for, and since when.
#[derive(Debug)]
pub(super) struct Watch {
    limits: ConnectionLimits,
    state: Mutex<State>,
    close: CancellationToken,
}

#[derive(Debug)]
struct State {
    /// The awaited step of the client; none while a handler is at work.
    reading: Option<(Instant, Wait)>,
    /// Since when the client has taken nothing of what was written.
    unread: Option<Instant>,
    /// When the client must have taken the newest answer as a whole.
    answer_until: Option<Instant>,
}

impl Watch {
    fn new(limits: ConnectionLimits) -> Self {
        let reading = Some((Instant::now(), Wait::Head));
        let state = Mutex::new(State { reading, unread: None, answer_until: None });
        Self { limits, state, close: CancellationToken::new() }
    }

    /// Returns since when the connection has waited for its client, and for what.
    fn waits(&self) -> Option<(Instant, Wait)> {
        let state = self.state.lock();
        state.unread.map(|since| (since, Wait::Answer)).or(state.reading)
    }

    /// Tells whether the client takes its answer more slowly than it may. The end of an answer waits for the client after the
    /// answer itself was written.
    fn is_slow_reader(&self, now: Instant) -> bool {
        let state = self.state.lock();
        let is_sending = state.reading.is_none() || state.unread.is_some();
        is_sending && state.answer_until.is_some_and(|until| now >= until)
    }

    /// Waits until the connection has to be closed.
    pub(super) async fn closed(&self) {
        self.close.cancelled().await;
    }

    /// Notes that bytes came.
    pub(super) fn received(&self) {
        let mut state = self.state.lock();
        if let Some((_, Wait::Idle)) = state.reading {
            state.reading = Some((Instant::now(), Wait::Head));
        }
    }

    /// Notes that a request came.
    pub(super) fn asked(&self) {
        let mut state = self.state.lock();
        state.reading = None;
        state.answer_until = None;
    }

    /// Notes that an answer of this many bytes begins.
    pub(super) fn answers(&self, length: u64) {
        self.state.lock().answer_until = Instant::now().checked_add(self.limits.answer_time(length));
    }

    /// Notes that a request is being answered, or goes on to be after more of its body came.
    pub(super) fn working(&self) {
        self.state.lock().reading = None;
    }

    /// Notes that more of a body is awaited.
    pub(super) fn awaits_body(&self) {
        self.state.lock().reading.get_or_insert_with(|| (Instant::now(), Wait::Body));
    }

    /// Notes that an answer was written.
    pub(super) fn answered(&self) {
        self.state.lock().reading = Some((Instant::now(), Wait::Idle));
    }

    /// Notes whether the client took what was written.
    pub(super) fn wrote(&self, taken: bool) {
        let mut state = self.state.lock();
        if taken {
            state.unread = None;
        } else {
            state.unread.get_or_insert_with(Instant::now);
        }
    }
}
