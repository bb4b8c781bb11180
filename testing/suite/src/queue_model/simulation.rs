//! The true state of the queue and of the tasks, second by second.

use std::collections::VecDeque;
use std::time::Duration;

use super::scenario::STEADY_START;
use super::{HOUR, QueueSetting, Report, Scenario, VISIBILITY_TIMEOUT};
use crate::SimRng;
use ecs_scheduler_core::policy::Mode;

/// How often the lag of the counts changes, in seconds.
const LAG_CHANGES: u32 = 20;
/// How long a task waits for a message before it exits, in seconds.
const IDLE_TIMEOUT: u32 = 5;

/// A queue and its tasks, with their history.
#[derive(Debug)]
pub struct QueueSimulation {
    scenario: Scenario,
    setting: QueueSetting,
    now: u32,
    arriving: SimRng,
    lagging: SimRng,
    working: SimRng,
    viewing: SimRng,
    visible: VecDeque<usize>,
    /// Messages of tasks that crashed, and when they become visible again.
    orphans: Vec<(u32, usize)>,
    messages: Vec<QueuedMessage>,
    tasks: Vec<Task>,
    /// The tasks that have not ended.
    live: Vec<usize>,
    in_flight: u32,
    counts: Vec<(u32, u32)>,
    lag: u32,
    most_busy: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct QueuedMessage {
    arrived: u32,
    taken: Option<u32>,
    done: bool,
}

/// The true state of one task.
#[derive(Debug, Clone, Copy)]
pub struct Task {
    /// When it was launched.
    pub launched: u32,
    /// When it starts.
    pub starts: u32,
    /// When it ended, and whether it succeeded.
    pub ended: Option<(u32, bool)>,
    /// How many messages it took.
    pub taken: u32,
    doing: Doing,
    /// The number of the message during which it crashes, and the fraction of the work done by then.
    crashes: Option<(u32, f64)>,
}

#[derive(Debug, Clone, Copy)]
enum Doing {
    Starting,
    Receiving { since: u32 },
    Working { message: usize, since: u32, until: u32, crash: bool },
}

impl QueueSimulation {
    /// Makes a simulation at second 0. Equal seeds have equal arrivals, whatever the rule does.
    #[must_use]
    pub fn new(scenario: Scenario, setting: QueueSetting, seed: u64) -> Self {
        let mut seeds = SimRng::new(seed);
        let mut world = Self {
            scenario,
            setting,
            now: 0,
            arriving: SimRng::new(seeds.next()),
            lagging: SimRng::new(seeds.next()),
            working: SimRng::new(seeds.next()),
            viewing: SimRng::new(seeds.next()),
            visible: VecDeque::new(),
            orphans: Vec::new(),
            messages: Vec::new(),
            tasks: Vec::new(),
            live: Vec::new(),
            in_flight: 0,
            counts: Vec::new(),
            lag: 0,
            most_busy: 0,
        };
        world.step();
        world
    }

    /// Advances to this second.
    pub fn advance(&mut self, to: u32) {
        while self.now < to {
            self.now += 1;
            self.step();
        }
    }

    /// Returns the visible and in-flight counts as the queue reports them, with their lag.
    #[must_use]
    pub fn counts(&self) -> (u32, u32) {
        self.counts[self.now.saturating_sub(self.lag) as usize]
    }

    /// Returns the true visible and in-flight counts.
    #[must_use]
    pub fn truth(&self) -> (u32, u32) {
        self.counts[self.now as usize]
    }

    /// Launches a task and returns its number.
    pub fn launch(&mut self) -> usize {
        let rng = &mut self.working;
        let starts = between(rng, 20, 60);
        let starts = self.now + if self.scenario.steady { STEADY_START } else { starts };
        let nth = between(rng, 1, self.scenario.per_task.get());
        let (share, crash) = (unit(rng), rng.chance(self.setting.crashes));
        let task = Task {
            launched: self.now,
            starts,
            ended: None,
            taken: 0,
            doing: Doing::Starting,
            crashes: crash.then_some((nth, share)),
        };
        self.live.push(self.tasks.len());
        self.tasks.push(task);
        self.most_busy = self.most_busy.max(self.busy());
        self.tasks.len() - 1
    }

    /// Returns a task.
    #[must_use]
    pub fn task(&self, number: usize) -> &Task {
        &self.tasks[number]
    }

    /// Returns the second whose task list the next listing shows.
    pub fn view(&mut self) -> u32 {
        self.now.saturating_sub(between(&mut self.viewing, 1, 5))
    }

    /// Returns how many more messages the successful tasks could have taken.
    #[must_use]
    pub fn unfilled(&self) -> u32 {
        let clean = self.tasks.iter().filter(|task| matches!(task.ended, Some((_, true))));
        clean.map(|task| self.scenario.per_task.get().saturating_sub(task.taken)).sum()
    }

