//! The meaning of error codes and texts, as one table for all services of AWS.
//!
//! The code decides. Where it only says that a request is invalid, the words may tell of the failure of another service that
//! the first one asked: ECS wraps a throttled call to EC2 into an `InvalidParameterException`. Only words that tell of
//! something passing count; everything else stays invalid.

use ecs_scheduler_core::FaultKind;

#[cfg(test)]
mod tests;

/// The meaning of an answer, from which follows whether to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The service asks for fewer calls.
    Throttled,
    /// The service, or one that it asked, cannot do it now.
    Unavailable,
    /// The credentials were good once.
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
    /// The request is wrong.
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

    /// Tells whether it is the credentials that are at fault, and not what was asked for.
    pub(crate) const fn is_of_credentials(self) -> bool {
        matches!(self, Self::Expired | Self::UnknownKey | Self::Signature | Self::Unsigned)
    }

    /// Tells whether credentials that are loaded again may be accepted.
    const fn asks_for_new_credentials(self) -> bool {
        matches!(self, Self::Expired | Self::UnknownKey)
    }
}

/// Codes, without namespace and without `Exception` at the end.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/CommonErrors.html>,
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>,
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html> (which says to repeat a call that
/// ended with `UnrecognizedClientException`),
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>,
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>
const CODES: &[(&str, Meaning)] = &[
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

/// Words in an answer that calls a request invalid, and is not right: it passes by itself.
///
/// The recorded answers that each line is for are in the tests of this module.
const WORDS: &[(&str, Meaning)] = &[
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

/// Says what an answer with an error means.
pub(crate) fn meaning(status: u16, code: &str, words: &str) -> Meaning {
    let code = plain(code);
    if let Some(meaning) = of_code(code) {
        return meaning;
    }
    if is_missing(code) {
        return Meaning::Missing;
    }
    match status {
        429 => Meaning::Throttled,
        408 | 500.. => Meaning::Unavailable,
        403 => of_words(words).unwrap_or(Meaning::Denied),
        404 => Meaning::Missing,
        _ => of_words(words).unwrap_or(Meaning::Invalid),
    }
}

/// Tells whether a text names a code of throttling; also used on bodies, whose format differs by service.
pub(crate) fn names_throttling(text: &str) -> bool {
    // `LimitExceeded` is also the end of names of limits that have nothing to do with rates.
    names(text, |(code, meaning)| *meaning == Meaning::Throttled && *code != "LimitExceeded")
}

/// Tells whether a text names a code after which credentials are to be loaded again.
pub(crate) fn names_refused_credentials(text: &str) -> bool {
    names(text, |(_, meaning)| meaning.asks_for_new_credentials())
}

fn names(text: &str, which: impl Fn(&(&str, Meaning)) -> bool) -> bool {
    CODES.iter().any(|line| which(line) && text.contains(line.0))
}

/// Cuts off the namespace that queries spell in front (`AWS.SimpleQueueService.NonExistentQueue`), and `Exception`.
fn plain(code: &str) -> &str {
    let code = code.rsplit('.').next().unwrap_or(code);
    code.strip_suffix("Exception").unwrap_or(code)
}

fn of_code(plain: &str) -> Option<Meaning> {
    CODES.iter().find(|(code, _)| *code == plain).map(|(_, meaning)| *meaning)
}

fn of_words(words: &str) -> Option<Meaning> {
    let wrapped = wrapped_code(words).and_then(|code| of_code(plain(code)));
    let wrapped = wrapped.filter(|meaning| matches!(meaning, Meaning::Throttled | Meaning::Unavailable));
    wrapped.or_else(|| WORDS.iter().find(|(text, _)| words.contains(text)).map(|(_, meaning)| *meaning))
}

/// Returns the code of the failure that is wrapped in another: `… (ErrorCode: Throttling)`, or as Java spells it,
/// `… (Service: AmazonEC2; Status Code: 503; Error Code: RequestLimitExceeded; …)`.
fn wrapped_code(words: &str) -> Option<&str> {
    let (_, rest) = words.split_once("ErrorCode: ").or_else(|| words.split_once("Error Code: "))?;
    rest.split([')', ';', ' ', ',']).next()
}

fn is_missing(code: &str) -> bool {
    code.ends_with("NotFound")
        || code.ends_with("DoesNotExist")
        || code.starts_with("NoSuch")
        || code.starts_with("NonExistent")
}
