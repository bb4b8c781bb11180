//! Edits that move the ticks of a job, and the ticks of all its versions.

use std::collections::HashMap;
use std::sync::Arc;

use ecs_scheduler_core::job::EARLIER_SCHEDULES;
use ecs_scheduler_core::schedule::{Schedule, ScheduleSpec};
use ecs_scheduler_core::{
    Clock as _, DecisionRecord, JobId, Revision, Store, StoredJob, SystemClock, TickSpan, Timestamp,
};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::process::Scheduler;

/// The edits of a test that moved ticks: by job, the versions that were replaced, oldest first.
#[derive(Debug, Default)]
pub(crate) struct MovingEdits(Mutex<HashMap<JobId, Vec<ReplacedVersion>>>);

/// A version of a job that an edit replaced.
#[derive(Debug, Clone)]
struct ReplacedVersion {
    schedule: String,
    /// When the next version was written, and when the client knew it.
    changed: Timestamp,
    answered: Timestamp,
}

impl MovingEdits {
    /// Edits a job that began with the schedule `*`: in turn its schedule, its jitter, and both. `open` returns the store as it is
    /// now.
    pub(crate) async fn edit(
        &self,
        scheduler: &Scheduler,
        job: &str,
        open: impl AsyncFn() -> Arc<dyn Store>,
    ) {
        let id = JobId::new(job).unwrap();
        let stored = async || open().await.get(std::slice::from_ref(&id)).await.unwrap().remove(0);
        let before = stored().await;
        let change = match self.0.lock().get(&id).map_or(0, Vec::len) % 3 {
            0 => json!({"schedule": "*/2"}),
            1 => json!({"jitter": "1s"}),
            _ => json!({"schedule": "*", "jitter": null}),
        };
        scheduler.put(&format!("/jobs/{job}"), &change).await;
        let answered = SystemClock.now();
        let after = stored().await;
        assert_eq!(after.revision, Revision(before.revision.0 + 1), "{change} is one edit of {job}");
        let replaced = ReplacedVersion { schedule: schedule_of(&before), changed: after.changed, answered };
        self.0.lock().entry(id).or_default().push(replaced);
    }

    /// Adds the versions of a job that edits replaced to its document, as the store does while their ticks have no outcome.
    pub(crate) fn add_versions(
        &self,
        document: &mut Map<String, Value>,
        stored: &StoredJob,
        decisions: &[DecisionRecord],
    ) {
        let replaced = self.0.lock().get(&stored.id).cloned().unwrap_or_default();
        let own = decisions.iter().filter(|record| record.uid == stored.uid);
        let spans: Vec<TickSpan> =
            own.map(|record| record.draft.span).filter(|span| span.count > 0).collect();
        let next = replaced.iter().skip(1).map(|version| version.schedule.clone());
        let next: Vec<String> = next.chain([schedule_of(stored)]).collect();
        let mut from = stored.created;
        let mut versions = Vec::new();
        for (version, next) in replaced.iter().zip(&next) {
            let until = version.until(next, &spans);
            let (begin, end) = (from.to_string(), until.to_string());
            versions.push(json!({"from": begin, "until": end, "schedule": version.schedule}));
            from = until;
        }
        if !versions.is_empty() {
            document.insert(EARLIER_SCHEDULES.to_owned(), versions.into());
        }
    }
}

impl ReplacedVersion {
    /// Returns until when the ticks of this version count: until the next version was written, or until the newest tick that was
    /// settled by this version while the edit was on its way to the store.
    fn until(&self, next: &str, spans: &[TickSpan]) -> Timestamp {
        let between = |schedule: &str| -> Vec<Timestamp> {
            parse(schedule).upcoming(self.changed).take_while(|tick| *tick <= self.answered).collect()
        };
        let (own, next) = (between(&self.schedule), between(next));
        let is_recorded = |tick: &Timestamp| spans.iter().any(|span| (span.first..=span.last).contains(tick));
        let fits = |until: &Timestamp| {
            own.iter().chain(&next).all(|tick| {
                let ticks = if tick <= until { &own } else { &next };
                ticks.contains(tick) == is_recorded(tick)
            })
        };
        std::iter::once(self.changed).chain(own.iter().copied()).find(fits).unwrap_or(self.changed)
    }
}

fn schedule_of(stored: &StoredJob) -> String {
    let document: Value = serde_json::from_str(stored.document.get()).unwrap();
    document["schedule"].as_str().expect("the job has one schedule").to_owned()
}

fn parse(schedule: &str) -> Schedule {
    Schedule::parse(&ScheduleSpec::written(&[schedule.to_owned()])).unwrap()
}

#[test]
fn tick_that_was_settled_while_the_edit_was_under_way_belongs_to_the_version_that_settled_it() {
    let at = |millis: i64| Timestamp::from_millisecond(millis).unwrap();
    let tick = |second: i64| TickSpan { first: at(second * 1_000), last: at(second * 1_000), count: 1 };
    let until = |schedule: &str, next: &str, ticks: &[i64]| {
        let (changed, answered) = (at(2_900), at(4_100));
        let spans: Vec<TickSpan> = ticks.iter().copied().map(tick).collect();
        let version = ReplacedVersion { schedule: schedule.to_owned(), changed, answered };
        version.until(next, &spans).as_millisecond()
    };
    assert_eq!(until("*", "*/2", &[1, 2, 4, 6]), 2_900);
    assert_eq!(until("*", "*/2", &[1, 2, 3, 4, 6]), 3_000);
    assert_eq!(until("*/2", "*", &[2, 3, 4, 5]), 2_900);
    assert_eq!(until("*/2", "*", &[2, 4, 5]), 4_000);
}