    /// Returns how many tasks have not ended.
    #[must_use]
    pub fn busy(&self) -> u32 {
        count(self.live.iter())
    }

    /// Returns the tasks that a listing of this second shows.
    pub fn tasks_at(&self, second: u32) -> impl Iterator<Item = (usize, &Task)> {
        self.tasks.iter().enumerate().filter(move |(_, task)| task.launched <= second)
    }

    /// Tells whether all messages have arrived and are done.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.now > HOUR && self.busy() == 0 && self.messages.iter().all(|message| message.done)
    }

    /// Returns the report of the run.
    #[must_use]
    pub fn report(&self) -> Report {
        let waits = self.messages.iter().filter_map(|message| Some(message.taken? - message.arrived));
        let ended = self.tasks.iter().filter(|task| task.ended.is_some());
        Report {
            messages: count(self.messages.iter()),
            unserved: count(self.messages.iter().filter(|message| !message.done)),
            launched: count(self.tasks.iter()),
            empty: count(ended.filter(|task| task.taken == 0)),
            failed: count(self.tasks.iter().filter(|task| matches!(task.ended, Some((_, false))))),
            waited: waits.map(u64::from).sum(),
            most_busy: self.most_busy,
        }
    }

    fn step(&mut self) {
        let now = self.now;
        for _ in 0..self.scenario.arrivals.at(now, &mut self.arriving) {
            self.visible.push_back(self.messages.len());
            self.messages.push(QueuedMessage { arrived: now, ..QueuedMessage::default() });
        }
        let back = self.orphans.extract_if(.., |(at, _)| *at <= now);
        self.visible.extend(back.map(|(_, message)| message));
        self.in_flight = count(self.orphans.iter());
        let mut live = std::mem::take(&mut self.live);
        live.retain(|number| {
            let mut task = self.tasks[*number];
            self.work(&mut task);
            self.tasks[*number] = task;
            let working = matches!(task.doing, Doing::Working { .. }) && task.ended.is_none();
            self.in_flight += u32::from(working);
            task.ended.is_none()
        });
        self.live = live;
        self.counts.push((count(self.visible.iter()), self.in_flight));
        if now.is_multiple_of(LAG_CHANGES) {
            let most = self.setting.max_lag;
            self.lag = if self.scenario.steady { most } else { between(&mut self.lagging, 0, most) };
        }
    }

    /// Advances one task by a second.
    fn work(&mut self, task: &mut Task) {
        let now = self.now;
        match task.doing {
            Doing::Starting if now >= task.starts => task.doing = Doing::Receiving { since: now },
            Doing::Working { message, since, until, crash } if now >= until => {
                if crash {
                    self.orphans.push((since + VISIBILITY_TIMEOUT, message));
                    self.in_flight += 1;
                    task.ended = Some((now, false));
                    return;
                }
                self.messages[message].done = true;
                task.doing = Doing::Receiving { since: now };
                if self.scenario.mode != Mode::Drain && task.taken == self.scenario.per_task.get() {
                    task.ended = Some((now, true));
                    return;
                }
            }
            Doing::Starting | Doing::Working { .. } => return,
            Doing::Receiving { .. } => {}
        }
        let Doing::Receiving { since } = task.doing else { return };
        if let Some(message) = self.visible.pop_front() {
            task.doing = self.receive(task, message);
        } else if now - since >= IDLE_TIMEOUT {
            task.ended = Some((now, true));
        }
    }

    fn receive(&mut self, task: &mut Task, message: usize) -> Doing {
        let now = self.now;
        self.messages[message].taken.get_or_insert(now);
        task.taken += 1;
        let crash = task.crashes.filter(|(nth, _)| *nth == task.taken);
        let drawn = -(1.0 - unit(&mut self.working)).ln();
        let service = self.scenario.service * if self.scenario.steady { 1.0 } else { drawn };
        // No task works on a message for longer than it is invisible.
        let service = service.min(f64::from(VISIBILITY_TIMEOUT - 1)) * crash.map_or(1.0, |(_, share)| share);
        let seconds = u32::try_from(Duration::from_secs_f64(service).as_secs()).unwrap_or(u32::MAX);
        Doing::Working { message, since: now, until: now + seconds.max(1), crash: crash.is_some() }
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}

/// Draws an integer between `least` and `most`, both inclusive.
fn between(rng: &mut SimRng, least: u32, most: u32) -> u32 {
    least + u32::try_from(rng.below(u64::from(most - least) + 1)).unwrap_or(u32::MAX)
}

/// Draws from [0, 1).
fn unit(rng: &mut SimRng) -> f64 {
    f64::from(u32::try_from(rng.next() >> 32).unwrap_or(u32::MAX)) / (f64::from(u32::MAX) + 1.0)
}
