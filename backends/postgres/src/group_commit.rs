//! Who writes while a transaction is under way shares the next one with all others that do.

use std::fmt;
use std::sync::Arc;

use ecs_scheduler_core::{FaultKind, StoreError, async_trait, fault};
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Writes what several callers want at once.
#[async_trait]
pub(crate) trait Clerk: fmt::Debug + Send + Sync + 'static {
    /// What one caller wants.
    type Order: fmt::Debug + Send + Sync + 'static;
    /// What one caller gets.
    type Answer: Send + 'static;

    /// Writes all of them, in their order; an answer to each.
    ///
    /// # Errors
    ///
    /// Fails when nothing was written, or when it cannot be told whether it was.
    async fn write(
        &self,
        orders: &[&Self::Order],
    ) -> Result<Vec<Result<Self::Answer, StoreError>>, StoreError>;

    /// How much of a transaction an order takes up, and how much there is in one.
    fn size(order: &Self::Order) -> (usize, usize);
}

/// What a caller waits for.
struct Waiting<C: Clerk> {
    order: C::Order,
    answer: oneshot::Sender<Result<C::Answer, StoreError>>,
}

/// Gathers what is to be written, and has it written one transaction after the other.
pub(crate) struct Desk<C: Clerk> {
    clerk: C,
    waiting: Mutex<Vec<Waiting<C>>>,
    turn: tokio::sync::Mutex<()>,
}

impl<C: Clerk> Desk<C> {
    pub(crate) fn new(clerk: C) -> Arc<Self> {
        Arc::new(Self { clerk, waiting: Mutex::new(Vec::new()), turn: tokio::sync::Mutex::default() })
    }

    /// Has an order written. What was begun is brought to its end also when the caller goes away.
    pub(crate) async fn call(self: &Arc<Self>, order: C::Order) -> Result<C::Answer, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.waiting.lock().push(Waiting { order, answer });
        let desk = Arc::clone(self);
        tokio::spawn(async move { desk.work().await });
        let gone = |error| StoreError::caused(FaultKind::Bug, "writing panicked or was ended", error);
        answered.await.map_err(gone)?
    }

    /// Waits until everything that waits by now is written.
    pub(crate) async fn rest(&self) {
        drop(self.turn.lock().await);
    }

    /// Takes a turn. There is one turn for each order, so none is left; an earlier one may have taken it along.
    async fn work(&self) {
        let _turn = self.turn.lock().await;
        let taken = self.take();
        if taken.is_empty() {
            return;
        }
        match self.write(&taken).await {
            Ok(answers) => hand_out(taken, answers),
            Err(error) if taken.len() > 1 && !error.is_transient() => self.one_by_one(taken).await,
            Err(error) => fail(taken, error),
        }
    }

    async fn write(&self, taken: &[Waiting<C>]) -> Result<Vec<Result<C::Answer, StoreError>>, StoreError> {
        let orders: Vec<&C::Order> = taken.iter().map(|waiting| &waiting.order).collect();
        self.clerk.write(&orders).await
    }

    /// Takes what waits, up to a full transaction.
    fn take(&self) -> Vec<Waiting<C>> {
        let mut waiting = self.waiting.lock();
        let mut sum = 0;
        let fits = waiting.iter().take_while(|waiting| {
            let (size, full) = C::size(&waiting.order);
            let fits = sum == 0 || sum + size <= full;
            sum += size;
            fits
        });
        let fits = fits.count();
        waiting.drain(..fits).collect()
    }

    /// One of them cannot be written; the others shall not suffer for it.
    async fn one_by_one(&self, taken: Vec<Waiting<C>>) {
        for waiting in taken {
            let alone = [waiting];
            let answer = self.write(&alone).await;
            match answer {
                Ok(answers) => hand_out(alone.into(), answers),
                Err(error) => fail(alone.into(), error),
            }
        }
    }
}

impl<C: Clerk> fmt::Debug for Desk<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("clerk", &self.clerk).finish_non_exhaustive()
    }
}

fn hand_out<C: Clerk>(taken: Vec<Waiting<C>>, answers: Vec<Result<C::Answer, StoreError>>) {
    for (waiting, answer) in taken.into_iter().zip(answers) {
        // Whoever waited may have gone away; what was written stays so.
        let _ = waiting.answer.send(answer);
    }
}

/// Tells each what happened to all.
fn fail<C: Clerk>(mut taken: Vec<Waiting<C>>, error: StoreError) {
    let last = taken.pop();
    for waiting in taken {
        let kind = match &error {
            StoreError::Fault { kind, .. } => *kind,
            StoreError::Exists(_)
            | StoreError::NotFound(_)
            | StoreError::Conflict(_)
            | StoreError::Fenced(_) => FaultKind::Bug,
        };
        let _ = waiting.answer.send(Err(StoreError::fault(kind, fault::chain(&error))));
    }
    if let Some(waiting) = last {
        let _ = waiting.answer.send(Err(error));
    }
}
