//! The store and the launcher. Each acts in one step.

use crate::config::Config;
use crate::job::{Job, Moment, Moments, Schedule};
use crate::state::{Editor, Firing, Late, Settlement, State};

/// The answer to a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It is durable.
    Recorded,
    /// The job or its ticks have changed since.
    Stale,
    /// Its fence does not hold any more.
    Fenced,
}

/// The answer to a firing's next state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Advanced {
    /// It is durable.
    Done,
    /// The firing is in another state.
    Conflict,
    /// Its fence does not hold any more.
    Fenced,
}

impl State {
    /// Reads the job and the clock, and makes the next version.
    pub(crate) fn edit(&mut self, config: &Config, editor: u8) {
        let schedule = if editor == 0 { Schedule::Even } else { self.job.schedule };
        let next = self.job.replacement(schedule, self.now, config.safeguards.keep_earlier_schedules);
        self.editors[usize::from(editor)] = Editor::Writes(Job { settled: 0, ..next });
    }

    /// Replaces the job's document, unless it was replaced since it was read; then it is read again.
    pub(crate) fn replace(&mut self, config: &Config, editor: u8) {
        let Editor::Writes(next) = self.editors[usize::from(editor)] else {
            return self.edit(config, editor);
        };
        let settled = self.job.settled;
        self.job = Job { settled, ..next };
        self.editors[usize::from(editor)] = Editor::Done;
        let other = &mut self.editors[1 - usize::from(editor)];
        if let Editor::Writes(_) = other {
            *other = Editor::Conflicts;
        }
        for engine in self.owners.iter_mut().filter_map(|owner| owner.engine.as_mut()) {
            let known = engine.known.iter_mut().map(|known| &mut known.replaced);
            let decided = engine.decided.iter_mut().map(|decided| &mut decided.replaced);
            known.chain(decided).for_each(|replaced| *replaced = true);
        }
        if let Some(Late::Settle { settlement, .. }) = &mut self.late {
            settlement.replaced = true;
        }
        // Ticks up to the edit are the old version's; so are those that were settled while the edit was on its way.
        let border = next.changed.max(settled);
        let old = self.open.and(Moments::between(0, border));
        self.open = old.or(next.schedule.ticks().and(Moments::between(border, config.horizon)));
    }

    /// Records the outcomes of ticks, and the intent to launch.
    pub(crate) fn settle(&mut self, config: &Config, settlement: Settlement, fresh: bool) -> Settled {
        if config.safeguards.fence && !fresh {
            return Settled::Fenced;
        }
        let Settlement { expected, replaced, plan, failed } = settlement;
        let firing = plan.tick.filter(|_| !failed);
        let taken = firing.is_some_and(|tick| self.firings[usize::from(tick) - 1] != Firing::None);
        let other_version = replaced && config.safeguards.revision_in_settle;
        if expected != self.job.settled || other_version || taken {
            return Settled::Stale;
        }
        self.job.settled = plan.settles;
        for tick in plan.passed.iter().chain(plan.tick) {
            let outcome = Moments::between(tick - 1, tick);
            self.broken.outcome |= self.open.and(outcome).is_empty();
            self.open = self.open.without(outcome);
        }
        if let Some(tick) = firing {
            self.firings[usize::from(tick) - 1] = Firing::Planned;
        }
        self.broken.given_up |= failed;
        Settled::Recorded
    }

    /// Moves a firing to its next state.
    pub(crate) fn advance(
        &mut self,
        config: &Config,
        tick: Moment,
        (from, to): (Firing, Firing),
        fresh: bool,
    ) -> Advanced {
        let stored = &mut self.firings[usize::from(tick) - 1];
        if config.safeguards.fence && !fresh {
            return Advanced::Fenced;
        }
        // A retry after a lost answer finds it done.
        if stored.kind() != from.kind() {
            return if *stored == to { Advanced::Done } else { Advanced::Conflict };
        }
        *stored = to;
        Advanced::Done
    }

    /// Answers a call: the same for the same token; tells whether a task was started.
    pub(crate) fn launch(&mut self, tick: Moment, token: u8, refuse: bool) -> bool {
        let launches = &mut self.launches[usize::from(tick) - 1];
        let bit = 1 << token.min(7);
        if launches.answered & bit == 0 {
            launches.answered |= bit;
            if !refuse {
                self.broken.doubled |= launches.started != 0;
                launches.started |= bit;
            }
        }
        launches.started & bit != 0
    }

    /// Tells whether the launcher has an answer for this token already.
    pub(crate) fn is_answered(&self, tick: Moment, token: u8) -> bool {
        self.launches[usize::from(tick) - 1].answered & (1 << token.min(7)) != 0
    }

    /// A message arrives after its sender has timed out.
    pub(crate) fn arrive(&mut self, config: &Config) {
        match self.late.take() {
            Some(Late::Settle { settlement, fresh }) => {
                self.settle(config, settlement, fresh);
            }
            Some(Late::Advance { tick, from, to, fresh }) => {
                self.advance(config, tick, (from, to), fresh);
            }
            Some(Late::Call { tick, token }) => {
                self.launch(tick, token, false);
            }
            None => {}
        }
    }

    /// The shard's register gets a new version: no older fence holds any more.
    pub(crate) fn bump_fence(&mut self) {
        for owner in &mut self.owners {
            if let Some(engine) = &mut owner.engine {
                engine.fresh = false;
            }
        }
        if let Some(Late::Settle { fresh, .. } | Late::Advance { fresh, .. }) = &mut self.late {
            *fresh = false;
        }
    }
}
