//! The origin of an evaluation.

use crate::engine::message::{BackfillOrder, ManualFiring, RetryOrder};
use crate::id::FiringId;

/// The origin of an evaluation.
#[derive(Debug, Clone)]
pub(in crate::engine) enum TriggerSource {
    /// A tick of the job.
    Tick,
    /// An order to fire now, which names the firing.
    Manual { id: FiringId, options: ManualFiring },
    /// An order to start failed tasks again.
    Retry(Box<RetryOrder>),
    /// An order to fire a past tick.
    Backfill(Box<BackfillOrder>),
    /// A dry run: launches nothing.
    DryRun,
}

impl TriggerSource {
    /// Tells whether it follows an order, and so stands for no tick.
    pub(super) const fn is_order(&self) -> bool {
        matches!(self, Self::Manual { .. } | Self::Retry(_) | Self::Backfill(_))
    }

    /// Tells whether the tasks belong to an earlier tick: they neither replace tasks nor count as the same ones, and no cooldown
    /// holds them back.
    pub(super) const fn is_of_the_past(&self) -> bool {
        matches!(self, Self::Retry(_) | Self::Backfill(_))
    }

    /// Tells whether it shows how a backfill would decide about a tick, whatever keeps it from starting tasks now.
    pub(super) const fn is_preview(&self) -> bool {
        matches!(self, Self::Backfill(order) if order.is_preview)
    }

    /// Tells whether an open breaker bounds it: not a firing by hand.
    pub(super) const fn is_bounded_by_breaker(&self) -> bool {
        !matches!(self, Self::Manual { .. }) && !self.is_preview()
    }
}
