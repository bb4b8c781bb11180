//! The protocol as a model: the possible steps of a state, their effects, and the properties.

use stateright::{Model, Property};

use crate::config::Config;
use crate::job::{Job, Moment, Moments, Plan};
use crate::state::{Broken, Editor, Engine, Firing, FiringDriver, Late, MOMENTS, Owner, State};

/// The names of the properties.
pub mod property {
    /// Each tick has one outcome at most.
    pub const OUTCOME: &str = "an outcome belongs to a tick, and no tick has two";
    /// Each tick has one outcome at least, and its firing comes to an end.
    pub const COMPLETE: &str = "when nothing more happens, every tick has an outcome and no firing is open";
    /// A temporary fault ends no tick.
    pub const GIVEN_UP: &str = "no tick is given up inside its window because its source could not be read";
    /// One task for each firing.
    pub const DOUBLED: &str = "no firing is launched twice";
    /// The journal has each call.
    pub const INTENT: &str = "nothing is launched without a durable intent";
    /// An owner that others have replaced launches nothing more.
    pub const FENCED: &str = "a fenced owner begins no launch";
}

/// Whether an answer arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It does.
    Arrives,
    /// It is lost; the message had its effect.
    Lost,
    /// It is lost; the message is still on its way.
    Late,
}

/// Whether the source of the evaluated tick can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceRead {
    /// It can.
    Succeeds,
    /// It cannot, for a passing reason.
    Fails,
}

/// The launcher's answer to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallAnswer {
    /// It arrives.
    Arrives,
    /// It is lost; the call had its effect.
    Lost,
    /// It arrives, and is a temporary refusal.
    Refuses,
}

/// A step of the protocol, with the name of the function that it models. The table in the README has these functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The next moment comes.
    Now,
    /// A request to edit the job (0: its schedule, 1: its description) reads the job and the clock.
    Edit(u8),
    /// It replaces the document.
    Replace(u8),
    /// A replica takes over the shard.
    Claim(u8),
    /// A replica starts on a shard that it still owns, or the only process starts its engine.
    Acquire(u8),
    /// An engine resumes the open firings of the journal.
    ResumeOpenFirings(u8),
    /// An engine reads the job.
    Reload(u8),
    /// An engine plans the due ticks, and decides one.
    EvaluateJob(u8, SourceRead),
    /// The store settles the decision.
    Settle(u8, Answer),
    /// An attempt is recorded.
    StartAttempt(u8, Moment),
    /// The lease is checked.
    MayLaunch(u8, Moment),
    /// The launcher is called.
    Call(u8, Moment, CallAnswer),
    /// The launcher's answer is recorded.
    RecordReport(u8, Moment),
    /// A replica's lease expires.
    Expiry(u8),
    /// Its heartbeat resumes, or it is restarted.
    Renew(u8),
    /// It leaves the shard; this one of its messages in progress may still arrive.
    WatchLease(u8, Option<u8>),
    /// A process ends; this one of its messages in progress may still arrive.
    Crash(u8, Option<u8>),
    /// A late message arrives.
    Arrive,
    /// A late message is lost.
    Vanish,
}

/// The protocol for one job.
#[derive(Debug, Clone)]
pub struct Protocol {
    /// The scope.
    pub config: Config,
}

impl Protocol {
    fn replicas(&self) -> u8 {
        if self.config.shared { 2 } else { 1 }
    }

    /// Collects the steps that happen eventually, unless another one makes them impossible.
    fn steps(&self, state: &State, actions: &mut Vec<Action>) {
        if state.now < self.config.horizon {
            actions.push(Action::Now);
        }
        for editor in 0..2 {
            if matches!(state.editors[usize::from(editor)], Editor::Writes(_) | Editor::Conflicts) {
                actions.push(Action::Replace(editor));
            }
        }
        if state.late.is_some() {
            actions.extend([Action::Arrive, Action::Vanish]);
        }
        for owner in 0..self.replicas() {
            let process = &state.owners[usize::from(owner)];
            match &process.engine {
                Some(engine) => self.engine_steps(state, owner, engine, actions),
                None => self.idle_steps(state, owner, process, actions),
            }
            if !process.lease {
                actions.push(Action::Renew(owner));
            }
        }
    }

    /// Tells whether any step of this state happens without a fault.
    fn continues(&self, state: &State) -> bool {
        let mut steps = Vec::new();
        if state.now == self.config.horizon {
            self.steps(state, &mut steps);
        }
        state.now < self.config.horizon || !steps.is_empty()
    }

    fn idle_steps(&self, state: &State, owner: u8, process: &Owner, actions: &mut Vec<Action>) {
        if process.lease {
            let free = state.holder.is_none_or(|holder| !state.owners[usize::from(holder)].lease);
            if !self.config.shared || state.holder == Some(owner) {
                actions.push(Action::Acquire(owner));
            } else if free {
                actions.push(Action::Claim(owner));
            }
        }
    }

