//! Monitors how long each connection has waited for its client, and evicts connections.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::limits::ConnectionLimits;

#[cfg(test)]
mod tests;

/// The connections that are open.
#[derive(Debug)]
pub(super) struct ConnTable {
    limits: ConnectionLimits,
    inner: Mutex<Table>,
    /// Tells that a connection was closed.
    closed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    last: u64,
    monitors: HashMap<u64, Arc<ConnMonitor>>,
    /// Connections that still have a descriptor, also evicted ones.
    alive: usize,
    /// Evictions and refusals since the last sweep, so that a flood is one log line a second.
    evicted: u64,
    refused: u64,
}

impl ConnTable {
    pub(super) fn new(limits: ConnectionLimits) -> Self {
        Self { limits, inner: Mutex::default(), closed: Notify::new() }
    }

    /// Registers a connection. At the maximum, the connection that has waited longest for its client is evicted; if none
    /// waits, the new one is refused.
    pub(super) fn register(self: &Arc<Self>) -> Option<ConnHandle> {
        let mut table = self.inner.lock();
        if table.monitors.len() >= self.limits.connections {
            let waiting =
                table.monitors.iter().filter_map(|(id, monitor)| Some((monitor.waiting_since()?.0, *id)));
            let Some((_, id)) = waiting.min() else {
                table.refused += 1;
                return None;
            };
            table.evicted += 1;
            if let Some(monitor) = table.monitors.remove(&id) {
                monitor.close.cancel();
            }
        }
        table.last += 1;
        table.alive += 1;
        let (id, monitor) = (table.last, Arc::new(ConnMonitor::new(self.limits)));
        table.monitors.insert(id, Arc::clone(&monitor));
        drop(table);
        Some(ConnHandle { id, monitor, table: Arc::clone(self) })
    }

    /// Waits until the evicted connections are closed, so that no more descriptors are in use than connections are allowed.
    pub(super) async fn wait_for_evicted(&self) {
        while self.inner.lock().alive > self.limits.connections {
            self.closed.notified().await;
        }
    }

    /// Closes the connections whose clients exceeded a time-out.
    pub(super) fn close_overdue(&self) {
        let mut table = self.inner.lock();
        let now = Instant::now();
        for monitor in table.monitors.values() {
            let waited = monitor
                .waiting_since()
                .is_some_and(|(since, what)| now.duration_since(since) >= self.limit(what));
            if waited || monitor.is_slow_reader(now) {
                monitor.close.cancel();
            }
        }
        let (evicted, refused) = (std::mem::take(&mut table.evicted), std::mem::take(&mut table.refused));
        drop(table);
        if evicted + refused > 0 {
            let most = self.limits.connections;
            tracing::warn!(
                evicted,
                refused,
                most,
                "too many connections: closing those that wait longest for their client, and refusing new ones if \
                 none waits"
            );
        }
    }

    fn limit(&self, what: ClientWait) -> Duration {
        match what {
            ClientWait::Head => self.limits.head,
            ClientWait::Body | ClientWait::Response => self.limits.stalled,
            ClientWait::Idle => self.limits.idle,
        }
    }
}

/// The registration of an open connection; dropping it unregisters the connection.
#[derive(Debug)]
pub(super) struct ConnHandle {
    id: u64,
    monitor: Arc<ConnMonitor>,
    table: Arc<ConnTable>,
}

impl ConnHandle {
    pub(super) fn monitor(&self) -> &Arc<ConnMonitor> {
        &self.monitor
    }
}

impl Drop for ConnHandle {
    fn drop(&mut self) {
        let mut table = self.table.inner.lock();
        table.monitors.remove(&self.id);
        table.alive -= 1;
        drop(table);
        self.table.closed.notify_one();
    }
}

/// The step of its client that a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientWait {
    /// To send the rest of a head.
    Head,
    /// To send more of a body.
    Body,
    /// To take more of an answer.
    Response,
    /// To ask for something.
    Idle,
}

/// The step that a connection waits for, and since when.
#[derive(Debug)]
pub(super) struct ConnMonitor {
    limits: ConnectionLimits,
    state: Mutex<State>,
    close: CancellationToken,
}

#[derive(Debug)]
struct State {
    /// The awaited step of the client; none while a handler is at work.
    reading: Option<(Instant, ClientWait)>,
    /// Since when the client has taken nothing of what was written.
    unread: Option<Instant>,
    /// When the client must have taken the newest answer as a whole.
    response_deadline: Option<Instant>,
}

impl ConnMonitor {
    fn new(limits: ConnectionLimits) -> Self {
        let reading = Some((Instant::now(), ClientWait::Head));
        let state = Mutex::new(State { reading, unread: None, response_deadline: None });
        Self { limits, state, close: CancellationToken::new() }
    }

    /// Returns since when the connection has waited for its client, and for what.
    fn waiting_since(&self) -> Option<(Instant, ClientWait)> {
        let state = self.state.lock();
        state.unread.map(|since| (since, ClientWait::Response)).or(state.reading)
    }

    /// Tells whether the client takes its answer more slowly than it may. The end of an answer waits for the client after the
    /// answer itself was written.
    fn is_slow_reader(&self, now: Instant) -> bool {
        let state = self.state.lock();
        let is_sending = state.reading.is_none() || state.unread.is_some();
        is_sending && state.response_deadline.is_some_and(|until| now >= until)
    }

    /// Waits until the connection has to be closed.
    pub(super) async fn closed(&self) {
        self.close.cancelled().await;
    }

    /// Notes that bytes came.
    pub(super) fn on_received(&self) {
        let mut state = self.state.lock();
        if let Some((_, ClientWait::Idle)) = state.reading {
            state.reading = Some((Instant::now(), ClientWait::Head));
        }
    }

    /// Notes that a request came.
    pub(super) fn on_request(&self) {
        let mut state = self.state.lock();
        state.reading = None;
        state.response_deadline = None;
    }

    /// Notes that an answer of this many bytes begins.
    pub(super) fn on_response_start(&self, length: u64) {
        self.state.lock().response_deadline = Instant::now().checked_add(self.limits.response_time(length));
    }

    /// Notes that a request is being answered, or goes on to be after more of its body came.
    pub(super) fn on_processing(&self) {
        self.state.lock().reading = None;
    }

    /// Notes that more of a body is awaited.
    pub(super) fn on_body_wait(&self) {
        self.state.lock().reading.get_or_insert_with(|| (Instant::now(), ClientWait::Body));
    }

    /// Notes that an answer was written.
    pub(super) fn on_response_end(&self) {
        self.state.lock().reading = Some((Instant::now(), ClientWait::Idle));
    }

    /// Notes whether the client took what was written.
    pub(super) fn on_write(&self, taken: bool) {
        let mut state = self.state.lock();
        if taken {
            state.unread = None;
        } else {
            state.unread.get_or_insert_with(Instant::now);
        }
    }
}
