//! Why a call failed, in the product's terms.

mod credentials;
mod rules;

use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use ecs_scheduler_core::fault::{Cause, chain};
use ecs_scheduler_core::{FaultKind, LaunchError, StoreError, TriggerError};

use crate::skew::Skew;
use credentials::Trouble;
use rules::{Meaning, meaning};
pub(crate) use rules::{names_refused_credentials, names_throttling};

#[cfg(test)]
mod tests;

/// Why a call to AWS failed. Its message says what was attempted and, where there is a usual one, the remedy; the code and
/// AWS's own words are in the chain of causes.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    kind: FaultKind,
    code: Option<String>,
    message: String,
    maybe_done: bool,
    of_credentials: bool,
    #[source]
    cause: Option<Cause>,
}

/// An answer of a service with an error.
#[derive(Debug, Default)]
struct Answer<'a> {
    status: u16,
    code: Option<&'a str>,
    words: Option<&'a str>,
    skew: Option<Skew>,
}

impl Fault {
    /// Makes a fault that no call caused.
    #[must_use]
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: None,
            message: message.into(),
            maybe_done: false,
            of_credentials: false,
            cause: None,
        }
    }

    /// Makes a fault of a failure to load credentials, which happens before anything is sent.
    pub(crate) fn of_credentials(error: CredentialsError, attempted: &str) -> Self {
        let trouble = Trouble::find(&error);
        let said = one_line(&chain(&error));
        Self::without_credentials(trouble, attempted).because(said)
    }

    fn without_credentials(trouble: Option<Trouble>, attempted: &str) -> Self {
        let kind = trouble.as_ref().map_or(FaultKind::Unavailable, |trouble| trouble.kind);
        let text = trouble.map(|trouble| trouble.text).unwrap_or_default();
        Self { of_credentials: true, ..Self::new(kind, format!("{attempted}: {text}")) }
    }

    /// Makes a fault of what the SDK returned. `attempted` says what was tried and on what:
    /// `could not read the depth of queue "orders"`.
    #[must_use]
    pub fn of<E>(error: SdkError<E, HttpResponse>, attempted: impl Into<String>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let attempted = attempted.into();
        if let SdkError::ServiceError(context) = &error {
            let (raw, meta) = (context.raw(), context.err().meta());
            let answer = Answer {
                status: raw.status().as_u16(),
                code: meta.code(),
                words: meta.message(),
                skew: raw.extension::<Skew>().copied(),
            };
            return Self::answered(&answer, attempted);
        }
        if let SdkError::ResponseError(context) = &error {
            let status = context.raw().status().as_u16();
            let message = format!("{attempted}: the answer (HTTP {status}) is not AWS's");
            return Self::unanswered(message).caused_by(error);
        }
        if let trouble @ Some(_) = Trouble::find(&error) {
            let said = one_line(&std::error::Error::source(&error).map(chain).unwrap_or_default());
            return Self::without_credentials(trouble, &attempted).because(said);
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

    /// Adds the cause, which stays out of `Display`.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Cause>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Returns what kind of trouble it is.
    #[must_use]
    pub fn kind(&self) -> FaultKind {
        self.kind
    }

    /// Returns the service's own code: `ClusterNotFoundException`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// Tells whether the credentials are at fault, so that no permission or name of what was asked for is.
    #[must_use]
    pub fn is_of_credentials(&self) -> bool {
        self.of_credentials
    }

    /// Tells whether the call may have had its effect although it failed.
    #[must_use]
    pub fn maybe_done(&self) -> bool {
        self.maybe_done
    }

    /// Returns AWS's own words, where it said any.
    #[must_use]
    pub fn words(&self) -> Option<&str> {
        let cause = self.cause.as_deref()?;
        Some(cause.downcast_ref::<Words>()?.message.as_str())
    }

    fn answered(answer: &Answer<'_>, attempted: String) -> Self {
        let Answer { status, code, words, skew } = *answer;
        let words = words.unwrap_or_default();
        let means = meaning(status, code.unwrap_or_default(), words);
        let message = match remedy(means, words, skew) {
            Some(remedy) => format!("{attempted}; {remedy}"),
            None => attempted,
        };
        let said = Words {
            code: code.map_or_else(|| format!("HTTP {status}"), str::to_owned),
            message: words.to_owned(),
        };
        Self {
            kind: means.kind(),
            code: code.map(str::to_owned),
            message,
            maybe_done: status >= 500 && means != Meaning::Throttled,
            of_credentials: means.is_of_credentials(),
            cause: Some(Box::new(said)),
        }
    }

    fn unanswered(message: impl Into<String>) -> Self {
        Self { maybe_done: true, ..Self::new(FaultKind::Unavailable, message) }
    }

    fn caused_by<E>(self, error: SdkError<E, HttpResponse>) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        match error.into_source() {
            Ok(cause) => self.because(cause),
            Err(error) => self.because(error.to_string()),
        }
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault.cause {
            Some(cause) => Self::caused(fault.kind, fault.message, cause),
            None => Self::fault(fault.kind, fault.message),
        }
    }
}

impl From<Fault> for TriggerError {
    fn from(fault: Fault) -> Self {
        let error = Self::new(fault.kind, fault.message);
        match fault.cause {
            Some(cause) => error.because(cause),
            None => error,
        }
    }
}

impl From<Fault> for LaunchError {
    fn from(fault: Fault) -> Self {
        let error = if fault.maybe_done {
            Self::unanswered(fault.message)
        } else {
            Self::new(fault.kind, fault.message)
        };
        match fault.cause {
            Some(cause) => error.because(cause),
            None => error,
        }
    }
}

/// What the service said.
#[derive(Debug)]
struct Words {
    code: String,
    message: String,
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message.as_str() {
            "" => f.write_str(&self.code),
            message => write!(f, "{}: {message}", self.code),
        }
    }
}

impl std::error::Error for Words {}

/// Says what to do about a failure. AWS's words for a missing permission are
/// `User: arn:… is not authorized to perform: ecs:RunTask on resource: …`.
fn remedy(means: Meaning, words: &str, skew: Option<Skew>) -> Option<String> {
    let clock = skew.filter(Skew::matters).map(|skew| format!("set this machine's clock, which is {skew}"));
    let text = match means {
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
        Meaning::Denied => {
            let action = words.split("to perform: ").nth(1).and_then(|rest| rest.split_whitespace().next());
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

/// Puts a text of several lines into one.
fn one_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join("; ")
}

fn sources<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// Tells whether no connection ever stood, so that nothing can have been sent.
fn never_connected<E>(error: &SdkError<E, HttpResponse>) -> bool
where
    E: std::error::Error + Send + Sync + 'static,
{
    sources(error).any(|cause| {
        cause.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(|error| error.is_connect())
    })
}
