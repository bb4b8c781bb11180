//! Follows the firings of a backfill to their ends, and those of their retries.

use super::BackfillDriver;
use crate::backfill::Backfill;
use crate::engine::task_retry::find;

impl BackfillDriver {
    /// Counts the firings that have ended. The retry of failed tasks takes the place of the firing that it repeats.
    pub(super) async fn follow(&self, backfill: &mut Backfill) {
        let mut left = Vec::with_capacity(backfill.unfinished.len());
        for mut unfinished in std::mem::take(&mut backfill.unfinished) {
            if self.engine.in_flight.contains(&unfinished.firing) {
                left.push(unfinished);
                continue;
            }
            match find(&self.engine, &unfinished.firing).await {
                // It is looked for again.
                None => left.push(unfinished),
                Some(Some(firing)) if firing.state.is_open() => left.push(unfinished),
                Some(Some(firing)) if firing.retry.by.is_some() => {
                    unfinished.firing = firing.retry.by.unwrap_or(firing.id);
                    left.push(unfinished);
                }
                Some(ended) => backfill.count(unfinished, ended.as_ref()),
            }
        }
        backfill.unfinished = left;
    }
}
