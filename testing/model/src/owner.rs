//! The steps of an owner.

use crate::config::{Config, Token};
use crate::job::{Moment, Moments, Plan};
use crate::state::{Engine, Firing, FiringDriver, Late, MOMENTS, Settlement, State};
use crate::store::{Advanced, Settled};

impl Engine {
    /// An engine that has just been started.
    pub(crate) const STARTED: Self = Self {
        fresh: true,
        in_term: true,
        resumed: false,
        uncertain: false,
        known: None,
        decided: None,
        drivers: [FiringDriver::None; MOMENTS],
    };

    pub(crate) fn driver(&self, tick: Moment) -> FiringDriver {
        self.drivers[usize::from(tick) - 1]
    }

    /// Plans the due ticks, if there are any and no settlement is in progress.
    ///
    /// A settlement that the store would reject is left out, because reading the job again has the same effect.
    pub(crate) fn plan(&self, config: &Config, state: &State) -> Option<Settlement> {
        let job = self.known.filter(|_| self.resumed && self.decided.is_none())?;
        let refused =
            job.replaced && config.safeguards.revision_in_settle || job.settled != state.job.settled;
        let plan = if refused { None } else { job.plan(state.now, config.window, config.catch_up) };
        plan.map(|plan| Settlement { expected: job.settled, replaced: job.replaced, plan, failed: false })
    }

    /// Returns the messages that may be in progress when it ends.
    pub(crate) fn under_way(&self, config: &Config) -> Vec<Late> {
        let mut found = Vec::new();
        if let Some(settlement) = self.decided.filter(|_| config.shared) {
            found.push(Late::Settle { settlement, fresh: self.fresh });
        }
        for (index, driver) in self.drivers.iter().enumerate() {
            let tick = u8::try_from(index + 1).expect("there are fewer than 256 moments");
            match *driver {
                FiringDriver::Checked { token, .. } => found.push(Late::Call { tick, token }),
                FiringDriver::None | FiringDriver::Waiting(Firing::Recorded { .. }) => {}
                FiringDriver::Waiting(_) | FiringDriver::Answered { .. } if !config.shared => {}
                FiringDriver::Waiting(from) => {
                    let to = next_attempt(from, next_number(from));
                    found.push(Late::Advance { tick, from, to, fresh: self.fresh });
                }
                FiringDriver::Answered { attempt, token, started } => {
                    let (from, to) = answered(attempt, token, started);
                    found.push(Late::Advance { tick, from, to, fresh: self.fresh });
                }
            }
        }
        found
    }
}

/// The number of the attempt that follows.
fn next_number(from: Firing) -> u8 {
    match from {
        Firing::Refused { attempt } => attempt + 1,
        Firing::None | Firing::Planned | Firing::Recorded { .. } | Firing::Launched => 1,
    }
}

fn next_attempt(from: Firing, token: u8) -> Firing {
    Firing::Recorded { attempt: next_number(from), token }
}

/// The firing before and after the answer to an attempt.
fn answered(attempt: u8, token: u8, started: bool) -> (Firing, Firing) {
    let to = if started { Firing::Launched } else { Firing::Refused { attempt } };
    (Firing::Recorded { attempt, token }, to)
}

impl State {
    fn engine_mut(&mut self, owner: u8) -> &mut Engine {
        self.owner_mut(owner).engine.as_mut().expect("only an owner with an engine does this")
    }

    fn set_driver(&mut self, owner: u8, tick: Moment, driver: FiringDriver) {
        self.engine_mut(owner).drivers[usize::from(tick) - 1] = driver;
    }

    /// Starts an engine for the shard, under a new fence if `new_fence`.
    pub(crate) fn start(&mut self, owner: u8, new_fence: bool) {
        if new_fence {
            self.bump_fence();
        }
        self.holder = Some(owner);
        self.owner_mut(owner).engine = Some(Engine::STARTED);
    }

    /// Resumes every open firing of the journal that has no driver.
    pub(crate) fn resume_open_firings(&mut self, owner: u8) {
        let firings = self.firings;
        let engine = self.engine_mut(owner);
        for (driver, firing) in engine.drivers.iter_mut().zip(firings) {
            if *driver == FiringDriver::None && firing.is_open() {
                *driver = FiringDriver::Waiting(firing);
            }
        }
        (engine.resumed, engine.uncertain) = (true, false);
    }

    /// Reads the job.
    pub(crate) fn reload(&mut self, config: &Config, owner: u8) {
        self.settle_replaced(config, owner);
        let job = self.job;
        let engine = self.engine_mut(owner);
        let moved = engine.known.is_some_and(|known| known.settled != job.settled);
        engine.uncertain |= moved && config.safeguards.resume_when_moved;
        engine.known = Some(job);
    }

    /// Without `keep_earlier_schedules`: an owner that knows the version before the edit settles its remaining ticks.
    fn settle_replaced(&mut self, config: &Config, owner: u8) {
        let job = self.job;
        let engine = self.engine_mut(owner);
        let fresh = engine.fresh;
        let old = engine.known.filter(|known| known.replaced && !config.safeguards.keep_earlier_schedules);
        let left = old.map_or(Moments::default(), |known| known.due(job.changed));
        let passed = left.and(Moments::between(job.settled, 7));
        if let Some(settles) = passed.last() {
            let plan = Plan { passed, tick: None, settles };
            let settlement = Settlement { expected: job.settled, replaced: false, plan, failed: false };
            self.settle(config, settlement, fresh);
        }
    }

