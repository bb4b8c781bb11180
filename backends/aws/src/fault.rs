//! Failures of AWS calls, in the product's terms.

mod credentials;
mod rules;

use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use ecs_scheduler_core::fault::Failure;
use ecs_scheduler_core::{FaultKind, LaunchError, StoreError, TriggerError, failure_methods};

use crate::skew::Skew;
use credentials::CredentialsProblem;
use rules::{Meaning, classify};
pub(crate) use rules::{names_refused_credentials, names_throttling};

#[cfg(test)]
mod tests;

/// A failed call to AWS. Its message says what was attempted and, if there is a usual one, the remedy. The code and
/// the message of AWS are in the chain of sources.
#[derive(Debug, Clone)]
pub struct Fault {
    failure: Failure,
    answer: Option<ServiceMessage>,
    outcome_unknown: bool,
    is_credentials: bool,
}

failure_methods!(Fault);

/// An error response of a service.
#[derive(Debug, Default)]
struct ErrorResponse<'a> {
    status: u16,
    code: Option<&'a str>,
    service_message: Option<&'a str>,
    skew: Option<Skew>,
}

impl Fault {
    /// Makes a fault that no call caused.
    #[must_use]
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        let failure = Failure::new(kind, message);
        Self { failure, answer: None, outcome_unknown: false, is_credentials: false }
    }

    /// Makes a fault from a failure to load credentials, which happens before anything is sent.
    pub(crate) fn from_credentials_error(error: CredentialsError, attempted: &str) -> Self {
        let problem = CredentialsProblem::find(&error);
        let said = quote(&error);
        Self::without_credentials(problem, attempted).with_source(said)
    }

    fn without_credentials(problem: Option<CredentialsProblem>, attempted: &str) -> Self {
        let kind = problem.as_ref().map_or(FaultKind::Unavailable, |problem| problem.kind);
        let text = problem.map(|problem| problem.text).unwrap_or_default();
        Self { is_credentials: true, ..Self::new(kind, format!("{attempted}: {text}")) }
    }

    /// Makes a fault from an error of the SDK. `attempted` says what was tried and on what object: `could not read
    /// the depth of queue "orders"`.
    #[must_use]
    pub fn from_sdk<E>(error: SdkError<E, HttpResponse>, attempted: impl Into<String>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let attempted = attempted.into();
        if let SdkError::ServiceError(context) = &error {
            let (raw, meta) = (context.raw(), context.err().meta());
            let answer = ErrorResponse {
                status: raw.status().as_u16(),
                code: meta.code(),
                service_message: meta.message(),
                skew: raw.extension::<Skew>().copied(),
            };
            return Self::from_response(&answer, attempted);
        }
        if let SdkError::ResponseError(context) = &error {
            let status = context.raw().status().as_u16();
            let message = format!("{attempted}: the response (HTTP {status}) is not from AWS");
            return Self::unanswered(message).caused_by(error);
        }
        if let problem @ Some(_) = CredentialsProblem::find(&error) {
            let said = std::error::Error::source(&error).map(quote).unwrap_or_default();
            return Self::without_credentials(problem, &attempted).with_source(said);
        }
        if matches!(error, SdkError::ConstructionFailure(_)) {
            return Self::new(FaultKind::Config, attempted).caused_by(error);
        }
        if never_connected(&error) {
            let message =
                format!("{attempted}: no connection; check the network, the region and AWS_ENDPOINT_URL");
            return Self::new(FaultKind::Unavailable, message).caused_by(error);
        }
        Self::unanswered(attempted).caused_by(error)
    }

    /// Returns the service's own code: `ClusterNotFoundException`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.answer.as_ref()?.code.as_deref()
    }

    /// Tells whether the credentials are at fault, and not a permission or a name in the request.
    #[must_use]
    pub fn is_credentials_fault(&self) -> bool {
        self.is_credentials
    }

    /// Tells whether the call may have had its effect although it failed.
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        self.outcome_unknown
    }

    /// Returns the message of AWS, if there is one.
    #[must_use]
    pub fn service_message(&self) -> Option<&str> {
        Some(self.answer.as_ref()?.message.as_str())
    }

    /// Returns the code and the message of AWS, as the source of an error with another message.
    #[must_use]
    pub fn service_answer(&self) -> String {
        let (code, message) = (self.code(), self.service_message());
        format!("{}: {}", code.unwrap_or("no code"), message.unwrap_or("no explanation"))
    }

    fn from_response(answer: &ErrorResponse<'_>, attempted: String) -> Self {
        let ErrorResponse { status, code, service_message, skew } = *answer;
        let service_message = service_message.unwrap_or_default();
        let meaning = classify(status, code.unwrap_or_default(), service_message);
        let message = match remedy(meaning, service_message, skew) {
            Some(remedy) => format!("{attempted}; {remedy}"),
            None => attempted,
        };
        let said =
            ServiceMessage { status, code: code.map(str::to_owned), message: service_message.to_owned() };
        Self {
            failure: Failure::new(meaning.kind(), message).with_source(said.clone()),
            answer: Some(said),
            outcome_unknown: status >= 500 && meaning != Meaning::Throttled,
            is_credentials: meaning.is_credentials_fault(),
        }
    }

    fn unanswered(message: impl Into<String>) -> Self {
        Self { outcome_unknown: true, ..Self::new(FaultKind::Unavailable, message) }
    }

    fn caused_by<E>(self, error: SdkError<E, HttpResponse>) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        match error.into_source() {
            Ok(cause) => self.with_source(cause),
            Err(error) => self.with_source(error.to_string()),
        }
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        let (kind, message, source) = fault.failure.into_parts();
        match source {
            Some(source) => Self::with_source(kind, message, source),
            None => Self::fault(kind, message),
        }
    }
}