    fn engine_steps(&self, state: &State, owner: u8, engine: &Engine, actions: &mut Vec<Action>) {
        if !engine.in_term {
            actions.push(Action::WatchLease(owner, None));
        }
        if (!engine.resumed || engine.uncertain) && !engine.is_fenced(&self.config) {
            actions.push(Action::ResumeOpenFirings(owner));
        }
        let outdated = engine.known != Some(state.job);
        if engine.resumed && outdated && engine.decided.is_none() && !engine.is_fenced(&self.config) {
            actions.push(Action::Reload(owner));
        }
        if engine.plan(&self.config, state).is_some() {
            actions.push(Action::EvaluateJob(owner, SourceRead::Succeeds));
        }
        if engine.decided.is_some() {
            actions.push(Action::Settle(owner, Answer::Arrives));
        }
        let Some((tick, driver)) = first_driven(engine) else { return };
        match driver {
            FiringDriver::Waiting(Firing::Planned | Firing::Refused { .. }) => {
                actions.push(Action::StartAttempt(owner, tick));
            }
            FiringDriver::Waiting(Firing::Recorded { .. })
                if engine.in_term || !self.config.safeguards.check_lease =>
            {
                actions.push(Action::MayLaunch(owner, tick));
            }
            FiringDriver::Checked { .. } => actions.push(Action::Call(owner, tick, CallAnswer::Arrives)),
            FiringDriver::Answered { .. } => actions.push(Action::RecordReport(owner, tick)),
            FiringDriver::None | FiringDriver::Waiting(_) => {}
        }
    }

    /// Collects the faults and edits that may occur.
    fn disturbances(&self, state: &State, actions: &mut Vec<Action>) {
        let config = &self.config;
        let faults = &config.faults;
        for (editor, allowed) in [(0, config.schedule_edit), (1, config.description_edit)] {
            if allowed && state.editors[usize::from(editor)] == Editor::Waits {
                actions.push(Action::Edit(editor));
            }
        }
        for owner in 0..self.replicas() {
            let process = &state.owners[usize::from(owner)];
            if faults.crashes && (process.lease || process.engine.is_some()) {
                self.endings(state, process, |late| Action::Crash(owner, late), actions);
            }
            if config.shared && process.lease && faults.freezes {
                actions.push(Action::Expiry(owner));
            }
            let Some(engine) = &process.engine else { continue };
            if !engine.in_term {
                self.endings(state, process, |late| Action::WatchLease(owner, late), actions);
            }
            self.engine_disturbances(state, owner, engine, actions);
        }
    }

    /// Collects the ways in which an engine may end: one for each message that may be in progress.
    fn endings(
        &self,
        state: &State,
        process: &Owner,
        ending: impl Fn(Option<u8>) -> Action,
        actions: &mut Vec<Action>,
    ) {
        actions.push(ending(None));
        if self.config.faults.late_messages && state.late.is_none() {
            let under_way = process.engine.map_or(0, |engine| engine.under_way(&self.config).len());
            let under_way = u8::try_from(under_way).expect("there are few");
            actions.extend((0..under_way).map(|message| ending(Some(message))));
        }
    }

    fn engine_disturbances(&self, state: &State, owner: u8, engine: &Engine, actions: &mut Vec<Action>) {
        let faults = &self.config.faults;
        if faults.read_faults && engine.plan(&self.config, state).is_some() {
            actions.push(Action::EvaluateJob(owner, SourceRead::Fails));
        }
        if engine.decided.is_some() {
            if faults.lost_answers {
                actions.push(Action::Settle(owner, Answer::Lost));
            }
            if faults.late_messages && state.late.is_none() {
                actions.push(Action::Settle(owner, Answer::Late));
            }
        }
        let Some((tick, FiringDriver::Checked { attempt, token })) = first_driven(engine) else { return };
        if faults.lost_answers {
            actions.push(Action::Call(owner, tick, CallAnswer::Lost));
        }
        if faults.refusals && attempt == 1 && !state.is_answered(tick, token) {
            actions.push(Action::Call(owner, tick, CallAnswer::Refuses));
        }
    }

    /// Ends the engine of an owner; one of its messages in progress may still arrive.
    fn end(&self, state: &mut State, owner: u8, late: Option<u8>) {
        let engine = state.owner_mut(owner).engine.take();
        if let (Some(message), Some(engine)) = (late, engine) {
            state.late = engine.under_way(&self.config).get(usize::from(message)).copied();
        }
    }

