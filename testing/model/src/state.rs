//! A state of the model: clock, store, launcher, owners, editors, and a late message.

use crate::config::Config;
use crate::job::{Job, Moment, Moments, Plan};

/// How many moments there are after the job's creation.
pub const MOMENTS: usize = 5;

/// One value for each moment from 1 on.
pub(crate) type PerMoment<T> = [T; MOMENTS];

/// The state of a firing, in the journal or as its driver last knew it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Firing {
    /// There is none, or it is launched and no driver needs it any more.
    #[default]
    None,
    /// Journalled; nothing was sent.
    Planned,
    /// `launching`: a call with this attempt's token was, or may have been, sent.
    Recorded {
        /// The number of the attempt.
        attempt: u8,
        /// Its token.
        token: u8,
    },
    /// `launching`: the attempt of this number was refused, and another one follows.
    Refused {
        /// The number of the attempt.
        attempt: u8,
    },
    /// Its task was started.
    Launched,
}

impl Firing {
    /// Tells whether the engine still has work to do for it.
    pub(crate) const fn is_open(self) -> bool {
        matches!(self, Self::Planned | Self::Recorded { .. } | Self::Refused { .. })
    }

    /// Returns the state as the store's compare-and-set sees it.
    pub(crate) const fn kind(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Planned => 1,
            Self::Recorded { .. } | Self::Refused { .. } => 2,
            Self::Launched => 3,
        }
    }
}

/// The step of dispatch for a firing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FiringDriver {
    /// No driver.
    #[default]
    None,
    /// Ready for the next step; holds the firing's last known state.
    Waiting(Firing),
    /// `may_launch` allowed this attempt; the call was not made yet.
    Checked {
        /// The number of the attempt.
        attempt: u8,
        /// Its token.
        token: u8,
    },
    /// The launcher answered this attempt.
    Answered {
        /// The number of the attempt.
        attempt: u8,
        /// Its token.
        token: u8,
        /// Whether a task was started.
        started: bool,
    },
}

/// The result of a round for the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Settlement {
    /// Up to where ticks must be settled in the store.
    pub expected: Moment,
    /// Another version was written since: the revision differs from the store's.
    pub replaced: bool,
    /// The ticks.
    pub plan: Plan,
    /// The source of the evaluated tick could not be read.
    pub failed: bool,
}

/// The engine of one owner for the job's shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Engine {
    /// The fence that it writes under is still that of the shard.
    pub fresh: bool,
    /// The lease has held without a break since its start, and it was not stopped.
    pub in_term: bool,
    /// It has resumed the open firings of the journal.
    pub resumed: bool,
    /// The journal may have an open firing without a driver.
    pub uncertain: bool,
    /// The job, as it was read last.
    pub known: Option<Job>,
    /// The decision; its settlement is in progress.
    pub decided: Option<Settlement>,
    /// The drivers of its firings.
    pub drivers: PerMoment<FiringDriver>,
}

/// A process that may own the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// It runs, and its lease holds.
    pub lease: bool,
    /// Its engine, while it runs.
    pub engine: Option<Engine>,
}

/// A request that edits the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Editor {
    /// Not yet made.
    Waits,
    /// It has read the job and the clock, and will replace the job by this one.
    Writes(Job),
    /// The same, but the job was modified concurrently.
    Conflicts,
    /// Done or abandoned.
    Done,
}

/// A message that arrives after its sender has timed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Late {
    /// A settlement.
    Settle {
        /// It.
        settlement: Settlement,
        /// Whether its fence still holds.
        fresh: bool,
    },
    /// A firing's next state.
    Advance {
        /// The firing's tick.
        tick: Moment,
        /// The state that the store must have.
        from: Firing,
        /// The next one.
        to: Firing,
        /// Whether its fence still holds.
        fresh: bool,
    },
    /// A call to the launcher.
    Call {
        /// The firing's tick.
        tick: Moment,
        /// The token.
        token: u8,
    },
}

/// The launcher's record of one firing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Launches {
    /// The tokens that were answered, one bit each.
    pub(crate) answered: u8,
    /// The answered tokens for which a task was started.
    pub(crate) started: u8,
    /// How many random tokens were generated so far.
    pub(crate) generated: u8,
}

