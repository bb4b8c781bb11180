//! Waiting before something is tried again: longer each time, and not for ever.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

/// The first wait.
const FIRST: Duration = Duration::from_millis(10);
/// The longest wait.
const LONGEST: Duration = Duration::from_millis(800);

/// How long one operation goes on trying.
#[derive(Debug)]
pub(crate) struct Patience {
    until: Instant,
    next: Duration,
}

impl Patience {
    /// Patience for writes: 10 s. Only then is it reported that the outcome is not known.
    pub(crate) fn for_writes() -> Self {
        Self::of(Duration::from_secs(10))
    }

    /// Patience for reads, which whoever asked can repeat at no risk: 3 s.
    pub(crate) fn for_reads() -> Self {
        Self::of(Duration::from_secs(3))
    }

    /// Patience that ends after so long.
    pub(crate) fn of(time: Duration) -> Self {
        Self { until: Instant::now() + time, next: FIRST }
    }

    /// Waits before the next attempt, for half of the step at least; tells whether there is to be one.
    pub(crate) async fn wait(&mut self) -> bool {
        let step = self.next;
        if Instant::now() + step > self.until {
            return false;
        }
        self.next = (step * 2).min(LONGEST);
        let chance = f64::from(Uuid::new_v4().as_bytes()[0]) / 255.0;
        tokio::time::sleep(step.mul_f64(0.5 + chance / 2.0)).await;
        true
    }
}
