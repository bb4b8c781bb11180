//! Catch-up as a pure function: which ticks are due, which of them is evaluated, and the outcome of the others.
//!
//! A range of ticks is the normal case: a punctual tick is a range of one. The cost does not depend on how many ticks
//! an outage covers, because schedules count a range without iterating over it.

use jiff::{SignedDuration, Timestamp};

use crate::decide::{TickOutcome, TickSpan};
use crate::job::{Earlier, Job};
use crate::policy::{CatchUp, CatchUpPolicy};
use crate::schedule::{Schedule, jitter};

#[cfg(test)]
mod tests;

/// The lateness from which a delayed tick may be folded into the next one.
const LATE_AFTER: SignedDuration = SignedDuration::from_secs(1);

/// The ticks of a job that are not settled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticks<'a> {
    /// The job's name, from which its jitter comes.
    pub(super) job: &'a str,
    /// Its ticks.
    pub(super) schedule: &'a Schedule,
    /// The longest delay of a tick.
    pub(super) jitter: Option<std::time::Duration>,
    /// Earlier versions, whose ticks have a jitter of their own.
    pub(super) earlier: &'a [Earlier],
    /// Ticks up to this one are settled.
    pub(super) after: Timestamp,
}

/// The plan for the ticks that are due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CatchUpPlan {
    /// Ticks that are not evaluated, oldest first.
    pub(super) skipped: Vec<(TickOutcome, TickSpan)>,
    /// The tick to evaluate.
    pub(super) tick: Option<Timestamp>,
    /// The newest tick that this plan settles.
    pub(super) settles: Timestamp,
}

impl<'a> Ticks<'a> {
    /// Returns the ticks of a job after the last settled one.
    pub(super) fn from_job(job: &'a Job, after: Timestamp) -> Option<Self> {
        let (jitter, earlier) = (job.policy.jitter, &job.earlier[..]);
        Some(Self { job: job.id.as_str(), schedule: job.ticks()?, jitter, earlier, after })
    }
}

