//! The steps of an owner.

use crate::config::{Config, Token};
use crate::job::{Moment, Moments, Plan};
use crate::state::{Carrier, Engine, Firing, Late, MOMENTS, Settlement, State};
use crate::store::{Advanced, Settled};

impl Engine {
    /// An engine that has just been started.
    pub(crate) const STARTED: Self = Self {
        fresh: true,
        in_term: true,
        adopted: false,
        doubtful: false,
        known: None,
        decided: None,
        carriers: [Carrier::None; MOMENTS],
    };

    pub(crate) fn carrier(&self, tick: Moment) -> Carrier {
        self.carriers[usize::from(tick) - 1]
    }

    /// Plans the ticks that are due at this moment, if there are any and nothing is under way.
    ///
    /// Where the settlement could only be refused, reading the job again comes to the same.
    pub(crate) fn plan(&self, config: &Config, state: &State) -> Option<Settlement> {
        let job = self.known.filter(|_| self.adopted && self.decided.is_none())?;
        let refused = job.replaced && config.mends.revision_in_settle || job.settled != state.job.settled;
        let plan = if refused { None } else { job.plan(state.now, config.window, config.catch_up) };
        plan.map(|plan| Settlement { expected: job.settled, replaced: job.replaced, plan, failed: false })
    }

