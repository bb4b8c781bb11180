//! The meaning of error codes and messages: one table for all AWS services.
//!
//! The code decides. If it only says that a request is invalid, the message may describe the failure of another
//! service that the first one called: ECS wraps a throttled call to EC2 into an `InvalidParameterException`. Only
//! messages about a passing failure count; all others stay invalid.

use ecs_scheduler_core::FaultKind;

#[cfg(test)]
mod tests;

/// The meaning of an error response. It decides whether to retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The service asks for fewer calls.
    Throttled,
    /// The service, or one that it called, is unavailable now.
    Unavailable,
    /// The credentials have expired.
    Expired,
    /// The service does not know the key: it is wrong, was replaced, or is too new.
    UnknownKey,
    /// The signature is not accepted: the clock or the secret key is wrong, or a proxy has changed the request.
    Signature,
    /// The request carries no usable signature.
    Unsigned,
    /// A permission is missing.
    Denied,
    /// The thing named does not exist.
    Missing,
    /// The request is invalid.
    Invalid,
}

impl Meaning {
    pub(crate) const fn kind(self) -> FaultKind {
        match self {
            Self::Throttled => FaultKind::Throttled,
            Self::Unavailable | Self::Expired | Self::UnknownKey | Self::Signature => FaultKind::Unavailable,
            Self::Unsigned | Self::Denied => FaultKind::Denied,
            Self::Missing => FaultKind::NotFound,
            Self::Invalid => FaultKind::Config,
        }
    }

    /// Tells whether the credentials are at fault, and not the request.
    pub(crate) const fn is_credentials_fault(self) -> bool {
        matches!(self, Self::Expired | Self::UnknownKey | Self::Signature | Self::Unsigned)
    }

    /// Tells whether reloaded credentials may be accepted.
    const fn asks_for_new_credentials(self) -> bool {
        matches!(self, Self::Expired | Self::UnknownKey)
    }
}

