//! Comparing what the replicas' journal says with the schedules, and with what ECS really did.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::{Firing, FiringState, JobId, Store, Timestamp};
use ecs_scheduler_fake_aws::{Fake, Launch};

use super::faults::REPLACING;
use crate::crash::audit::audit_store;
use crate::crash::hand_firings::HandFirings;
use crate::crash::moving_edits::MovingEdits;

/// The totals of a run.
#[derive(Debug)]
pub(crate) struct Account {
    /// Each had one outcome.
    pub(crate) ticks: u64,
    /// Each started what it asked for, once, and knows it.
    firings: Vec<Firing>,
    /// When ECS started what a firing asked for.
    started: HashMap<String, Timestamp>,
}

impl Account {
    /// Checks that nothing was lost and nothing was done twice.
    pub(crate) async fn audit(
        store: Arc<dyn Store>,
        edits: &MovingEdits,
        by_hand: &HandFirings,
        fake: &Fake,
    ) -> Self {
        let (audit, firings) = audit_store(store, edits).await;
        by_hand.check(&firings);
        let started = compare(&firings, fake.launches());
        Self { ticks: audit.ticks, firings, started }
    }

    pub(crate) fn firings(&self) -> usize {
        self.firings.len()
    }

    /// Returns after how long ECS had started something for each of these jobs on account of a tick after that moment.
    pub(crate) fn served_after(&self, moment: Timestamp, jobs: &[JobId]) -> Duration {
        let mut first: HashMap<&JobId, Timestamp> = HashMap::new();
        for firing in self.firings.iter().filter(|firing| firing.nominal > moment) {
            let Some(&started) = self.started.get(firing.id.as_str()) else { continue };
            first.entry(&firing.job).and_modify(|first| *first = started.min(*first)).or_insert(started);
        }
        let last = jobs.iter().map(|job| first.get(job).unwrap_or_else(|| panic!("{job} fired no more")));
        let last = last.max().copied().unwrap_or(moment);
        last.duration_since(moment).try_into().expect("it was after that moment")
    }
}

/// Compares firings with launches, and returns when each was started. A replacement that a later one superseded was not.
pub(super) fn compare(firings: &[Firing], launches: Vec<Launch>) -> HashMap<String, Timestamp> {
    let mut real: HashMap<String, Vec<Launch>> = HashMap::new();
    for launch in launches {
        let tag =
            launch.tags.iter().find(|tag| tag.key == "ecss:firing").expect("each task has its firing's tag");
        real.entry(tag.value.clone()).or_default().push(launch);
    }
    // One whose call was not made before its scheduler fell was not sent either, but counts as refused.
    let is_superseded = |firing: &&Firing| {
        let note = firing.note.as_deref().unwrap_or_default();
        firing.job.as_str() == REPLACING
            && firing.tasks.is_empty()
            && note.starts_with("superseded by firing")
    };
    let started = firings.iter().filter(|firing| !is_superseded(firing)).map(|firing| {
        let started = real.remove(firing.id.as_str()).unwrap_or_default();
        assert_eq!(firing.state, FiringState::Finished, "{firing:#?}");
        assert_eq!((started.len(), firing.tasks.len()), (1, 1), "{firing:#?} started {started:#?}");
        assert_eq!(firing.tasks[0].task_id.as_str(), started[0].task_arn, "{firing:#?}");
        (firing.id.to_string(), started[0].created_at)
    });
    let started = started.collect();
    assert!(real.is_empty(), "started and in no journal: {real:#?}");
    started
}