    /// Returns the messages that may be on their way when it ends.
    pub(crate) fn under_way(&self, config: &Config) -> Vec<Late> {
        let mut found = Vec::new();
        if let Some(settlement) = self.decided.filter(|_| config.shared) {
            found.push(Late::Settle { settlement, fresh: self.fresh });
        }
        for (index, carrier) in self.carriers.iter().enumerate() {
            let tick = u8::try_from(index + 1).expect("there are fewer than 256 moments");
            match *carrier {
                Carrier::Checked { token, .. } => found.push(Late::Call { tick, token }),
                Carrier::None | Carrier::Holds(Firing::Noted { .. }) => {}
                Carrier::Holds(_) | Carrier::Answered { .. } if !config.shared => {}
                Carrier::Holds(from) => {
                    let to = next_attempt(from, next_number(from));
                    found.push(Late::Advance { tick, from, to, fresh: self.fresh });
                }
                Carrier::Answered { attempt, token, started } => {
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
        Firing::None | Firing::Planned | Firing::Noted { .. } | Firing::Launched => 1,
    }
}

fn next_attempt(from: Firing, token: u8) -> Firing {
    Firing::Noted { attempt: next_number(from), token }
}

/// The firing before and after the answer to an attempt.
fn answered(attempt: u8, token: u8, started: bool) -> (Firing, Firing) {
    let to = if started { Firing::Launched } else { Firing::Refused { attempt } };
    (Firing::Noted { attempt, token }, to)
}

impl State {
    fn engine_mut(&mut self, owner: u8) -> &mut Engine {
        self.owner_mut(owner).engine.as_mut().expect("only an owner that looks at the job does this")
    }

    fn carry(&mut self, owner: u8, tick: Moment, carrier: Carrier) {
        self.engine_mut(owner).carriers[usize::from(tick) - 1] = carrier;
    }

    /// Begins to look at the shard under a fence of its own.
    pub(crate) fn start(&mut self, owner: u8, new_fence: bool) {
        if new_fence {
            self.bump_fence();
        }
        self.holder = Some(owner);
        self.owner_mut(owner).engine = Some(Engine::STARTED);
    }

    /// Takes up every open firing of the journal that is not in hand.
    pub(crate) fn adopt(&mut self, owner: u8) {
        let firings = self.firings;
        let engine = self.engine_mut(owner);
        for (carrier, firing) in engine.carriers.iter_mut().zip(firings) {
            if *carrier == Carrier::None && firing.is_open() {
                *carrier = Carrier::Holds(firing);
            }
        }
        (engine.adopted, engine.doubtful) = (true, false);
    }

    /// Reads the job.
    pub(crate) fn reread(&mut self, config: &Config, owner: u8) {
        self.settle_replaced(config, owner);
        let job = self.job;
        let engine = self.engine_mut(owner);
        let moved = engine.known.is_some_and(|known| known.settled != job.settled);
        engine.doubtful |= moved && config.mends.adopt_when_moved;
        engine.known = Some(job);
    }

    /// Where edits keep no schedules: an owner that knew the version before the edit settles the ticks that are left of it.
    fn settle_replaced(&mut self, config: &Config, owner: u8) {
        let job = self.job;
        let engine = self.engine_mut(owner);
        let fresh = engine.fresh;
        let old = engine.known.filter(|known| known.replaced && !config.mends.keep_earlier_schedules);
        let left = old.map_or(Moments::default(), |known| known.due(job.changed));
        let passed = left.and(Moments::between(job.settled, 7));
        if let Some(settles) = passed.last() {
            let plan = Plan { passed, tick: None, settles };
            let settlement = Settlement { expected: job.settled, replaced: false, plan, failed: false };
            self.settle(config, settlement, fresh);
        }
    }

    /// Makes what was decided durable, and hands the firing to dispatch.
    pub(crate) fn settle_decided(&mut self, config: &Config, owner: u8) {
        let engine = self.engine_mut(owner);
        let settlement = engine.decided.take().expect("a settlement is under way");
        let fresh = engine.fresh;
        match self.settle(config, settlement, fresh) {
            Settled::Recorded => {
                let Settlement { plan, failed, .. } = settlement;
                if let Some(known) = &mut self.engine_mut(owner).known {
                    known.settled = plan.settles;
                }
                if let Some(tick) = plan.tick.filter(|_| !failed) {
                    self.carry(owner, tick, Carrier::Holds(Firing::Planned));
                }
            }
            Settled::Stale => self.reread(config, owner),
            Settled::Fenced => self.engine_mut(owner).in_term = false,
        }
    }

    /// The store does not answer a settlement: it was made durable, or is on its way, or will never arrive.
    pub(crate) fn settle_unanswered(&mut self, config: &Config, owner: u8, applied: bool) {
        let engine = self.engine_mut(owner);
        let settlement = engine.decided.take().expect("a settlement is under way");
        engine.doubtful = true;
        let fresh = engine.fresh;
        if applied {
            self.settle(config, settlement, fresh);
        } else {
            self.late = Some(Late::Settle { settlement, fresh });
        }
    }

    /// Notes the next attempt of a firing durably.
    pub(crate) fn begin(&mut self, config: &Config, owner: u8, tick: Moment) {
        let engine = self.engine_mut(owner);
        let fresh = engine.fresh;
        let Carrier::Holds(from) = engine.carrier(tick) else { return };
        let token = match config.mends.token {
            Token::Identity | Token::EachCall => next_number(from),
            Token::Noted => {
                let launches = &mut self.launches[usize::from(tick) - 1];
                launches.made_up += 1;
                launches.made_up
            }
        };
        let to = next_attempt(from, token);
        if !config.mends.intent_first {
            self.carry(owner, tick, Carrier::Holds(to));
            return;
        }
        let done = self.advance(config, tick, (from, to), fresh);
        self.moved(owner, tick, done, Carrier::Holds(to));
    }

    /// Asks, right before the call, whether it may launch.
    pub(crate) fn may_launch(&mut self, owner: u8, tick: Moment) {
        let engine = self.engine_mut(owner);
        let Carrier::Holds(Firing::Noted { attempt, token }) = engine.carrier(tick) else { return };
        let fenced = !engine.fresh;
        self.broken.fenced_launch |= fenced;
        self.carry(owner, tick, Carrier::Checked { attempt, token });
    }

    /// Calls the launcher; `answer` tells whether the answer arrives.
    pub(crate) fn call(&mut self, config: &Config, owner: u8, tick: Moment, refuse: bool, answer: bool) {
        let Carrier::Checked { attempt, token } = self.engine_mut(owner).carrier(tick) else { return };
        self.broken.unnoted |= !self.is_noted(tick, attempt);
        let used = match config.mends.token {
            Token::Identity | Token::Noted => token,
            Token::EachCall => {
                let launches = &mut self.launches[usize::from(tick) - 1];
                launches.made_up += 1;
                launches.made_up
            }
        };
        let started = self.launch(tick, used, refuse);
        let carrier = if answer {
            Carrier::Answered { attempt, token, started }
        } else {
            Carrier::Holds(Firing::Noted { attempt, token })
        };
        self.carry(owner, tick, carrier);
    }

    fn is_noted(&self, tick: Moment, attempt: u8) -> bool {
        match self.firings[usize::from(tick) - 1] {
            Firing::None | Firing::Planned => false,
            Firing::Noted { attempt: noted, .. } | Firing::Refused { attempt: noted } => noted >= attempt,
            Firing::Launched => true,
        }
    }

    /// Makes an answer durable.
    pub(crate) fn reported(&mut self, config: &Config, owner: u8, tick: Moment) {
        let engine = self.engine_mut(owner);
        let fresh = engine.fresh;
        let Carrier::Answered { attempt, token, started } = engine.carrier(tick) else { return };
        let (mut from, to) = answered(attempt, token, started);
        if !config.mends.intent_first {
            from = self.firings[usize::from(tick) - 1];
        }
        let next = if started { Carrier::None } else { Carrier::Holds(to) };
        let done = self.advance(config, tick, (from, to), fresh);
        self.moved(owner, tick, done, next);
    }

    /// Moves a carrier on after the store's answer to a firing's next state.
    fn moved(&mut self, owner: u8, tick: Moment, answer: Advanced, next: Carrier) {
        match answer {
            Advanced::Done => self.carry(owner, tick, next),
            Advanced::Conflict => self.carry(owner, tick, Carrier::None),
            Advanced::Fenced => {
                self.carry(owner, tick, Carrier::None);
                self.engine_mut(owner).in_term = false;
            }
        }
    }
}
