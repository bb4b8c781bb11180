//! Client tokens: two equal calls are one call.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::model::{ClusterKey, EcsState};
use crate::clock::later;
use crate::wire::Failure;

/// Maximum lifetime of a token after its first use.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html>
const MAX_TOKEN_LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// Lifetime of a token after the end of its last task. (Same source.)
const TOKEN_LIFETIME_AFTER_LAST_TASK: SignedDuration = SignedDuration::from_hours(1);

/// Maximum length of a token in characters. (Same source.)
const MAX_TOKEN_LENGTH: usize = 64;

/// The stored use of a token.
#[derive(Debug, Clone)]
pub(crate) struct StoredToken {
    parameters: Value,
    answer: Value,
    tasks: Vec<String>,
    used_at: Timestamp,
    /// The time when its last task stopped; none while one is alive. If the call started no task, the time of the
    /// call.
    ended_at: Option<Timestamp>,
}

impl StoredToken {
    fn is_alive(&self, now: Timestamp) -> bool {
        let ended = self.ended_at.is_some_and(|at| now >= later(at, TOKEN_LIFETIME_AFTER_LAST_TASK));
        now < later(self.used_at, MAX_TOKEN_LIFETIME) && !ended
    }
}

/// Fails on a token that ECS does not accept.
pub(crate) fn check(token: &str) -> Result<(), Failure> {
    if token.is_empty()
        || token.len() > MAX_TOKEN_LENGTH
        || !token.bytes().all(|byte| (33..=126).contains(&byte))
    {
        return Err(Failure::parameter(
            "clientToken must be up to 64 ASCII characters in the range of 33-126.",
        ));
    }
    Ok(())
}

impl EcsState {
    /// Returns the original answer if the token was used for the same call. Fails if it was used for another one.
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

    /// Stores the use of a token.
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
        let known = StoredToken { parameters, answer: answer.clone(), tasks, used_at: now, ended_at };
        self.tokens.insert((cluster.clone(), token.to_owned()), known);
    }

    /// Starts the last hour of a token whose tasks have all stopped.
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

    /// Drops the token of a forgotten task, if the token has expired.
    pub(crate) fn task_forgotten(&mut self, cluster: ClusterKey, token: String, now: Timestamp) {
        let key = (cluster, token);
        if self.tokens.get(&key).is_some_and(|known| !known.is_alive(now)) {
            self.tokens.remove(&key);
        }
    }
}

/// Returns a call's parameters in the form that is compared: without the token and without nulls.
pub(crate) fn parameters(body: &Value) -> Value {
    let members = body.as_object().into_iter().flatten();
    members
        .filter(|(name, value)| *name != "clientToken" && !value.is_null())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