impl From<Fault> for TriggerError {
    fn from(fault: Fault) -> Self {
        fault.failure.into()
    }
}

impl From<Fault> for LaunchError {
    fn from(fault: Fault) -> Self {
        let error = Self::from(fault.failure);
        if fault.outcome_unknown { error.with_unknown_outcome() } else { error }
    }
}

/// The answer of a service: its code and message.
#[derive(Debug, Clone)]
struct ServiceMessage {
    status: u16,
    code: Option<String>,
    message: String,
}

impl fmt::Display for ServiceMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => f.write_str(code)?,
            None => write!(f, "HTTP {}", self.status)?,
        }
        match self.message.as_str() {
            "" => Ok(()),
            message => write!(f, ": {message}"),
        }
    }
}

impl std::error::Error for ServiceMessage {}

/// Returns the remedy of a failure. The message of AWS about a missing permission is `User: arn:… is not authorized
/// to perform: ecs:RunTask on resource: …`.
fn remedy(meaning: Meaning, service_message: &str, skew: Option<Skew>) -> Option<String> {
    let clock =
        skew.filter(Skew::is_significant).map(|skew| format!("set this machine's clock, which is {skew}"));
    let text = match meaning {
        Meaning::Expired => match clock {
            Some(clock) => format!("renew the credentials, and {clock}"),
            None => "renew the credentials".to_owned(),
        },
        Meaning::Signature => match (clock, skew) {
            (Some(clock), _) => clock,
            (None, Some(skew)) => format!(
                "check the secret access key, and proxies that change requests; this machine's clock is right: it is {skew}"
            ),
            (None, None) => "check this machine's clock and the secret access key".to_owned(),
        },
        Meaning::UnknownKey | Meaning::Unsigned => {
            "check the credentials and the account they belong to".to_owned()
        }
        Meaning::Denied if service_message.contains("service control policy") => {
            "change the organization's service control policy, which denies it".to_owned()
        }
        Meaning::Denied => {
            let action =
                service_message.split("to perform: ").nth(1).and_then(|rest| rest.split_whitespace().next());
            match action {
                Some(action) if action.starts_with("sts:AssumeRole") => {
                    format!(
                        "allow {action} in the policy of the scheduler's role and in the trust policy of that role"
                    )
                }
                Some(action) => format!("allow {action} in the policy of the scheduler's role"),
                None => "allow the call in the policy of the scheduler's role".to_owned(),
            }
        }
        Meaning::Throttled | Meaning::Unavailable | Meaning::Missing | Meaning::Invalid => return None,
    };
    Some(text)
}

/// Joins an error with its sources, and the lines of their texts.
fn quote(error: &(dyn std::error::Error + 'static)) -> String {
    let texts: Vec<String> = sources(error).map(ToString::to_string).collect();
    texts.join(": ").lines().map(str::trim).collect::<Vec<_>>().join("; ")
}

fn sources<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// Tells whether no connection was ever established, so that nothing can have been sent.
fn never_connected<E>(error: &SdkError<E, HttpResponse>) -> bool
where
    E: std::error::Error + Send + Sync + 'static,
{
    sources(error).any(|cause| {
        cause.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(|error| error.is_connect())
    })
}
