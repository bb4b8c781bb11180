//! The scope of one run of the model, and the mends that it has.

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
    /// The faults that may happen.
    pub trouble: Trouble,
    /// Which mends are in place.
    pub mends: Mends,
}

/// The policy for several unsettled ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatchUp {
    /// The newest one fires.
    Latest,
    /// Each fires that is inside the window.
    All,
}

/// The faults that may happen, each any number of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Trouble {
    /// A process ends without a word.
    pub crashes: bool,
    /// A process cannot show for the length of its lease that it lives, and goes on later.
    pub freezes: bool,
    /// An answer is lost.
    pub lost_answers: bool,
    /// A message is still on its way when its sender has given it up; one at a time.
    pub late_messages: bool,
    /// A read fails for a passing reason at the moment of a tick.
    pub faults: bool,
    /// The launcher refuses the first attempt of a firing, and may accept the next one.
    pub refusals: bool,
}

/// Which token a call to the launcher carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// The one that follows from the identity of the call: job, tick, batch and number of the attempt.
    Identity,
    /// A random one, noted with the attempt.
    Noted,
    /// A random one for each call.
    EachCall,
}

/// Which mends are in place. Without one, the model finds the fault that it prevents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mends {
    /// An edit keeps the schedules of versions whose ticks have no outcome yet.
    pub keep_earlier_schedules: bool,
    /// The store refuses a settlement that was decided by another version of the job.
    pub revision_in_settle: bool,
    /// A tick whose source cannot be read for a passing reason stays unsettled.
    pub retry_reads: bool,
    /// The store refuses writes of an owner whose shard has another one since.
    pub fence: bool,
    /// An owner asks its own clock whether its lease holds before each call to the launcher.
    pub ask_lease: bool,
    /// An attempt is durable before the call.
    pub intent_first: bool,
    /// The token of a call.
    pub token: Token,
    /// An owner that finds ticks settled by another hand looks for open firings in the journal.
    pub adopt_when_moved: bool,
    /// A replica that takes up a shard that it still owns claims it again, under a new fence.
    pub new_fence: bool,
}

impl Trouble {
    /// All goes well.
    pub const NONE: Self = Self {
        crashes: false,
        freezes: false,
        lost_answers: false,
        late_messages: false,
        faults: false,
        refusals: false,
    };

    /// The usual faults: all but messages that arrive after their sender has given them up, and
    /// refusals.
    pub const USUAL: Self =
        Self { crashes: true, freezes: true, lost_answers: true, faults: true, ..Self::NONE };

    /// Everything.
    pub const ALL: Self = Self { late_messages: true, refusals: true, ..Self::USUAL };
}

impl Mends {
    /// All of them.
    pub const ALL: Self = Self {
        keep_earlier_schedules: true,
        revision_in_settle: true,
        retry_reads: true,
        fence: true,
        ask_lease: true,
        intent_first: true,
        token: Token::Identity,
        adopt_when_moved: true,
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
        trouble: Trouble::USUAL,
        mends: Mends::ALL,
    };

    /// The same with one process that has the store for itself and restarts.
    pub const ALONE: Self = Self { shared: false, ..Self::REPLICAS };

    /// The same up to another moment.
    #[must_use]
    pub fn until(self, horizon: Moment) -> Self {
        Self { horizon, ..self }
    }

    /// The same with other troubles.
    #[must_use]
    pub fn with(self, trouble: Trouble) -> Self {
        Self { trouble, ..self }
    }

    /// The same with these edits only.
    #[must_use]
    pub fn edited(self, schedule_edit: bool, description_edit: bool) -> Self {
        Self { schedule_edit, description_edit, ..self }
    }

    /// The same with these mends only.
    #[must_use]
    pub fn mended(self, mends: Mends) -> Self {
        Self { mends, ..self }
    }
}
