//! Which ticks are due, which of them is looked at, and what becomes of the others: catch-up as a pure function.
//!
//! A range of ticks is the normal case: a punctual tick is a range of one. The cost does not depend on how many ticks
//! an outage covers, because schedules count a range without walking it.

use jiff::{SignedDuration, Timestamp};

use crate::decide::{Outcome, TickSpan};
use crate::job::Job;
use crate::policy::{CatchUp, CatchUpPolicy};
use crate::schedule::{Schedule, jitter};

#[cfg(test)]
mod tests;

/// How many ticks a jitter may hold back at once; a job with more of them falls back to its jitter's upper bound.
const MAX_HELD_BACK: usize = 1_000;

/// What is known about a job's ticks before they are planned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticks<'a> {
    /// The job's name, from which its jitter comes.
    pub(super) job: &'a str,
    /// Its ticks.
    pub(super) schedule: &'a Schedule,
    /// By how much a tick may be put off.
    pub(super) jitter: Option<std::time::Duration>,
    /// Ticks up to this one are settled.
    pub(super) after: Timestamp,
}

/// What to do about the ticks that are due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// Ticks that are not looked at, oldest first.
    pub(super) passed: Vec<(Outcome, TickSpan)>,
    /// The tick to look at.
    pub(super) tick: Option<Timestamp>,
    /// The newest tick that this plan settles.
    pub(super) settles: Timestamp,
}

impl<'a> Ticks<'a> {
    /// The ticks of a job after the last settled one.
    pub(super) fn of(job: &'a Job, after: Timestamp) -> Option<Self> {
        Some(Self { job: job.id.as_str(), schedule: job.ticks()?, jitter: job.policy.jitter, after })
    }
}

impl Ticks<'_> {
    /// Returns when the tick is looked at: the tick itself, put off by its jitter.
    pub(super) fn due(&self, nominal: Timestamp) -> Timestamp {
        let Some(most) = self.jitter else { return nominal };
        let offset =
            SignedDuration::try_from(jitter(self.job, nominal, most)).unwrap_or(SignedDuration::ZERO);
        nominal.checked_add(offset).unwrap_or(nominal)
    }

    /// Returns when the next unsettled tick is looked at.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.schedule.next_after(self.after).map(|tick| self.due(tick))
    }

    /// Plans the ticks that are due at `now`; nothing when none is.
    pub(super) fn plan(&self, now: Timestamp, catch_up: CatchUp) -> Option<Plan> {
        let newest = self.newest_due(now)?;
        let late = now.duration_since(self.due(newest));
        match catch_up.policy {
            CatchUpPolicy::Latest if late <= catch_up.window.max(CatchUp::PUNCTUAL) => {
                Some(self.looking_at(newest, now, catch_up.window))
            }
            CatchUpPolicy::None if late <= CatchUp::PUNCTUAL => {
                Some(self.looking_at(newest, now, SignedDuration::ZERO))
            }
            CatchUpPolicy::All if late <= catch_up.window.max(CatchUp::PUNCTUAL) => {
                let oldest = self.oldest_honoured(newest, now, catch_up);
                Some(self.looking_at(oldest, now, catch_up.window))
            }
            CatchUpPolicy::Latest | CatchUpPolicy::None | CatchUpPolicy::All => {
                let passed = self.span(Outcome::Missed, self.after, newest).into_iter().collect();
                Some(Plan { passed, tick: None, settles: newest })
            }
        }
    }

    fn newest_due(&self, now: Timestamp) -> Option<Timestamp> {
        let mut candidate = self.schedule.last_in(self.after, now)?;
        if self.jitter.is_none() {
            return Some(candidate);
        }
        for _ in 0..MAX_HELD_BACK {
            if self.due(candidate) <= now {
                return Some(candidate);
            }
            candidate = self.schedule.last_in(self.after, before(candidate))?;
        }
        let most = SignedDuration::try_from(self.jitter.unwrap_or_default()).unwrap_or(SignedDuration::ZERO);
        self.schedule.last_in(self.after, now.checked_sub(most).ok()?)
    }

    /// Returns the oldest of the newest `max` ticks inside the window.
    fn oldest_honoured(&self, newest: Timestamp, now: Timestamp, catch_up: CatchUp) -> Timestamp {
        let opens = window_opens(now, catch_up.window);
        let mut oldest = newest;
        for _ in 1..catch_up.max.get() {
            match self.schedule.last_in(self.after, before(oldest)) {
                Some(tick) if self.due(tick) >= opens => oldest = tick,
                Some(_) | None => break,
            }
        }
        oldest
    }

    /// Looks at `tick`; older ones are coalesced into it if they are inside the window, else missed.
    fn looking_at(&self, tick: Timestamp, now: Timestamp, window: SignedDuration) -> Plan {
        let mut passed = Vec::new();
        let older = before(tick);
        if self.schedule.next_after(self.after).is_some_and(|first| first < tick) {
            let cut = before(window_opens(now, window)).clamp(self.after, older);
            passed.extend(self.span(Outcome::Missed, self.after, cut));
            passed.extend(self.span(Outcome::Coalesced, cut, older));
        }
        Plan { passed, tick: Some(tick), settles: tick }
    }

    /// Returns the stretch of ticks in (`after`, `until`], if there are any.
    pub(super) fn span(
        &self,
        outcome: Outcome,
        after: Timestamp,
        until: Timestamp,
    ) -> Option<(Outcome, TickSpan)> {
        if until <= after {
            return None;
        }
        let first = self.schedule.next_after(after).filter(|first| *first <= until)?;
        let last = self.schedule.last_in(after, until)?;
        let count = if first == last { 1 } else { self.schedule.count_in(after, until) };
        Some((outcome, TickSpan { first, last, count }))
    }
}

fn window_opens(now: Timestamp, window: SignedDuration) -> Timestamp {
    now.checked_sub(window).unwrap_or(Timestamp::MIN)
}

fn before(moment: Timestamp) -> Timestamp {
    moment.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(Timestamp::MIN)
}
