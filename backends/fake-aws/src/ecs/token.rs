//! Client tokens: the same call twice is one call.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::model::{ClusterKey, EcsState};
use crate::clock::later;
use crate::wire::Failure;

/// A token lives this long after its first use at most.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html>
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// A token lives this long after the end of its last task. (Same source.)
const AFTER_LAST_TASK: SignedDuration = SignedDuration::from_hours(1);

/// The longest token, in characters. (Same source.)
const LONGEST_TOKEN: usize = 64;

/// What a token was used for.
#[derive(Debug, Clone)]
pub(crate) struct Remembered {
    parameters: Value,
    answer: Value,
    tasks: Vec<String>,
    used_at: Timestamp,
    /// When the last of its tasks stopped; none while one is alive. The call's own time when it started no task.
    ended_at: Option<Timestamp>,
}

impl Remembered {
    fn is_alive(&self, now: Timestamp) -> bool {
        let ended = self.ended_at.is_some_and(|at| now >= later(at, AFTER_LAST_TASK));
        now < later(self.used_at, LONGEST) && !ended
    }
}

/// Fails on a token that ECS does not accept.
pub(crate) fn check(token: &str) -> Result<(), Failure> {
    if token.is_empty()
        || token.len() > LONGEST_TOKEN
        || !token.bytes().all(|byte| (33..=126).contains(&byte))
    {
        return Err(Failure::parameter(
            "clientToken must be up to 64 ASCII characters in the range of 33-126.",
        ));
    }
    Ok(())
}

impl EcsState {
    /// Returns the original answer when this token was used for the same call, and fails when for another one.
    pub(crate) fn recall(
        &mut self,
        cluster: &ClusterKey,
        token: &str,
        parameters: &Value,
        now: Timestamp,
    ) -> Result<Option<Value>, Failure> {
        let key = (cluster.clone(), token.to_owned());
        let Some(known) = self.tokens.get(&key) else { return Ok(None) };
        if !known.is_alive(now) {
            self.tokens.remove(&key);
            return Ok(None);
        }
        if known.parameters == *parameters {
            return Ok(Some(known.answer.clone()));
        }
        let message = "The clientToken was used before with other parameters.";
        Err(Failure::client("ConflictException", message).with("resourceIds", json!(known.tasks)))
    }

    /// Remembers what a token was used for.
    pub(crate) fn remember(
        &mut self,
        cluster: &ClusterKey,
        token: &str,
        parameters: Value,
        answer: &Value,
        now: Timestamp,
    ) {
        let tasks: Vec<String> = answer["tasks"]
            .as_array()
            .map_or(&[][..], Vec::as_slice)
            .iter()
            .filter_map(|task| task["taskArn"].as_str().map(str::to_owned))
            .collect();
        let ended_at = tasks.is_empty().then_some(now);
        let known = Remembered { parameters, answer: answer.clone(), tasks, used_at: now, ended_at };
        self.tokens.insert((cluster.clone(), token.to_owned()), known);
    }

    /// Starts the last hour of a token whose tasks have now all stopped.
    pub(crate) fn task_ended(&mut self, number: u64, now: Timestamp) {
        let task = &self.tasks[&number];
        let Some(token) = task.token.clone() else { return };
        let key = (task.cluster.clone(), token);
        let is_alive = |arn: &String| {
            let number = self.by_arn.get(arn);
            number.is_some_and(|number| self.tasks[number].stopped_at.is_none())
        };
        let ended = self.tokens.get(&key).is_some_and(|known| !known.tasks.iter().any(is_alive));
        if let Some(known) = self.tokens.get_mut(&key).filter(|_| ended) {
            known.ended_at = Some(now);
        }
    }

    /// Drops the token of a task that is forgotten, when its life is over.
    pub(crate) fn task_forgotten(&mut self, cluster: ClusterKey, token: String, now: Timestamp) {
        let key = (cluster, token);
        if self.tokens.get(&key).is_some_and(|known| !known.is_alive(now)) {
            self.tokens.remove(&key);
        }
    }
}

/// Returns a call's parameters in the form in which two calls are compared: without the token and without nulls.
pub(crate) fn parameters(body: &Value) -> Value {
    let members = body.as_object().into_iter().flatten();
    members
        .filter(|(name, value)| *name != "clientToken" && !value.is_null())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
