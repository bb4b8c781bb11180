//! From a queue's counts to demand: pure arithmetic.

use std::num::NonZeroU32;
use std::time::Duration;

use ecs_scheduler_core::{Evaluation, Observation, QueueReading, Timestamp, per_task};

use crate::SqsConfig;

#[cfg(test)]
mod tests;

/// The unit of every observation.
const UNIT: &str = "messages";

/// The counts of a queue from one call. All are approximate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Depth {
    pub(crate) visible: u64,
    pub(crate) in_flight: u64,
    pub(crate) delayed: u64,
    pub(crate) visibility_timeout: Duration,
}

/// The rule by which a job turns a depth into demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DemandRule {
    per_task: Option<NonZeroU32>,
    in_flight: bool,
    delayed: bool,
    activation: u64,
}

impl DemandRule {
    pub(crate) fn from_config(config: &SqsConfig) -> Self {
        Self {
            per_task: config.messages_per_task,
            in_flight: config.count_in_flight,
            delayed: config.count_delayed,
            activation: config.activation,
        }
    }

    /// Evaluates the demand of a depth.
    pub(crate) fn evaluate(&self, depth: &Depth, queue: &str, at: Timestamp) -> Evaluation {
        let n = self.counted_messages(depth);
        let counted = self.explain(depth, n);
        let evaluation = match self.per_task {
            _ if n == 0 => Evaluation::idle("no messages"),
            _ if n <= self.activation => {
                Evaluation::idle(format!("{counted}, not more than the activation of {}", self.activation))
            }
            None => Evaluation::floor(counted),
            Some(each) => {
                let rounded = if n.is_multiple_of(u64::from(each.get())) { "" } else { ", rounded up" };
                Evaluation::tasks(per_task(n, each), format!("{counted} ÷ {each} per task{rounded}"))
            }
        };
        let observed = |name: &str, value: u64| Observation::new(name, queue, to_f64(value), UNIT, at);
        evaluation
            .with_observation(observed("visible", depth.visible))
            .with_observation(observed("inFlight", depth.in_flight))
            .with_observation(observed("delayed", depth.delayed))
            .with_queue_reading(QueueReading::new(
                depth.visible,
                depth.in_flight,
                depth.visibility_timeout,
                self.per_task.unwrap_or(NonZeroU32::MIN),
            ))
    }

    /// Returns the number of messages that count.
    fn counted_messages(&self, depth: &Depth) -> u64 {
        let in_flight = if self.in_flight { depth.in_flight } else { 0 };
        let delayed = if self.delayed { depth.delayed } else { 0 };
        depth.visible.saturating_add(in_flight).saturating_add(delayed)
    }

    fn explain(&self, depth: &Depth, n: u64) -> String {
        let mut parts = vec![format!("{} visible", depth.visible)];
        if self.in_flight {
            parts.push(format!("{} in flight", depth.in_flight));
        }
        if self.delayed {
            parts.push(format!("{} delayed", depth.delayed));
        }
        let of = if parts.len() > 1 { format!(" ({})", parts.join(", ")) } else { String::new() };
        format!("{n} message{}{of}", if n == 1 { "" } else { "s" })
    }
}

/// Converts a count for display. Beyond 2^53 it is rounded.
fn to_f64(count: u64) -> f64 {
    let (high, low) = (count >> 32, count & u64::from(u32::MAX));
    let part = |part: u64| f64::from(u32::try_from(part).expect("half of 64 bits"));
    part(high) * 4_294_967_296.0 + part(low)
}