    /// Makes the decision durable, and hands the firing to dispatch.
    pub(crate) fn settle_decided(&mut self, config: &Config, owner: u8) {
        let engine = self.engine_mut(owner);
        let settlement = engine.decided.take().expect("a settlement is in progress");
        let fresh = engine.fresh;
        match self.settle(config, settlement, fresh) {
            Settled::Recorded => {
                let Settlement { plan, failed, .. } = settlement;
                if let Some(known) = &mut self.engine_mut(owner).known {
                    known.settled = plan.settles;
                }
                if let Some(tick) = plan.tick.filter(|_| !failed) {
                    self.set_driver(owner, tick, FiringDriver::Waiting(Firing::Planned));
                }
            }
            Settled::Stale => self.reload(config, owner),
            Settled::Fenced => self.engine_mut(owner).in_term = false,
        }
    }

    /// The store does not answer a settlement: it is durable, or may still arrive, or is lost.
    pub(crate) fn settle_unanswered(&mut self, config: &Config, owner: u8, applied: bool) {
        let engine = self.engine_mut(owner);
        let settlement = engine.decided.take().expect("a settlement is in progress");
        engine.uncertain = true;
        let fresh = engine.fresh;
        if applied {
            self.settle(config, settlement, fresh);
        } else {
            self.late = Some(Late::Settle { settlement, fresh });
        }
    }

    /// Records the next attempt of a firing durably.
    pub(crate) fn start_attempt(&mut self, config: &Config, owner: u8, tick: Moment) {
        let engine = self.engine_mut(owner);
        let fresh = engine.fresh;
        let FiringDriver::Waiting(from) = engine.driver(tick) else { return };
        let token = match config.safeguards.token {
            Token::Identity | Token::EachCall => next_number(from),
            Token::Recorded => {
                let launches = &mut self.launches[usize::from(tick) - 1];
                launches.generated += 1;
                launches.generated
            }
        };
        let to = next_attempt(from, token);
        if !config.safeguards.intent_first {
            self.set_driver(owner, tick, FiringDriver::Waiting(to));
            return;
        }
        let done = self.advance(config, tick, (from, to), fresh);
        self.after_advance(owner, tick, done, FiringDriver::Waiting(to));
    }

    /// Checks, right before the call, whether it may launch.
    pub(crate) fn may_launch(&mut self, owner: u8, tick: Moment) {
        let engine = self.engine_mut(owner);
        let FiringDriver::Waiting(Firing::Recorded { attempt, token }) = engine.driver(tick) else { return };
        let fenced = !engine.fresh;
        self.broken.fenced_launch |= fenced;
        self.set_driver(owner, tick, FiringDriver::Checked { attempt, token });
    }

    /// Calls the launcher; `answer` tells whether the answer arrives.
    pub(crate) fn call(&mut self, config: &Config, owner: u8, tick: Moment, refuse: bool, answer: bool) {
        let FiringDriver::Checked { attempt, token } = self.engine_mut(owner).driver(tick) else { return };
        self.broken.unrecorded |= !self.is_recorded(tick, attempt);
        let used = match config.safeguards.token {
            Token::Identity | Token::Recorded => token,
            Token::EachCall => {
                let launches = &mut self.launches[usize::from(tick) - 1];
                launches.generated += 1;
                launches.generated
            }
        };
        let started = self.launch(tick, used, refuse);
        let driver = if answer {
            FiringDriver::Answered { attempt, token, started }
        } else {
            FiringDriver::Waiting(Firing::Recorded { attempt, token })
        };
        self.set_driver(owner, tick, driver);
    }

    fn is_recorded(&self, tick: Moment, attempt: u8) -> bool {
        match self.firings[usize::from(tick) - 1] {
            Firing::None | Firing::Planned => false,
            Firing::Recorded { attempt: recorded, .. } | Firing::Refused { attempt: recorded } => {
                recorded >= attempt
            }
            Firing::Launched => true,
        }
    }

    /// Makes an answer durable.
    pub(crate) fn record_report(&mut self, config: &Config, owner: u8, tick: Moment) {
        let engine = self.engine_mut(owner);
        let fresh = engine.fresh;
        let FiringDriver::Answered { attempt, token, started } = engine.driver(tick) else { return };
        let (mut from, to) = answered(attempt, token, started);
        if !config.safeguards.intent_first {
            from = self.firings[usize::from(tick) - 1];
        }
        let next = if started { FiringDriver::None } else { FiringDriver::Waiting(to) };
        let done = self.advance(config, tick, (from, to), fresh);
        self.after_advance(owner, tick, done, next);
    }

    /// Updates a driver after the store's answer to an advance.
    fn after_advance(&mut self, owner: u8, tick: Moment, answer: Advanced, next: FiringDriver) {
        match answer {
            Advanced::Done => self.set_driver(owner, tick, next),
            Advanced::Conflict => self.set_driver(owner, tick, FiringDriver::None),
            Advanced::Fenced => {
                self.set_driver(owner, tick, FiringDriver::None);
                self.engine_mut(owner).in_term = false;
            }
        }
    }
}
