//! Writes under one fence, taken together.
//!
//! Transactions that check the same register are in each other's way, so those of one process follow each other. Whatever
//! waits meanwhile goes with the next one: the busier an owner is, the more of its writes share a transaction.

use std::collections::{HashSet, VecDeque};

use ecs_scheduler_core::{Fence, StoreError};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use crate::codec::number;
use crate::db::{Committed, Db};
use crate::keys::Key;
use crate::limits::{ACTIONS, BYTES};
use crate::write::Write;

/// What somebody who waits is told.
type Answer = Result<Committed, StoreError>;

/// See the module.
#[derive(Debug)]
pub(crate) struct Queue {
    fence: Fence,
    /// Bounded by the callers, each of whom waits for one order.
    waiting: Mutex<VecDeque<Order>>,
    /// Whose turn it is to carry what waits.
    turn: tokio::sync::Mutex<()>,
}

/// Writes that count together or not at all.
#[derive(Debug)]
struct Order {
    writes: Vec<Write>,
    answer: oneshot::Sender<Answer>,
}

impl Queue {
    pub(crate) fn new(fence: Fence) -> Self {
        Self { fence, waiting: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    pub(crate) fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Says that the fence does not hold.
    pub(crate) fn fenced(&self) -> StoreError {
        StoreError::Fenced(format!("register \"{}\"", self.fence.register))
    }

    /// Writes all of it or nothing, together with what else waits.
    ///
    /// Cancel safe: an order whose caller is gone is passed over, and orders that a caller took along when he went are
    /// given again by those who wait for them.
    pub(crate) async fn commit(&self, db: &Db, writes: Vec<Write>) -> Answer {
        let mut answer = self.order(writes.clone());
        let _turn = self.turn.lock().await;
        loop {
            match answer.try_recv() {
                Ok(answer) => return answer,
                Err(TryRecvError::Closed) => answer = self.order(writes.clone()),
                Err(TryRecvError::Empty) => {
                    let orders = self.take();
                    self.carry(db, orders).await;
                }
            }
        }
    }

    fn order(&self, writes: Vec<Write>) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().push_back(Order { writes, answer: sender });
        receiver
    }

    /// Takes what fits into one transaction, in the order in which it came.
    fn take(&self) -> Vec<Order> {
        let mut waiting = self.waiting.lock();
        let mut orders: Vec<Order> = Vec::new();
        let mut keys: HashSet<Key> = HashSet::new();
        let (mut actions, mut bytes) = (1, 0);
        while let Some(order) = waiting.pop_front() {
            if order.answer.is_closed() {
                continue;
            }
            let weight: usize = order.writes.iter().map(Write::weight).sum();
            let fits = actions + order.writes.len() <= ACTIONS && bytes + weight <= BYTES;
            let apart = order.writes.iter().all(|write| !keys.contains(write.key()));
            let joins = orders.is_empty() || (fits && apart);
            if !joins {
                waiting.push_front(order);
                break;
            }
            actions += order.writes.len();
            bytes += weight;
            keys.extend(order.writes.iter().map(|write| write.key().clone()));
            orders.push(order);
        }
        orders
    }

    /// Writes these together, and answers those of which it is known what became; the others wait again.
    async fn carry(&self, db: &Db, orders: Vec<Order>) {
        let mut writes: Vec<Write> = orders.iter().flat_map(|order| order.writes.iter().cloned()).collect();
        let fence = writes.len();
        let check = Write::check(Key::register(&self.fence.register));
        writes.push(check.given("version", number(self.fence.version)));
        match db.commit("write the journal", writes).await {
            Ok(Committed::Done) => answer_all(orders, || Ok(Committed::Done)),
            Ok(Committed::Refused(places)) if places.contains(&fence) => {
                answer_all(orders, || Err(self.fenced()));
            }
            Ok(Committed::Refused(places)) => self.part(orders, &places),
            Err(error) if orders.len() == 1 => answer_all(orders, || Err(copy(&error))),
            Err(error) if error.is_transient() => answer_all(orders, || Err(copy(&error))),
            Err(_) => {
                // One of them cannot be written at all: each is tried alone, so that it harms no other.
                for order in orders {
                    Box::pin(self.carry(db, vec![order])).await;
                }
            }
        }
    }

    /// Tells those whose writes were refused, and puts the others back where they were.
    fn part(&self, orders: Vec<Order>, places: &[usize]) {
        let mut first = 0;
        let mut innocent = Vec::new();
        for order in orders {
            let own = first..first + order.writes.len();
            let refused: Vec<usize> =
                places.iter().filter(|place| own.contains(place)).map(|place| place - first).collect();
            first = own.end;
            if refused.is_empty() {
                innocent.push(order);
            } else {
                answer_all(vec![order], || Ok(Committed::Refused(refused.clone())));
            }
        }
        let mut waiting = self.waiting.lock();
        for order in innocent.into_iter().rev() {
            waiting.push_front(order);
        }
    }
}

fn answer_all(orders: Vec<Order>, answer: impl Fn() -> Answer) {
    for order in orders {
        // Nobody waits for it any more: what was written is written all the same.
        let _ = order.answer.send(answer());
    }
}

/// Tells several the same error; its cause is named, as it cannot be shared.
fn copy(error: &StoreError) -> StoreError {
    match error {
        StoreError::Fault { kind, message, cause } => match cause {
            Some(cause) => StoreError::caused(*kind, message.as_str(), cause.to_string()),
            None => StoreError::fault(*kind, message.as_str()),
        },
        StoreError::Exists(id) => StoreError::Exists(id.clone()),
        StoreError::NotFound(what) => StoreError::NotFound(what.clone()),
        StoreError::Conflict(what) => StoreError::Conflict(what.clone()),
        StoreError::Fenced(what) => StoreError::Fenced(what.clone()),
    }
}
