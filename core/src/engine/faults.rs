//! Sources, counts and launches that fail: which jobs they keep from working, and since when.
//!
//! Many jobs may read one source. The log has a line when a source begins to fail for the first of them and one when it
//! can be read for the last of them again.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde::Serialize;

use crate::decide::Outcome;
use crate::job::{JobId, JobUid};

/// A job whose newest ticks fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failing {
    /// How its newest tick ended: [`Outcome::SourceError`], [`Outcome::LiveUnknown`], [`Outcome::LaunchFailed`] or
    /// [`Outcome::Unknown`].
    pub outcome: Outcome,
    /// Why.
    pub reason: String,
    /// When the first tick in a row ended like this.
    pub since: Timestamp,
    /// How many ticks in a row did, as far as this process has seen or read of the journal.
    pub ticks: u64,
}

/// Ticks of a job that failed, one or several in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailedTicks {
    pub(crate) failing: Failing,
    /// Up to when they count as a fault of the launcher, where no later tick of the job can show that it works again.
    pub(crate) counts_until: Option<Timestamp>,
}

/// For how long a refused launch counts as a fault of the launcher when the job has no further ticks.
const LAST_TICK_COUNTS_FOR: SignedDuration = SignedDuration::from_hours(1);

impl FailedTicks {
    /// Makes them of the newest such tick, which was decided at this moment. `is_last`: the job has no later tick.
    pub(crate) fn new(failing: Failing, at: Timestamp, is_last: bool) -> Self {
        let until = at.saturating_add(LAST_TICK_COUNTS_FOR).unwrap_or(Timestamp::MAX);
        Self { failing, counts_until: is_last.then_some(until) }
    }
}

/// A question that is asked on behalf of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Asked {
    /// Its trigger.
    Trigger,
    /// The launcher, which tasks of the job there are.
    Tasks,
}

/// An answer that did not come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failure<'a> {
    pub(crate) job: &'a JobId,
    pub(crate) tick: Timestamp,
    /// The attempt and its object, the same for every job that shares it.
    pub(crate) source: &'a str,
    /// The same with its causes.
    pub(crate) error: &'a str,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The failing ticks of jobs, and the engine that looks at each.
    jobs: HashMap<JobUid, (u64, FailedTicks)>,
    /// The sources that each job cannot read.
    unread: HashMap<(JobUid, Asked), (u64, String)>,
    sources: HashMap<(Asked, String), Source>,
}

#[derive(Debug)]
struct Source {
    error: String,
    since: Timestamp,
    /// The jobs that cannot read it now.
    jobs: usize,
    most_jobs: usize,
    failures: u64,
}

impl Faults {
    /// Notes that something could not be read for a job.
    pub(crate) fn unread(&self, engine: u64, uid: JobUid, asked: Asked, failure: Failure<'_>) {
        let mut known = self.0.lock();
        let before = known.unread.insert((uid, asked), (engine, failure.source.to_owned()));
        let is_new = before.as_ref().is_none_or(|(_, source)| source != failure.source);
        if let Some((_, source)) = before.filter(|_| is_new) {
            known.leave(asked, &source, false);
        }
        match known.sources.entry((asked, failure.source.to_owned())) {
            Entry::Occupied(mut source) => {
                let source = source.get_mut();
                source.jobs += usize::from(is_new);
                source.most_jobs = source.most_jobs.max(source.jobs);
                source.failures += 1;
                failure.error.clone_into(&mut source.error);
            }
            Entry::Vacant(place) => {
                let Failure { job, tick, error, .. } = failure;
                match asked {
                    Asked::Trigger => tracing::warn!(%job, %tick, error, "a source cannot be read"),
                    Asked::Tasks => tracing::warn!(%job, %tick, error, "running tasks cannot be counted"),
                }
                let error = error.to_owned();
                place.insert(Source { error, since: tick, jobs: 1, most_jobs: 1, failures: 1 });
            }
        }
    }

    /// Notes that it could be read for a job.
    pub(crate) fn read(&self, uid: JobUid, asked: Asked) {
        let mut known = self.0.lock();
        if known.unread.is_empty() {
            return;
        }
        if let Some((_, source)) = known.unread.remove(&(uid, asked)) {
            known.leave(asked, &source, true);
        }
    }

