//! Scripted faults of calls.

use jiff::SignedDuration;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::Service;
use crate::rng::Rng;

/// A fault that is injected into a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind", deny_unknown_fields)]
pub enum InjectedFault {
    /// The effect is done; then the connection is reset without an answer.
    LostAfterEffect,
    /// The connection is reset; nothing is done.
    ResetBeforeEffect,
    /// The effect is done; no answer ever comes, and the connection stays open.
    SilentAfterEffect,
    /// Nothing is done; no answer ever comes, and the connection stays open.
    BlackHole,
    /// Nothing is done; the service fails with this status, 500 and above.
    ServerError {
        /// The HTTP status; 500 by default.
        #[serde(default = "internal")]
        status: u16,
    },
    /// Nothing is done; the caller is throttled.
    Throttled,
    /// Nothing is done; the service answers with this error.
    Error {
        /// The HTTP status; 400 by default.
        #[serde(default = "bad_request")]
        status: u16,
        /// The name of the error, as in `InvalidParameterException`.
        code: String,
        /// The message of the service.
        #[serde(default)]
        message: String,
        /// How far the service's clock is ahead of the fake's, as the answer's `Date` shows; zero by default.
        #[serde(default)]
        ahead: SignedDuration,
    },
    /// The answer is the usual one, but its `Date` is that of a clock that is ahead of the fake's by this time.
    Skewed {
        /// How far; negative when the clock is behind.
        ahead: SignedDuration,
    },
    /// The effect is done after this time, by tokio's timer; then the answer is sent.
    Slow {
        /// The delay.
        by: SignedDuration,
    },
    /// Nothing is done: another transaction has one of the items. Only for writes of `DynamoDB`.
    Conflict,
    /// Nothing is done: a table has no capacity left. Only for item calls of `DynamoDB`.
    Exceeded,
    /// Nothing is done: the same transaction is in progress. Only for `TransactWriteItems` of `DynamoDB`.
    InProgress,
    /// Half of a batch is done, and the other half is returned as unprocessed. Only for `BatchGetItem` of `DynamoDB`.
    Unprocessed,
}

impl InjectedFault {
    /// Makes an error with HTTP status 400, this code and this message.
    #[must_use]
    pub fn error(code: &str, message: &str) -> Self {
        let (code, message) = (code.to_owned(), message.to_owned());
        Self::Error { status: 400, code, message, ahead: SignedDuration::ZERO }
    }

    /// Returns how far the clock that writes the answer's `Date` is ahead of the fake's.
    pub(crate) fn ahead(&self) -> SignedDuration {
        let (Self::Error { ahead, .. } | Self::Skewed { ahead }) = self else { return SignedDuration::ZERO };
        *ahead
    }

    /// Tells whether the fault can be injected into a call of this operation.
    fn applies_to(&self, service: Service, operation: &str) -> bool {
        let of: &[&str] = match self {
            Self::LostAfterEffect
            | Self::ResetBeforeEffect
            | Self::SilentAfterEffect
            | Self::BlackHole
            | Self::ServerError { .. }
            | Self::Throttled
            | Self::Error { .. }
            | Self::Skewed { .. }
            | Self::Slow { .. } => return true,
            Self::Conflict => &["TransactWriteItems", "PutItem", "UpdateItem", "DeleteItem"],
            Self::Exceeded => &[
                "TransactWriteItems",
                "PutItem",
                "UpdateItem",
                "DeleteItem",
                "BatchGetItem",
                "Query",
                "Scan",
            ],
            Self::InProgress => &["TransactWriteItems"],
            Self::Unprocessed => &["BatchGetItem"],
        };
        service == Service::DynamoDb && of.contains(&operation)
    }
}

const fn internal() -> u16 {
    500
}

const fn bad_request() -> u16 {
    400
}

/// A rule that injects a fault into matching calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultRule {
    /// The service; absent = all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
    /// The operation, as in `RunTask`; absent = all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// A text that the request must contain, such as a task's ARN; absent = any request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containing: Option<String>,
    /// The fault to inject.
    #[serde(rename = "mishap")]
    pub fault: InjectedFault,
    /// Number of matching calls that succeed first.
    #[serde(default)]
    pub after: u64,
    /// Number of calls to inject the fault into; absent = all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// Probability of injecting the fault. 1.
    #[serde(default = "always")]
    pub probability: f64,
    /// Seed of the random numbers.
    #[serde(default)]
    pub seed: u64,
}

const fn always() -> f64 {
    1.0
}

impl FaultRule {
    /// Makes a rule for all calls of a service.
    #[must_use]
    pub const fn every(service: Service, fault: InjectedFault) -> Self {
        Self {
            service: Some(service),
            operation: None,
            containing: None,
            fault,
            after: 0,
            times: None,
            probability: 1.0,
            seed: 0,
        }
    }

    /// Makes a rule for the next call of an operation.
    #[must_use]
    pub fn once(service: Service, operation: &str, fault: InjectedFault) -> Self {
        Self { operation: Some(operation.to_owned()), times: Some(1), ..Self::every(service, fault) }
    }

    /// Limits the rule to requests that contain a text.
    #[must_use]
    pub fn containing(mut self, text: &str) -> Self {
        self.containing = Some(text.to_owned());
        self
    }

    /// Limits the rule to this many calls.
    #[must_use]
    pub const fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Lets this many matching calls succeed first.
    #[must_use]
    pub const fn after(mut self, calls: u64) -> Self {
        self.after = calls;
        self
    }

    /// Injects the fault with a probability.
    #[must_use]
    pub const fn sometimes(mut self, probability: f64, seed: u64) -> Self {
        self.probability = probability;
        self.seed = seed;
        self
    }
}

/// The active rules. The first one that matches a call wins.
#[derive(Debug, Default)]
pub struct Faults {
    rules: Mutex<Vec<(FaultRule, Rng)>>,
}

impl Faults {
    /// Adds a rule after the others.
    pub fn add(&self, rule: FaultRule) {
        let rng = Rng::new(rule.seed);
        self.rules.lock().push((rule, rng));
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.rules.lock().clear();
    }

    /// Returns the rules with their remaining counts.
    #[must_use]
    pub fn left(&self) -> Vec<FaultRule> {
        self.rules.lock().iter().map(|(rule, _)| rule.clone()).collect()
    }

    /// Returns the fault of this call, and uses up one count of its rule.
    pub(crate) fn next_fault(
        &self,
        service: Service,
        operation: &str,
        request: &[u8],
    ) -> Option<InjectedFault> {
        let mut rules = self.rules.lock();
        let mut fault = None;
        for (rule, rng) in rules.iter_mut() {
            let matches = rule.service.is_none_or(|of| of == service)
                && rule.operation.as_deref().is_none_or(|of| of == operation)
                && rule.containing.as_deref().is_none_or(|text| contains(request, text))
                && rule.fault.applies_to(service, operation);
            if !matches {
                continue;
            }
            if rule.after > 0 {
                rule.after -= 1;
            } else if rule.times != Some(0) && rng.chance(rule.probability) {
                rule.times = rule.times.map(|left| left - 1);
                fault = Some(rule.fault.clone());
                break;
            }
        }
        rules.retain(|(rule, _)| rule.times != Some(0));
        fault
    }
}

fn contains(request: &[u8], text: &str) -> bool {
    request.windows(text.len().max(1)).any(|part| part == text.as_bytes())
}
