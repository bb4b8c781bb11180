//! The faults of calls to the launcher, by action. An answer shows that its own action works, and little about the others.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// Time after which a fault that does not happen again ends with any other call that the launcher answers: its action may not be
/// needed any more. Failed calls are repeated more often.
const UNREPEATED_FAULT: Duration = Duration::from_mins(2);

/// Time after which such a fault ends with an answer from a cache: a launcher may renew its cache between calls.
const UNREPEATED_FAULT_CACHED: Duration = Duration::from_mins(15);

/// The actions of the launcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LauncherAction {
    Count,
    Launch,
    Observe,
    Stop,
}

/// The source of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerSource {
    /// The platform was called.
    Call,
    /// The launcher's cache.
    Cache,
}

/// The newest fault of each action that has not succeeded since.
#[derive(Debug, Default)]
pub(crate) struct LauncherFaults(RwLock<BTreeMap<LauncherAction, (String, Instant)>>);

impl LauncherFaults {
    /// Records a failed call.
    pub(super) fn record_failure(&self, action: LauncherAction, text: String, now: Instant) {
        self.0.write().insert(action, (text, now));
    }

    /// Records that the platform answered a call, perhaps with a refusal.
    pub(super) fn clear(&self, action: LauncherAction) {
        if !self.0.read().is_empty() {
            self.0.write().remove(&action);
        }
    }

    /// Records a successful call. An answer from a cache shows nothing about the platform.
    pub(super) fn record_success(&self, action: LauncherAction, source: AnswerSource, now: Instant) {
        if self.0.read().is_empty() {
            return;
        }
        let (is_shown, limit) = match source {
            AnswerSource::Call => (Some(action), UNREPEATED_FAULT),
            AnswerSource::Cache => (None, UNREPEATED_FAULT_CACHED),
        };
        self.0.write().retain(|of, (_, at)| Some(*of) != is_shown && now.duration_since(*at) < limit);
    }

    /// Returns the newest fault.
    pub(crate) fn newest(&self) -> Option<String> {
        self.0.read().values().max_by_key(|(_, at)| *at).map(|(text, _)| text.clone())
    }
}