    fn apply(&self, state: &mut State, action: Action) {
        let config = &self.config;
        match action {
            Action::Now => state.now += 1,
            Action::Edit(editor) => state.edit(config, editor),
            Action::Replace(editor) => state.replace(config, editor),
            Action::Claim(owner) => state.start(owner, true),
            Action::Acquire(owner) => state.start(owner, config.shared && config.safeguards.new_fence),
            Action::ResumeOpenFirings(owner) => state.resume_open_firings(owner),
            Action::Reload(owner) => state.reload(config, owner),
            Action::EvaluateJob(owner, source) => self.decide(state, owner, source == SourceRead::Fails),
            Action::Settle(owner, Answer::Arrives) => state.settle_decided(config, owner),
            Action::Settle(owner, Answer::Lost) => state.settle_unanswered(config, owner, true),
            Action::Settle(owner, Answer::Late) => state.settle_unanswered(config, owner, false),
            Action::StartAttempt(owner, tick) => state.start_attempt(config, owner, tick),
            Action::MayLaunch(owner, tick) => state.may_launch(owner, tick),
            Action::Call(owner, tick, report) => {
                state.call(config, owner, tick, report == CallAnswer::Refuses, report != CallAnswer::Lost);
            }
            Action::RecordReport(owner, tick) => state.record_report(config, owner, tick),
            Action::Arrive => state.arrive(config),
            Action::Vanish => state.late = None,
            Action::Expiry(owner) => {
                let process = state.owner_mut(owner);
                process.lease = false;
                if let Some(engine) = &mut process.engine {
                    engine.in_term = false;
                }
            }
            Action::Renew(owner) => state.owner_mut(owner).lease = true,
            Action::WatchLease(owner, late) => self.end(state, owner, late),
            Action::Crash(owner, late) => self.crash(state, owner, late),
        }
    }

    /// Ends a process. The store of a single process accepts no further write of it.
    fn crash(&self, state: &mut State, owner: u8, late: Option<u8>) {
        if !self.config.shared && !matches!(state.late, Some(Late::Call { .. })) {
            state.late = None;
        }
        self.end(state, owner, late);
        state.owner_mut(owner).lease = false;
        state.holder = state.holder.filter(|holder| *holder != owner);
    }

    /// Plans the due ticks. If the source of the evaluated tick cannot be read, that tick stays open and only earlier ones are
    /// settled.
    fn decide(&self, state: &mut State, owner: u8, failed: bool) {
        let Some(engine) = state.owners[usize::from(owner)].engine else { return };
        let Some(mut settlement) = engine.plan(&self.config, state) else { return };
        if failed && settlement.plan.tick.is_some() && self.config.safeguards.retry_reads {
            let passed = settlement.plan.passed;
            let Some(settles) = passed.last() else { return };
            settlement.plan = Plan { passed, tick: None, settles };
        } else {
            settlement.failed = failed && settlement.plan.tick.is_some();
        }
        if let Some(engine) = &mut state.owner_mut(owner).engine {
            engine.decided = Some(settlement);
        }
    }
}

/// Dispatch drives one firing at a time, the oldest first.
fn first_driven(engine: &Engine) -> Option<(Moment, FiringDriver)> {
    let mut drivers = (1..).zip(engine.drivers);
    drivers.find(|(_, driver)| *driver != FiringDriver::None)
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let engine = Engine { resumed: true, known: Some(Job::NEW), ..Engine::STARTED };
        let running = Owner { lease: true, engine: Some(engine) };
        let other = Owner { engine: None, ..running };
        vec![State {
            now: 0,
            job: Job::NEW,
            open: Job::NEW.schedule.ticks().and(Moments::between(0, self.config.horizon)),
            firings: [Firing::None; MOMENTS],
            launches: Default::default(),
            holder: Some(0),
            owners: [running, other],
            editors: [Editor::Waits; 2],
            late: None,
            broken: Broken::default(),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.steps(state, actions);
        self.disturbances(state, actions);
    }

    fn next_state(&self, last_state: &State, action: Action) -> Option<State> {
        let mut state = *last_state;
        self.apply(&mut state, action);
        state.compact(&self.config);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(property::OUTCOME, |_, state: &State| !state.broken.outcome),
            Property::always(property::GIVEN_UP, |_, state: &State| !state.broken.given_up),
            Property::always(property::DOUBLED, |_, state: &State| !state.broken.doubled),
            Property::always(property::INTENT, |_, state: &State| !state.broken.unrecorded),
            Property::always(property::FENCED, |_, state: &State| !state.broken.fenced_launch),
            Property::always(property::COMPLETE, |model: &Self, state: &State| {
                let complete = state.open.is_empty() && !state.firings.iter().any(|firing| firing.is_open());
                complete || model.continues(state)
            }),
        ]
    }
}
