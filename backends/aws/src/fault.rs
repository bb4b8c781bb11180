//! Why a call failed, in the product's terms.

use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use ecs_scheduler_core::fault::Cause;
use ecs_scheduler_core::{FaultKind, LaunchError, StoreError, TriggerError};

#[cfg(test)]
mod tests;

/// Codes by which services ask for fewer calls; some end in `Exception`, some do not.
const THROTTLING: [&str; 11] = [
    "Throttling",
    "Throttled",
    "TooManyRequests",
    "RequestLimitExceeded",
    "RequestThrottled",
    "BandwidthLimitExceeded",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceeded",
    "EC2Throttled",
    "LimitExceeded",
    "SlowDown",
];

/// The code by which DynamoDB refuses a single write while a transaction has the item.
///
/// # Source
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html>
const CROWDED: &str = "TransactionConflict";

/// Codes by which services refuse for want of permission.
const DENIED: [&str; 5] =
    ["AccessDenied", "UnauthorizedOperation", "AuthorizationError", "NotAuthorized", "OptInRequired"];

/// Codes that say that the credentials themselves are no good.
const BAD_CREDENTIALS: [&str; 9] = [
    "ExpiredToken",
    "InvalidClientTokenId",
    "UnrecognizedClient",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidSignature",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "RequestExpired",
];

/// Why a call to AWS failed. Its message says what was attempted and, where there is a usual one, the remedy; the code and
/// AWS's own words are in the chain of causes.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    kind: FaultKind,
    code: Option<String>,
    message: String,
    maybe_done: bool,
    #[source]
    cause: Option<Cause>,
}

impl Fault {
    /// Makes a fault that no call caused.
    #[must_use]
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, code: None, message: message.into(), maybe_done: false, cause: None }
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
            let status = context.raw().status().as_u16();
            let meta = context.err().meta();
            return Self::answered(status, meta.code(), meta.message(), attempted);
        }
        if let SdkError::ResponseError(context) = &error {
            let status = context.raw().status().as_u16();
            let message = format!("{attempted}: the answer (HTTP {status}) is not AWS's");
            return Self::unanswered(message).caused_by(error);
        }
        if let Some(kind) = credentials_fault(&error) {
            let message = format!(
                "{attempted}: no usable credentials; check AWS_PROFILE, AWS_ACCESS_KEY_ID, or the role"
            );
            return Self::new(kind, message).caused_by(error);
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

    fn answered(status: u16, code: Option<&str>, words: Option<&str>, attempted: String) -> Self {
        let kind = classify(status, code.unwrap_or_default());
        let remedy = remedy(kind, code.unwrap_or_default(), words.unwrap_or_default());
        let message = match remedy {
            Some(remedy) => format!("{attempted}; {remedy}"),
            None => attempted,
        };
        let words = Words {
            code: code.map_or_else(|| format!("HTTP {status}"), str::to_owned),
            message: words.unwrap_or_default().to_owned(),
        };
        Self {
            kind,
            code: code.map(str::to_owned),
            message,
            maybe_done: status >= 500 && kind != FaultKind::Throttled,
            cause: Some(Box::new(words)),
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

/// Tells whether a text names a code of throttling; also used on bodies, whose format differs by service.
pub(crate) fn names_throttling(text: &str) -> bool {
    THROTTLING.iter().any(|code| *code != "LimitExceeded" && text.contains(code))
}

fn classify(status: u16, code: &str) -> FaultKind {
    // Queries spell a namespace in front: `AWS.SimpleQueueService.NonExistentQueue`.
    let code = code.rsplit('.').next().unwrap_or(code);
    let plain = code.strip_suffix("Exception").unwrap_or(code);
    let named = |codes: &[&str]| codes.contains(&plain);
    if named(&THROTTLING) || status == 429 {
        FaultKind::Throttled
    } else if named(&DENIED) || named(&BAD_CREDENTIALS) {
        FaultKind::Denied
    } else if is_missing(plain) {
        FaultKind::NotFound
    } else if plain == CROWDED {
        FaultKind::Unavailable
    } else {
        match status {
            403 => FaultKind::Denied,
            404 => FaultKind::NotFound,
            500.. => FaultKind::Unavailable,
            _ => FaultKind::Config,
        }
    }
}

fn is_missing(code: &str) -> bool {
    code.ends_with("NotFound")
        || code.ends_with("DoesNotExist")
        || code.starts_with("NoSuch")
        || code.starts_with("NonExistent")
}

fn remedy(kind: FaultKind, code: &str, words: &str) -> Option<String> {
    let plain = code.strip_suffix("Exception").unwrap_or(code);
    if BAD_CREDENTIALS.contains(&plain) {
        let expired = plain == "ExpiredToken" || plain == "RequestExpired" || plain.contains("Signature");
        let text = if expired {
            "renew the credentials, and check this machine's clock"
        } else {
            "check the credentials and the account they belong to"
        };
        return Some(text.to_owned());
    }
    if kind != FaultKind::Denied {
        return None;
    }
    // AWS's words: `User: arn:… is not authorized to perform: ecs:RunTask on resource: …`.
    let action = words.split("to perform: ").nth(1).and_then(|rest| rest.split_whitespace().next());
    Some(match action {
        Some(action) => format!("allow {action} in the policy of the scheduler's role"),
        None => "allow the call in the policy of the scheduler's role".to_owned(),
    })
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

/// Returns the kind of a failure to load credentials, which happens before anything is sent.
fn credentials_fault<E>(error: &SdkError<E, HttpResponse>) -> Option<FaultKind>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let cause = sources(error).find_map(|cause| cause.downcast_ref::<CredentialsError>())?;
    let lasting = matches!(
        cause,
        CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_)
    );
    Some(if lasting { FaultKind::Config } else { FaultKind::Unavailable })
}
