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

/// The open connections.
#[derive(Debug)]
pub(super) struct ConnTable {
    limits: ConnectionLimits,
    inner: Mutex<Table>,
    /// Signals that a connection was closed.
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

    /// Registers a connection. At the maximum, the connection that has waited longest for its client is evicted; if
    /// none waits, the new one is refused.
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

    /// Waits until the evicted connections are closed, so that the descriptors in use stay within the maximum of
    /// connections.
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

/// The action of the client that a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientWait {
    /// The client must send the rest of a head.
    Head,
    /// The client must send more of a body.
    Body,
    /// The client must receive more of an answer.
    Response,
    /// The client may send the next request.
    Idle,
}

/// The awaited action of the client, and the start of the wait.
#[derive(Debug)]
pub(super) struct ConnMonitor {
    limits: ConnectionLimits,
    state: Mutex<State>,
    close: CancellationToken,
}

#[derive(Debug)]
struct State {
    /// The awaited action of the client; none while a handler runs.
    reading: Option<(Instant, ClientWait)>,
    /// The time since which the client has received nothing of the written bytes.
    unread: Option<Instant>,
    /// The deadline by which the client must have received the newest answer.
    response_deadline: Option<Instant>,
}

impl ConnMonitor {
    fn new(limits: ConnectionLimits) -> Self {
        let reading = Some((Instant::now(), ClientWait::Head));
        let state = Mutex::new(State { reading, unread: None, response_deadline: None });
        Self { limits, state, close: CancellationToken::new() }
    }

    /// Returns the awaited action of the client, and the start of the wait.
    fn waiting_since(&self) -> Option<(Instant, ClientWait)> {
        let state = self.state.lock();
        state.unread.map(|since| (since, ClientWait::Response)).or(state.reading)
    }

    /// Tells whether the client receives its answer too slowly. The end of an answer waits for the client after the
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

    /// Records that bytes arrived.
    pub(super) fn on_received(&self) {
        let mut state = self.state.lock();
        if let Some((_, ClientWait::Idle)) = state.reading {
            state.reading = Some((Instant::now(), ClientWait::Head));
        }
    }

    /// Records that a request arrived.
    pub(super) fn on_request(&self) {
        let mut state = self.state.lock();
        state.reading = None;
        state.response_deadline = None;
    }

    /// Records the start of an answer of this many bytes.
    pub(super) fn on_response_start(&self, length: u64) {
        self.state.lock().response_deadline = Instant::now().checked_add(self.limits.response_time(length));
    }

    /// Records that the handler runs, or continues after more of the body arrived.
    pub(super) fn on_processing(&self) {
        self.state.lock().reading = None;
    }

    /// Records that the server waits for more of a body.
    pub(super) fn on_body_wait(&self) {
        self.state.lock().reading.get_or_insert_with(|| (Instant::now(), ClientWait::Body));
    }

    /// Records that an answer was written.
    pub(super) fn on_response_end(&self) {
        self.state.lock().reading = Some((Instant::now(), ClientWait::Idle));
    }

    /// Records whether the client has received the written bytes.
    pub(super) fn on_write(&self, taken: bool) {
        let mut state = self.state.lock();
        if taken {
            state.unread = None;
        } else {
            state.unread.get_or_insert_with(Instant::now);
        }
    }
}
