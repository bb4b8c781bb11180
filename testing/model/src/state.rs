//! One state of everything: the clock, the store, the launcher, the owners, the editors, and what is on its way.

use crate::config::Config;
use crate::job::{Job, Moment, Moments, Plan};

/// How many moments there are after the job's creation.
pub const MOMENTS: usize = 5;

/// Something for each moment from 1 on.
pub(crate) type PerMoment<T> = [T; MOMENTS];

/// How far a firing has come, as the journal has it or as a carrier remembers it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Firing {
    /// There is none, or it is launched and nobody is concerned with it any more.
    #[default]
    None,
    /// Journalled; nothing was sent.
    Planned,
    /// `launching`: a call with this attempt's token was, or may have been, sent.
    Noted {
        /// The number of the attempt.
        attempt: u8,
        /// Its token.
        token: u8,
    },
    /// `launching`: the attempt of this number was refused, and a further one is to follow.
    Refused {
        /// The number of the attempt.
        attempt: u8,
    },
    /// Its task was started.
    Launched,
}

impl Firing {
    /// Tells whether the engine still has something to do for it.
    pub(crate) const fn is_open(self) -> bool {
        matches!(self, Self::Planned | Self::Noted { .. } | Self::Refused { .. })
    }

    /// Returns the state as the store's compare-and-set sees it.
    pub(crate) const fn kind(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Planned => 1,
            Self::Noted { .. } | Self::Refused { .. } => 2,
            Self::Launched => 3,
        }
    }
}

/// The step of dispatch for a firing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carrier {
    /// Nothing: it does not have it.
    #[default]
    None,
    /// Carries it, as it remembers the journal.
    Holds(Firing),
    /// `may_launch` said yes for this attempt; the call was not made yet.
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

/// The conclusion of a round about the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Settlement {
    /// Up to where ticks must be settled in the store.
    pub expected: Moment,
    /// Another version was written since: the revision is not the store's.
    pub replaced: bool,
    /// The ticks.
    pub plan: Plan,
    /// The source of the tick that was looked at could not be read.
    pub failed: bool,
}

/// The engine of one owner for the job's shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Engine {
    /// The fence that it writes under is still that of the shard.
    pub fresh: bool,
    /// The lease has held without a break since it was started, and nothing told it to stop.
    pub in_term: bool,
    /// It has taken up the open firings of the journal.
    pub adopted: bool,
    /// The journal may hold an intent that nobody carries.
    pub doubtful: bool,
    /// The job, as it was read last.
    pub known: Option<Job>,
    /// The decision; its settlement is under way.
    pub decided: Option<Settlement>,
    /// Firings in its hands.
    pub carriers: PerMoment<Carrier>,
}

/// A process that may look at the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// It runs, and its lease holds.
    pub lease: bool,
    /// Looks at the job.
    pub engine: Option<Engine>,
}

/// A request that edits the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Editor {
    /// Not yet made.
    Waits,
    /// It has read the job and the clock, and is about to replace the job by this one.
    Writes(Job),
    /// The same, but the job was edited in between.
    Conflicts,
    /// Made, or not made any more.
    Done,
}

/// A message that arrives after its sender gave it up.
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
    /// Those of them for which a task was started.
    pub(crate) started: u8,
    /// How many tokens were made up so far.
    pub(crate) made_up: u8,
}

/// The properties that are broken. The step that breaks one notes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Broken {
    /// A tick got a second outcome, or something got one that is no tick of the job.
    pub outcome: bool,
    /// A tick ended as `source_error` inside its window, and no later one had taken its place.
    pub given_up: bool,
    /// A second task was started for a firing.
    pub doubled: bool,
    /// The launcher was called before the attempt was durable.
    pub unnoted: bool,
    /// A fenced owner took itself for entitled to launch.
    pub fenced_launch: bool,
}

/// One state of everything.
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
    /// The replica that the shard's register names, if that life of it has not ended.
    pub holder: Option<u8>,
    /// The processes.
    pub owners: [Owner; 2],
    /// Edits of the schedule and of the description.
    pub editors: [Editor; 2],
    /// A message on its way.
    pub late: Option<Late>,
    /// The properties that are broken.
    pub broken: Broken,
}

impl Engine {
    /// Tells whether the store refuses its writes.
    pub(crate) const fn is_fenced(&self, config: &Config) -> bool {
        config.mends.fence && !self.fresh
    }

    fn compact(&mut self, config: &Config) {
        if self.is_fenced(config) {
            // Its writes change nothing; only calls that it was about to make can.
            (self.known, self.decided, self.doubtful) = (None, None, false);
            for carrier in &mut self.carriers {
                let calls = match carrier {
                    Carrier::Checked { .. } => true,
                    Carrier::Holds(Firing::Noted { .. }) => !config.mends.ask_lease,
                    Carrier::None | Carrier::Holds(_) | Carrier::Answered { .. } => false,
                };
                if !calls {
                    *carrier = Carrier::None;
                }
            }
        }
        if let Some(known) = &mut self.known {
            known.compact();
            if known.replaced && config.mends.revision_in_settle && config.mends.keep_earlier_schedules {
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

    /// Forgets what can make no difference any more, so that more states are equal.
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
        let fenced = |fresh: bool| config.mends.fence && !fresh;
        match late {
            Late::Settle { settlement: Settlement { expected, replaced, .. }, fresh } => {
                let other_version = replaced && config.mends.revision_in_settle;
                !fenced(fresh) && !other_version && expected == self.job.settled
            }
            Late::Advance { tick, from, fresh, .. } => {
                !fenced(fresh) && self.firings[usize::from(tick) - 1].kind() <= from.kind()
            }
            Late::Call { tick, token } => !self.is_answered(tick, token),
        }
    }

    /// Tells whether somebody may still do something for a firing.
    fn concerns(&self, index: usize) -> bool {
        let carried =
            |owner: &Owner| owner.engine.is_some_and(|engine| engine.carriers[index] != Carrier::None);
        let late = match self.late {
            Some(Late::Call { tick, .. } | Late::Advance { tick, .. }) => usize::from(tick) == index + 1,
            Some(Late::Settle { .. }) | None => false,
        };
        late || self.owners.iter().any(carried)
    }
}