    /// Notes ticks of a job that failed.
    pub(crate) fn failed(&self, engine: u64, uid: JobUid, failed: FailedTicks) {
        let mut known = self.0.lock();
        let row = known.jobs.remove(&uid).filter(|(_, row)| row.failing.outcome == failed.failing.outcome);
        let failed = match row {
            Some((_, FailedTicks { failing: Failing { since, ticks, .. }, .. })) => FailedTicks {
                failing: Failing { since, ticks: ticks + failed.failing.ticks, ..failed.failing },
                ..failed
            },
            None => failed,
        };
        known.jobs.insert(uid, (engine, failed));
    }

    /// Notes a tick of a job that was decided, and whether something was launched. A tick that launches nothing does not show
    /// that launches work again.
    pub(crate) fn decided(&self, uid: &JobUid, launched: bool) {
        let mut known = self.0.lock();
        let of_launch = |outcome| matches!(outcome, Outcome::LaunchFailed | Outcome::Unknown);
        if known.jobs.get(uid).is_some_and(|(_, row)| launched || !of_launch(row.failing.outcome)) {
            known.jobs.remove(uid);
        }
    }

    /// Forgets a job that is gone or was edited.
    pub(crate) fn forget(&self, uid: &JobUid) {
        self.0.lock().jobs.remove(uid);
        self.forget_reads(uid);
    }

    /// Forgets what a job cannot read, where no tick will show that it can.
    pub(crate) fn forget_reads(&self, uid: &JobUid) {
        let mut known = self.0.lock();
        for asked in [Asked::Trigger, Asked::Tasks] {
            if let Some((_, source)) = known.unread.remove(&(*uid, asked)) {
                known.leave(asked, &source, false);
            }
        }
    }

    /// Forgets every job of an engine that has stopped.
    pub(crate) fn leave(&self, engine: u64) {
        let mut known = self.0.lock();
        known.jobs.retain(|_, (of, _)| *of != engine);
        let gone: Vec<_> =
            known.unread.iter().filter(|(_, (of, _))| *of == engine).map(|(key, _)| *key).collect();
        for key in gone {
            if let Some((_, source)) = known.unread.remove(&key) {
                known.leave(key.1, &source, false);
            }
        }
    }

    pub(crate) fn get(&self, uid: &JobUid) -> Option<Failing> {
        self.0.lock().jobs.get(uid).map(|(_, row)| row.failing.clone())
    }

    /// Returns how many jobs' newest ticks failed.
    pub(crate) fn failing(&self) -> usize {
        self.0.lock().jobs.len()
    }

    /// Says which source cannot be read.
    pub(crate) fn of_sources(&self) -> Option<String> {
        self.0.lock().worst(Asked::Trigger)
    }

    /// Says why tasks cannot be counted or launched.
    pub(crate) fn of_launcher(&self, now: Timestamp) -> Option<String> {
        let known = self.0.lock();
        if let Some(text) = known.worst(Asked::Tasks) {
            return Some(text);
        }
        let counting =
            known.jobs.values().filter(|(_, row)| row.counts_until.is_none_or(|until| now < until));
        let failing = counting.map(|(_, row)| &row.failing);
        let launches: Vec<_> = failing.filter(|failing| failing.outcome == Outcome::LaunchFailed).collect();
        let oldest = launches.iter().min_by_key(|failing| failing.since)?;
        Some(said(&oldest.reason, launches.len(), oldest.since))
    }
}

impl Known {
    /// Notes that one job less is kept by a source.
    fn leave(&mut self, asked: Asked, source: &str, readable: bool) {
        let Entry::Occupied(mut place) = self.sources.entry((asked, source.to_owned())) else { return };
        place.get_mut().jobs -= 1;
        if place.get().jobs > 0 {
            return;
        }
        let Source { error, since, most_jobs: jobs, failures, .. } = place.remove();
        if !readable {
            return;
        }
        match asked {
            Asked::Trigger => tracing::info!(%since, jobs, failures, error, "a source can be read again"),
            Asked::Tasks => {
                tracing::info!(%since, jobs, failures, error, "running tasks can be counted again")
            }
        }
    }

    fn worst(&self, asked: Asked) -> Option<String> {
        let sources = self.sources.iter().filter(|((of, _), _)| *of == asked).map(|(_, source)| source);
        let worst = sources.max_by_key(|source| (source.jobs, std::cmp::Reverse(source.since)))?;
        Some(said(&worst.error, worst.jobs, worst.since))
    }
}

fn said(reason: &str, jobs: usize, since: Timestamp) -> String {
    let jobs = if jobs == 1 { "1 job".to_owned() } else { format!("{jobs} jobs") };
    format!("{reason} ({jobs}, since {since:.0})")
}
