//! Refusals with DynamoDB's messages.

use crate::wire::Failure;

/// Makes the failure of a parameter that DynamoDB does not accept.
pub(super) fn invalid(message: impl Into<String>) -> Failure {
    Failure::client("ValidationException", message)
}

/// Makes the failure of a parameter with one or more invalid values.
pub(super) fn invalid_value(what: impl AsRef<str>) -> Failure {
    invalid(format!("One or more parameter values were invalid: {}", what.as_ref()))
}

/// Makes the failure of a table that is missing or not ready.
pub(super) fn missing() -> Failure {
    Failure::client("ResourceNotFoundException", "Requested resource not found")
}

/// Makes the failure of a constraint of the model.
pub(super) fn constraint(value: &str, member: &str, constraint: &str) -> Failure {
    invalid(format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"
    ))
}

/// Returns the namespace of an error's `__type`: DynamoDB's own, or that of its framework.
pub(crate) fn namespace(code: &str) -> &'static str {
    match code {
        "ValidationException" => "com.amazon.coral.validate#",
        "ThrottlingException" => "com.amazon.coral.availability#",
        "AccessDeniedException"
        | "MissingAuthenticationTokenException"
        | "SerializationException"
        | "UnknownOperationException" => "com.amazon.coral.service#",
        _ => "com.amazonaws.dynamodb.v20120810#",
    }
}
