//! A short form of many ticks: runs of equal gaps.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Ticks in order, each a whole second. A register of 10,000 ticks without two equal gaps in a row has about 100 KB.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct TickList(Vec<TickRun>);

/// Ticks with equal gaps: the first one and the gap, in seconds, and their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct TickRun(i64, i64, u32);

impl TickList {
    pub(super) fn new(ticks: &[Timestamp]) -> Self {
        let mut runs: Vec<TickRun> = Vec::new();
        for tick in ticks.iter().map(|tick| tick.as_second()) {
            match runs.last_mut() {
                Some(TickRun(first, gap, count @ 1)) => (*gap, *count) = (tick - *first, 2),
                Some(TickRun(first, gap, count)) if *first + *gap * i64::from(*count) == tick => *count += 1,
                Some(_) | None => runs.push(TickRun(tick, 0, 1)),
            }
        }
        Self(runs)
    }

    pub(super) fn first(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.0.first()?.0).ok()
    }

    pub(super) fn len(&self) -> u32 {
        self.0.iter().map(|TickRun(.., count)| count).sum()
    }

    /// Removes the first tick.
    pub(super) fn pop(&mut self) -> Option<Timestamp> {
        let tick = self.first()?;
        let TickRun(first, gap, count) = self.0.first_mut()?;
        if *count <= 1 {
            self.0.remove(0);
        } else {
            (*first, *count) = (*first + *gap, *count - 1);
        }
        Some(tick)
    }
}
