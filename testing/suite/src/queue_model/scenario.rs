//! Scenarios: arrivals and the work of tasks.

use std::num::NonZeroU32;

use crate::SimRng;
use ecs_scheduler_core::policy::Mode;

/// How messages arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrivals {
    /// 60 at once, every 20 minutes.
    Burst,
    /// One with a probability of 5 % a second.
    Trickle,
    /// A rising rate, up to 0.8 a second at the end of the hour.
    Ramp,
    /// Three bursts of 20 in the hour, and one every 100 s between them: 94.
    Mixed,
}

/// A scenario in which rules are compared.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// A short name for tables.
    pub name: &'static str,
    /// How demand becomes a number of tasks. With `drain` a task works until the queue is empty, otherwise it exits after some
    /// messages.
    pub mode: Mode,
    /// Messages per task.
    pub per_task: NonZeroU32,
    /// How long a message takes on average, in seconds; exponentially distributed.
    pub service: f64,
    /// How messages arrive.
    pub arrivals: Arrivals,
    /// Whether the scenario is deterministic: counts always have the maximum lag, a task starts after [`STEADY_START`], and all
    /// messages take equally long.
    pub steady: bool,
}

/// How long a task takes to start in a deterministic scenario, in seconds.
pub const STEADY_START: u32 = 25;

/// The reference for a job's defaults: counts a minute old, tasks of 20 s, a few bursts, and single messages between them.
pub const REFERENCE: Scenario =
    Scenario { steady: true, ..one_shot("oneShot 20 s, bursts and single", 20.0, Arrivals::Mixed) };

const ONE: NonZeroU32 = NonZeroU32::MIN;
const TEN: NonZeroU32 = NonZeroU32::new(10).expect("10 is not zero");

const fn one_shot(name: &'static str, service: f64, arrivals: Arrivals) -> Scenario {
    Scenario { name, mode: Mode::OneShot, per_task: ONE, service, arrivals, steady: false }
}

const fn drain(name: &'static str, arrivals: Arrivals) -> Scenario {
    Scenario { name, mode: Mode::Drain, per_task: TEN, service: 5.0, arrivals, steady: false }
}

/// The eight scenarios.
pub const SCENARIOS: [Scenario; 8] = [
    one_shot("oneShot 20 s, burst", 20.0, Arrivals::Burst),
    one_shot("oneShot 20 s, trickle", 20.0, Arrivals::Trickle),
    one_shot("oneShot 20 s, ramp", 20.0, Arrivals::Ramp),
    one_shot("oneShot 180 s, burst", 180.0, Arrivals::Burst),
    one_shot("oneShot 180 s, trickle", 180.0, Arrivals::Trickle),
    drain("drain 5 s, burst", Arrivals::Burst),
    drain("drain 5 s, trickle", Arrivals::Trickle),
    drain("drain 5 s, ramp", Arrivals::Ramp),
];

/// The environment of a run, and the job's assumption about it.
#[derive(Debug, Clone, Copy)]
pub struct QueueSetting {
    /// The maximum lag of counts, in seconds.
    pub max_lag: u32,
    /// The job's `settle`, in seconds.
    pub settle: u32,
    /// The fraction of tasks that crash while they process a message.
    pub crashes: f64,
}

impl Arrivals {
    /// Returns how many messages arrive in this second.
    pub(super) fn at(self, second: u32, rng: &mut SimRng) -> u32 {
        if second >= super::HOUR {
            return 0;
        }
        match self {
            Self::Burst => 60 * u32::from(second % 1_200 == 60),
            Self::Trickle => u32::from(rng.chance(0.05)),
            Self::Mixed => {
                20 * u32::from(second % 1_200 == 60) + u32::from(second >= 200 && second.is_multiple_of(100))
            }
            Self::Ramp => u32::from(rng.chance(0.8 * f64::from(second) / f64::from(super::HOUR))),
        }
    }
}