/// Codes, without namespace and without the suffix `Exception`.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/CommonErrors.html>,
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>,
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html> (which says to repeat a
/// call that ended with `UnrecognizedClientException`),
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>,
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>
const CODE_MEANINGS: &[(&str, Meaning)] = &[
    ("Throttling", Meaning::Throttled),
    ("Throttled", Meaning::Throttled),
    ("TooManyRequests", Meaning::Throttled),
    ("RequestLimitExceeded", Meaning::Throttled),
    ("RequestThrottled", Meaning::Throttled),
    ("BandwidthLimitExceeded", Meaning::Throttled),
    ("PriorRequestNotComplete", Meaning::Throttled),
    ("ProvisionedThroughputExceeded", Meaning::Throttled),
    ("EC2Throttled", Meaning::Throttled),
    ("KmsThrottled", Meaning::Throttled),
    ("LimitExceeded", Meaning::Throttled),
    ("SlowDown", Meaning::Throttled),
    ("ServiceUnavailable", Meaning::Unavailable),
    ("Unavailable", Meaning::Unavailable),
    ("InternalError", Meaning::Unavailable),
    ("InternalFailure", Meaning::Unavailable),
    ("InternalServerError", Meaning::Unavailable),
    ("InternalServiceError", Meaning::Unavailable),
    ("InternalServiceFault", Meaning::Unavailable),
    ("Server", Meaning::Unavailable),
    ("RequestTimeout", Meaning::Unavailable),
    ("IDPCommunicationError", Meaning::Unavailable),
    // DynamoDB refuses a single write while a transaction has the item.
    ("TransactionConflict", Meaning::Unavailable),
    ("ExpiredToken", Meaning::Expired),
    ("TokenRefreshRequired", Meaning::Expired),
    ("UnrecognizedClient", Meaning::UnknownKey),
    ("InvalidClientTokenId", Meaning::UnknownKey),
    ("InvalidAccessKeyId", Meaning::UnknownKey),
    ("InvalidToken", Meaning::UnknownKey),
    ("SignatureDoesNotMatch", Meaning::Signature),
    ("InvalidSignature", Meaning::Signature),
    ("RequestExpired", Meaning::Signature),
    ("RequestTimeTooSkewed", Meaning::Signature),
    ("RequestInTheFuture", Meaning::Signature),
    ("IncompleteSignature", Meaning::Unsigned),
    ("MissingAuthenticationToken", Meaning::Unsigned),
    ("AccessDenied", Meaning::Denied),
    ("UnauthorizedOperation", Meaning::Denied),
    ("AuthorizationError", Meaning::Denied),
    ("NotAuthorized", Meaning::Denied),
    ("KmsAccessDenied", Meaning::Denied),
    ("OptInRequired", Meaning::Denied),
];

/// Messages of responses that wrongly call a request invalid: the failure passes by itself.
///
/// The tests of this module have the recorded responses for each line.
const TEXT_MEANINGS: &[(&str, Meaning)] = &[
    ("Rate exceeded", Meaning::Throttled),
    ("Request limit exceeded", Meaning::Throttled),
    ("An internal error has occurred", Meaning::Unavailable),
    ("Service Unavailable", Meaning::Unavailable),
    // IAM knows a new role after some seconds.
    ("Unable to assume the service linked role", Meaning::Unavailable),
    ("Couldn't retrieve verification key from your identity provider", Meaning::Unavailable),
    ("security token included in the request is expired", Meaning::Expired),
    ("Signature expired", Meaning::Signature),
    ("Signature not yet current", Meaning::Signature),
];

/// Returns the meaning of an error response.
pub(crate) fn classify(status: u16, code: &str, message: &str) -> Meaning {
    let code = strip_code(code);
    if let Some(meaning) = meaning_of_code(code) {
        return meaning;
    }
    if is_not_found(code) {
        return Meaning::Missing;
    }
    match status {
        429 => Meaning::Throttled,
        408 | 500.. => Meaning::Unavailable,
        403 => meaning_of_text(message).unwrap_or(Meaning::Denied),
        404 => Meaning::Missing,
        _ => meaning_of_text(message).unwrap_or(Meaning::Invalid),
    }
}

/// Tells whether a text names a throttling code. Also used on bodies, whose format differs by service.
pub(crate) fn names_throttling(text: &str) -> bool {
    // `LimitExceeded` is also the suffix of limits that are no rate limits.
    matches_code(text, |(code, meaning)| *meaning == Meaning::Throttled && *code != "LimitExceeded")
}

/// Tells whether a text names a code after which credentials must be reloaded.
pub(crate) fn names_refused_credentials(text: &str) -> bool {
    matches_code(text, |(_, meaning)| meaning.asks_for_new_credentials())
}

fn matches_code(text: &str, which: impl Fn(&(&str, Meaning)) -> bool) -> bool {
    CODE_MEANINGS.iter().any(|line| which(line) && text.contains(line.0))
}

/// Strips the namespace of query APIs (`AWS.SimpleQueueService.NonExistentQueue`) and the suffix `Exception`.
fn strip_code(code: &str) -> &str {
    let code = code.rsplit('.').next().unwrap_or(code);
    code.strip_suffix("Exception").unwrap_or(code)
}

fn meaning_of_code(code: &str) -> Option<Meaning> {
    CODE_MEANINGS.iter().find(|(known, _)| *known == code).map(|(_, meaning)| *meaning)
}

fn meaning_of_text(message: &str) -> Option<Meaning> {
    let wrapped = wrapped_code(message).and_then(|code| meaning_of_code(strip_code(code)));
    let wrapped = wrapped.filter(|meaning| matches!(meaning, Meaning::Throttled | Meaning::Unavailable));
    wrapped.or_else(|| {
        TEXT_MEANINGS.iter().find(|(text, _)| message.contains(text)).map(|(_, meaning)| *meaning)
    })
}

/// Returns the code of a wrapped failure: `… (ErrorCode: Throttling)`, or as Java writes it, `… (Service: AmazonEC2;
/// Status Code: 503; Error Code: RequestLimitExceeded; …)`.
fn wrapped_code(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("ErrorCode: ").or_else(|| message.split_once("Error Code: "))?;
    rest.split([')', ';', ' ', ',']).next()
}

fn is_not_found(code: &str) -> bool {
    code.ends_with("NotFound")
        || code.ends_with("DoesNotExist")
        || code.starts_with("NoSuch")
        || code.starts_with("NonExistent")
}