impl Ticks<'_> {
    /// Returns when a tick is due: its nominal time, delayed by its jitter, but always before the next tick.
    pub(super) fn due(&self, nominal: Timestamp) -> Timestamp {
        let Some(mut most) = self.jitter_of(nominal) else { return nominal };
        if let Some(next) = self.schedule.next_after(nominal) {
            let gap = next.duration_since(nominal) - SignedDuration::from_millis(1);
            most = most.min(std::time::Duration::try_from(gap).unwrap_or_default());
        }
        let offset = SignedDuration::try_from(jitter(self.job, nominal, most)).unwrap_or_default();
        nominal.checked_add(offset).unwrap_or(nominal)
    }

    fn jitter_of(&self, nominal: Timestamp) -> Option<std::time::Duration> {
        Earlier::find(self.earlier, nominal).map_or(self.jitter, |version| version.jitter)
    }

    /// Returns when the next unsettled tick is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.schedule.next_after(self.after).map(|tick| self.due(tick))
    }

    /// Plans the ticks that are due at `now`; returns none when no tick is due. `tried` is a tick that could not be decided yet.
    pub(super) fn plan(
        &self,
        now: Timestamp,
        catch_up: CatchUp,
        tried: Option<Timestamp>,
    ) -> Option<CatchUpPlan> {
        let newest = self.newest_due(now)?;
        let late = now.duration_since(self.due(newest));
        let mut plan = if late > accepted_lateness(catch_up, tried == Some(newest)) {
            let skipped = self.span(TickOutcome::Missed, self.after, newest).into_iter().collect();
            CatchUpPlan { skipped, tick: None, settles: newest }
        } else {
            match catch_up.policy {
                CatchUpPolicy::Latest => self.plan_for(newest, now, catch_up.window),
                CatchUpPolicy::None => self.plan_for(newest, now, SignedDuration::ZERO),
                CatchUpPolicy::All => {
                    let oldest = self.oldest_accepted(newest, now, catch_up);
                    self.plan_for(oldest, now, catch_up.window)
                }
            }
        };
        if let Some(tried) = tried {
            plan.skipped = plan.skipped.into_iter().flat_map(|span| self.split_out(span, tried)).collect();
        }
        Some(plan)
    }

    /// Returns when a tick that could not be decided at `now` is evaluated again: at its next try, when a later tick becomes
    /// due, which may replace it, or when it is too late, whichever comes first.
    pub(super) fn next_evaluation(
        &self,
        tick: Timestamp,
        now: Timestamp,
        catch_up: CatchUp,
        next_try: Timestamp,
    ) -> Timestamp {
        let too_late =
            self.due(tick).saturating_add(accepted_lateness(catch_up, true) + SignedDuration::from_millis(1));
        let later_tick = self.schedule.next_after(tick).map(|next| self.due(next)).filter(|due| *due > now);
        [Some(next_try), too_late.ok(), later_tick].into_iter().flatten().min().unwrap_or(next_try)
    }

    /// Splits a tick out of the span that contains it.
    fn split_out(
        &self,
        (outcome, span): (TickOutcome, TickSpan),
        tick: Timestamp,
    ) -> Vec<(TickOutcome, TickSpan)> {
        if span.count == 1 || !(span.first..=span.last).contains(&tick) {
            return vec![(outcome, span)];
        }
        let single = (outcome, TickSpan { first: tick, last: tick, count: 1 });
        let older = self.span(outcome, before(span.first), before(tick));
        let newer = self.span(outcome, tick, span.last);
        older.into_iter().chain([single]).chain(newer).collect()
    }

    /// Returns the newest tick that is due. When delayed ticks become due one right after the other, and none of them is
    /// late, it returns the oldest of them.
    fn newest_due(&self, now: Timestamp) -> Option<Timestamp> {
        let newest = self.schedule.last_in(self.after, now)?;
        if self.jitter.is_none() && self.earlier.is_empty() {
            return Some(newest);
        }
        // A tick becomes due before the next one begins, so the one before the newest is due.
        let earlier = |tick| self.schedule.last_in(self.after, before(tick));
        let mut due = if self.due(newest) <= now { newest } else { earlier(newest)? };
        while let Some(tick) = earlier(due).filter(|tick| now.duration_since(self.due(*tick)) < LATE_AFTER) {
            due = tick;
        }
        Some(due)
    }

    /// Returns the oldest of the newest `max` ticks inside the window.
    fn oldest_accepted(&self, newest: Timestamp, now: Timestamp, catch_up: CatchUp) -> Timestamp {
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

    /// Plans the evaluation of `tick`. Older ticks are coalesced into it if they are inside the window, else missed.
    fn plan_for(&self, tick: Timestamp, now: Timestamp, window: SignedDuration) -> CatchUpPlan {
        let older = before(tick);
        let cut = before(window_opens(now, window)).clamp(self.after, older);
        let spans =
            [self.span(TickOutcome::Missed, self.after, cut), self.span(TickOutcome::Coalesced, cut, older)];
        let skipped = spans.into_iter().flatten().collect();
        CatchUpPlan { skipped, tick: Some(tick), settles: tick }
    }

    /// Returns the span of ticks in (`after`, `until`], if there are any.
    pub(super) fn span(
        &self,
        outcome: TickOutcome,
        after: Timestamp,
        until: Timestamp,
    ) -> Option<(TickOutcome, TickSpan)> {
        if until <= after {
            return None;
        }
        let first = self.schedule.next_after(after).filter(|first| *first <= until)?;
        let last = self.schedule.last_in(after, until)?;
        let count = if first == last { 1 } else { self.schedule.count_in(after, until) };
        Some((outcome, TickSpan { first, last, count }))
    }
}

/// Returns how late a tick may be and still be evaluated.
fn accepted_lateness(catch_up: CatchUp, was_tried: bool) -> SignedDuration {
    let least = if was_tried { CatchUp::MIN_RETRY_WINDOW } else { CatchUp::ON_TIME_TOLERANCE };
    match catch_up.policy {
        CatchUpPolicy::None => least,
        CatchUpPolicy::Latest | CatchUpPolicy::All => catch_up.window.max(least),
    }
}

fn window_opens(now: Timestamp, window: SignedDuration) -> Timestamp {
    now.checked_sub(window).unwrap_or(Timestamp::MIN)
}

fn before(moment: Timestamp) -> Timestamp {
    moment.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(Timestamp::MIN)
}
