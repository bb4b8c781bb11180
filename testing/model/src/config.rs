//! The scope of one run of the model, its faults and its safeguards.

use crate::job::Moment;

/// The scope of one run of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Two replicas share the store; otherwise one process has it for itself and restarts.
    pub shared: bool,
    /// The last moment, at most [`MOMENTS`](crate::MOMENTS).
    pub horizon: Moment,
    /// For how many moments a tick is honoured: `catchUp.window`.
    pub window: Moment,
    /// The policy for several unsettled ticks: `catchUp.policy`.
    pub catch_up: CatchUp,
    /// The schedule is edited once.
    pub schedule_edit: bool,
    /// The description is edited once.
    pub description_edit: bool,
    /// States that differ only in which of two owners is which count as one.
    pub symmetric: bool,
    /// The faults that may occur.
    pub faults: Faults,
    /// The safeguards that are in place.
    pub safeguards: Safeguards,
}

/// The policy for several unsettled ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatchUp {
    /// The newest one fires.
    Latest,
    /// Each fires that is inside the window.
    All,
}

/// The faults that may occur, each any number of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Faults {
    /// A process crashes.
    pub crashes: bool,
    /// A process freezes for longer than its lease, and continues later.
    pub freezes: bool,
    /// An answer is lost.
    pub lost_answers: bool,
    /// A message arrives after its sender has timed out; one at a time.
    pub late_messages: bool,
    /// A read fails temporarily at the moment of a tick.
    pub read_faults: bool,
    /// The launcher refuses the first attempt of a firing, and may accept the next one.
    pub refusals: bool,
}

/// The token of a call to the launcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// Derived from the identity of the call: job, tick, batch and number of the attempt.
    Identity,
    /// Random, recorded with the attempt.
    Recorded,
    /// Random for each call.
    EachCall,
}

/// The safeguards that are in place. Without one of them, the model finds the fault that it prevents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Safeguards {
    /// An edit keeps the schedules of versions whose ticks have no outcome yet.
    pub keep_earlier_schedules: bool,
    /// The store rejects a settlement of another job version.
    pub revision_in_settle: bool,
    /// A tick whose source cannot be read temporarily stays unsettled.
    pub retry_reads: bool,
    /// The store rejects writes of an owner that has been replaced.
    pub fence: bool,
    /// An owner checks its lease, by its own clock, before each call to the launcher.
    pub check_lease: bool,
    /// An attempt is durable before its call.
    pub intent_first: bool,
    /// The token of a call.
    pub token: Token,
    /// An owner that finds ticks settled by another process searches the journal for open firings.
    pub resume_when_moved: bool,
    /// A replica that restarts on a shard that it still owns claims it again, under a new fence.
    pub new_fence: bool,
}

impl Faults {
    /// No faults.
    pub const NONE: Self = Self {
        crashes: false,
        freezes: false,
        lost_answers: false,
        late_messages: false,
        read_faults: false,
        refusals: false,
    };

    /// The usual faults: all but late messages and refusals.
    pub const USUAL: Self =
        Self { crashes: true, freezes: true, lost_answers: true, read_faults: true, ..Self::NONE };

    /// All faults.
    pub const ALL: Self = Self { late_messages: true, refusals: true, ..Self::USUAL };
}

impl Safeguards {
    /// All safeguards.
    pub const ALL: Self = Self {
        keep_earlier_schedules: true,
        revision_in_settle: true,
        retry_reads: true,
        fence: true,
        check_lease: true,
        intent_first: true,
        token: Token::Identity,
        resume_when_moved: true,
        new_fence: true,
    };
}

impl Config {
    /// Two replicas on a shared store, three ticks, an edit of the schedule and one of the description.
    pub const REPLICAS: Self = Self {
        shared: true,
        horizon: 5,
        window: 2,
        catch_up: CatchUp::Latest,
        schedule_edit: true,
        description_edit: true,
        symmetric: true,
        faults: Faults::USUAL,
        safeguards: Safeguards::ALL,
    };

    /// The same with one process that has the store for itself and restarts.
    pub const ALONE: Self = Self { shared: false, ..Self::REPLICAS };

    /// The same up to another moment.
    #[must_use]
    pub fn until(self, horizon: Moment) -> Self {
        Self { horizon, ..self }
    }

    /// The same with other faults.
    #[must_use]
    pub fn with_faults(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }

    /// The same with these edits only.
    #[must_use]
    pub fn with_edits(self, schedule_edit: bool, description_edit: bool) -> Self {
        Self { schedule_edit, description_edit, ..self }
    }

    /// The same with these safeguards only.
    #[must_use]
    pub fn with_safeguards(self, safeguards: Safeguards) -> Self {
        Self { safeguards, ..self }
    }
}
