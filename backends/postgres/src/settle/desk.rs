//! Who settles while a transaction is under way shares the next one with all others that do.

use std::sync::Arc;

use ecs_scheduler_core::{FaultKind, Settled, StoreError, fault};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::Batch;
use crate::line::Lines;

/// At how many settlements a transaction is full: a few MiB.
const FULL: usize = 4_000;

/// What a caller waits for.
#[derive(Debug)]
struct Order {
    batch: Batch,
    answer: oneshot::Sender<Result<Vec<Settled>, StoreError>>,
}

/// Gathers what is to be settled, and settles it one transaction after the other.
#[derive(Debug)]
pub(crate) struct Desk {
    lines: Lines,
    waiting: Mutex<Vec<Order>>,
    turn: tokio::sync::Mutex<()>,
}

impl Desk {
    pub(crate) fn new(lines: Lines) -> Self {
        Self { lines, waiting: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    /// Settles a batch. What was begun is brought to its end also when the caller goes away.
    pub(crate) async fn settle(self: &Arc<Self>, batch: Batch) -> Result<Vec<Settled>, StoreError> {
        let (answer, settled) = oneshot::channel();
        self.waiting.lock().push(Order { batch, answer });
        let desk = Arc::clone(self);
        tokio::spawn(async move { desk.work().await });
        let gone = |error| StoreError::caused(FaultKind::Bug, "settling panicked or was ended", error);
        settled.await.map_err(gone)?
    }

    /// Takes a turn. There is one turn for each order, so none is left; an earlier one may have taken it along.
    async fn work(&self) {
        let _turn = self.turn.lock().await;
        let orders = self.take();
        if orders.is_empty() {
            return;
        }
        let batches: Vec<&Batch> = orders.iter().map(|order| &order.batch).collect();
        match self.lines.record(&batches).await {
            Ok(settled) => hand_out(orders, settled),
            Err(error) if orders.len() > 1 && !error.is_transient() => self.one_by_one(orders).await,
            Err(error) => fail(orders, error),
        }
    }

    /// Takes what waits, up to a full transaction.
    fn take(&self) -> Vec<Order> {
        let mut waiting = self.waiting.lock();
        let mut sum = 0;
        let fits = waiting.iter().take_while(|order| {
            let fits = sum == 0 || sum + order.batch.entries.len() <= FULL;
            sum += order.batch.entries.len();
            fits
        });
        let fits = fits.count();
        waiting.drain(..fits).collect()
    }

    /// Waits until everything that waits by now is settled.
    pub(crate) async fn rest(&self) {
        drop(self.turn.lock().await);
    }

    /// One of them cannot be written; the others shall not suffer for it.
    async fn one_by_one(&self, orders: Vec<Order>) {
        for order in orders {
            match self.lines.record(&[&order.batch]).await {
                Ok(settled) => hand_out(vec![order], settled),
                Err(error) => give(order.answer, Err(error)),
            }
        }
    }
}

fn hand_out(orders: Vec<Order>, settled: Vec<Option<Vec<Settled>>>) {
    for (order, settled) in orders.into_iter().zip(settled) {
        let register = order.batch.fence.map(|fence| fence.register).unwrap_or_default();
        give(order.answer, settled.ok_or(StoreError::Fenced(register)));
    }
}

/// Tells each what happened to all.
fn fail(mut orders: Vec<Order>, error: StoreError) {
    let last = orders.pop();
    for order in orders {
        let kind = match &error {
            StoreError::Fault { kind, .. } => *kind,
            StoreError::Exists(_)
            | StoreError::NotFound(_)
            | StoreError::Conflict(_)
            | StoreError::Fenced(_) => FaultKind::Bug,
        };
        give(order.answer, Err(StoreError::fault(kind, fault::chain(&error))));
    }
    if let Some(order) = last {
        give(order.answer, Err(error));
    }
}

fn give(
    answer: oneshot::Sender<Result<Vec<Settled>, StoreError>>,
    settled: Result<Vec<Settled>, StoreError>,
) {
    // Whoever waited may have gone away; what was settled stays so.
    let _ = answer.send(settled);
}
