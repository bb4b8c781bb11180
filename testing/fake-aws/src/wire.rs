//! Answers and errors in AWS's wire protocols.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::{Service, dynamodb};

/// An error that a service answers with.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) status: u16,
    /// The name of the error's shape, without a namespace.
    pub(crate) code: String,
    /// The older name in `x-amzn-query-error`, where the service sends that header.
    pub(crate) query_code: Option<String>,
    pub(crate) message: String,
    pub(crate) members: Map<String, Value>,
}

impl Failure {
    /// Makes a failure that is the caller's fault (HTTP 400).
    pub(crate) fn client(code: &str, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }

    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        let (code, message) = (code.to_owned(), message.into());
        Self { status, code, query_code: None, message, members: Map::new() }
    }

    /// Makes the failure of a parameter that ECS does not accept.
    pub(crate) fn parameter(message: impl Into<String>) -> Self {
        Self::client("InvalidParameterException", message)
    }

    /// Makes the failure of a throttled caller.
    pub(crate) fn throttled() -> Self {
        Self::client("ThrottlingException", "Rate exceeded")
    }

    /// Names the error as the older query protocol did.
    pub(crate) fn queried(mut self, code: &str) -> Self {
        self.query_code = Some(code.to_owned());
        self
    }

    /// Adds a member to the error.
    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        self.members.insert(name.to_owned(), value);
        self
    }

    /// Tells whether the caller must call less often.
    pub(crate) fn is_throttling(&self) -> bool {
        self.code.contains("Throttl") || self.code == "ProvisionedThroughputExceededException"
    }

    /// Returns `Sender` for the caller's faults and `Receiver` for the service's.
    pub(crate) fn side(&self) -> &'static str {
        if self.status < 500 { "Sender" } else { "Receiver" }
    }
}

/// Reads a request's document.
pub(crate) fn read<T: DeserializeOwned>(body: &Value) -> Result<T, Failure> {
    T::deserialize(body).map_err(|error| Failure::client("SerializationException", error.to_string()))
}

/// Writes an answer of the JSON protocols.
pub(crate) fn json_answer(service: Service, answer: Result<Value, Failure>) -> Response<Body> {
    let (status, document, query) = match answer {
        Ok(document) => (200, document, None),
        Err(failure) => {
            let query = failure.query_code.as_ref().map(|code| format!("{code};{}", failure.side()));
            let mut members = failure.members;
            let namespace = namespace(service, &failure.code);
            members.insert("__type".to_owned(), json!(format!("{namespace}{}", failure.code)));
            members.insert("message".to_owned(), json!(failure.message));
            (failure.status, Value::Object(members), query)
        }
    };
    let kind = match service {
        Service::Sqs | Service::DynamoDb => "application/x-amz-json-1.0",
        Service::Ecs | Service::CloudWatch | Service::Logs | Service::Sns | Service::Sts | Service::Imds => {
            "application/x-amz-json-1.1"
        }
    };
    let mut response = response(status, kind, document.to_string().into_bytes());
    if let Some(query) = query.and_then(|query| HeaderValue::from_str(&query).ok()) {
        response.headers_mut().insert("x-amzn-query-error", query);
    }
    response
}

/// Returns the namespace of an error's name.
fn namespace(service: Service, code: &str) -> &'static str {
    match service {
        Service::Sqs => "com.amazonaws.sqs#",
        Service::DynamoDb => dynamodb::namespace(code),
        Service::Ecs | Service::CloudWatch | Service::Logs | Service::Sns | Service::Sts | Service::Imds => {
            ""
        }
    }
}

/// Writes an answer of the control API.
pub(crate) fn plain_json(status: u16, document: &impl Serialize) -> Response<Body> {
    let bytes = serde_json::to_vec(document).expect("control documents can be written as JSON");
    response(status, "application/json", bytes)
}

/// Makes a response with a request id, as every service does.
pub(crate) fn response(status: u16, kind: &'static str, bytes: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let id = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()).expect("a uuid is ASCII");
    response.headers_mut().insert("x-amzn-requestid", id);
    response.headers_mut().insert("content-type", HeaderValue::from_static(kind));
    response
}