/// The broken properties, set by the step that breaks them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Broken {
    /// A tick got a second outcome, or a moment that is no tick of the job got one.
    pub outcome: bool,
    /// A tick ended as `source_error` inside its window, and no later one had replaced it.
    pub given_up: bool,
    /// A second task was started for a firing.
    pub doubled: bool,
    /// The launcher was called before the attempt was durable.
    pub unrecorded: bool,
    /// A fenced owner was allowed to launch.
    pub fenced_launch: bool,
}

/// A state of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct State {
    /// The time.
    pub now: Moment,
    /// The job in the store.
    pub job: Job,
    /// Ticks of the job, up to the horizon, that have no outcome.
    pub open: Moments,
    /// The journal's firings, by their ticks.
    pub firings: PerMoment<Firing>,
    pub(crate) launches: PerMoment<Launches>,
    /// The replica that the shard's register names, unless that process has ended.
    pub holder: Option<u8>,
    /// The processes.
    pub owners: [Owner; 2],
    /// Edits of the schedule and of the description.
    pub editors: [Editor; 2],
    /// A late message.
    pub late: Option<Late>,
    /// The properties that are broken.
    pub broken: Broken,
}

impl Engine {
    /// Tells whether the store rejects its writes.
    pub(crate) const fn is_fenced(&self, config: &Config) -> bool {
        config.safeguards.fence && !self.fresh
    }

    fn compact(&mut self, config: &Config) {
        if self.is_fenced(config) {
            // Its writes change nothing; only its checked calls can.
            (self.known, self.decided, self.uncertain) = (None, None, false);
            for driver in &mut self.drivers {
                let calls = match driver {
                    FiringDriver::Checked { .. } => true,
                    FiringDriver::Waiting(Firing::Recorded { .. }) => !config.safeguards.check_lease,
                    FiringDriver::None | FiringDriver::Waiting(_) | FiringDriver::Answered { .. } => false,
                };
                if !calls {
                    *driver = FiringDriver::None;
                }
            }
        }
        if let Some(known) = &mut self.known {
            known.compact();
            if known.replaced
                && config.safeguards.revision_in_settle
                && config.safeguards.keep_earlier_schedules
            {
                // A settlement by an old version is refused, whatever it says.
                *known = Job { replaced: true, settled: known.settled, ..Job::NEW };
            }
        }
    }
}

impl State {
    pub(crate) fn owner_mut(&mut self, owner: u8) -> &mut Owner {
        &mut self.owners[usize::from(owner)]
    }

    /// Drops details without effect on later steps, so that more states are equal.
    pub(crate) fn compact(&mut self, config: &Config) {
        self.job.compact();
        for engine in self.owners.iter_mut().filter_map(|owner| owner.engine.as_mut()) {
            engine.compact(config);
        }
        self.late = self.late.filter(|late| self.may_matter(config, *late));
        for index in 0..MOMENTS {
            if self.firings[index] == Firing::Launched && !self.concerns(index) {
                self.firings[index] = Firing::None;
                self.launches[index] = Launches::default();
            }
        }
        if config.symmetric && config.shared && self.owners[0] > self.owners[1] {
            self.owners.swap(0, 1);
            self.holder = self.holder.map(|holder| 1 - holder);
        }
    }

    /// Tells whether a late message may still change anything.
    fn may_matter(&self, config: &Config, late: Late) -> bool {
        let fenced = |fresh: bool| config.safeguards.fence && !fresh;
        match late {
            Late::Settle { settlement: Settlement { expected, replaced, .. }, fresh } => {
                let other_version = replaced && config.safeguards.revision_in_settle;
                !fenced(fresh) && !other_version && expected == self.job.settled
            }
            Late::Advance { tick, from, fresh, .. } => {
                !fenced(fresh) && self.firings[usize::from(tick) - 1].kind() <= from.kind()
            }
            Late::Call { tick, token } => !self.is_answered(tick, token),
        }
    }

    /// Tells whether a process may still act on a firing.
    fn concerns(&self, index: usize) -> bool {
        let carried =
            |owner: &Owner| owner.engine.is_some_and(|engine| engine.drivers[index] != FiringDriver::None);
        let late = match self.late {
            Some(Late::Call { tick, .. } | Late::Advance { tick, .. }) => usize::from(tick) == index + 1,
            Some(Late::Settle { .. }) | None => false,
        };
        late || self.owners.iter().any(carried)
    }
}
