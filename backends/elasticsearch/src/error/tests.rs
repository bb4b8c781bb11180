use ecs_scheduler_core::{FaultKind, StoreError};
use http::{Method, StatusCode};

use super::refused;
use crate::message::{ApiRequest, ApiResponse, ErrorBody};

fn refusal(status: StatusCode, body: &str) -> (FaultKind, String) {
    let request = ApiRequest {
        method: Method::GET,
        path: "/jobs".to_owned(),
        body: String::new(),
        action: "read job \"a\"".to_owned(),
    };
    let response = ApiResponse { status, body: body.as_bytes().to_vec(), is_repeated: false };
    let StoreError::Fault { kind, message, .. } = refused(&request, &response) else {
        panic!("the error is a fault")
    };
    (kind, message)
}

#[test]
fn reason_is_parsed_from_every_shape_of_an_error() {
    let full = br#"{"error":{"root_cause":[],"type":"x_exception","reason":"because"},"status":400}"#;
    assert_eq!(ErrorBody::parse(full).to_string(), "x_exception: because");
    let text = br#"{"error":"no handler found","status":400}"#;
    assert_eq!(ErrorBody::parse(text).to_string(), "no handler found");
    assert_eq!(ErrorBody::parse(b"<html>bad gateway</html>").to_string(), "<html>bad gateway</html>");
    assert_eq!(ErrorBody::parse(b"").to_string(), "no reason given");
}

#[test]
fn each_refusal_has_the_action_and_the_remedy() {
    let blocked = r#"{"error":{"type":"cluster_block_exception","reason":"index [jobs] blocked by: [FORBIDDEN/12/index read-only / allow delete (api)];"},"status":403}"#;
    let denied = r#"{"error":{"type":"security_exception","reason":"action [indices:data/write/index] is unauthorized"},"status":403}"#;
    for (status, body, kind, remedy) in [
        (StatusCode::FORBIDDEN, blocked, FaultKind::Unavailable, "free space"),
        (StatusCode::FORBIDDEN, denied, FaultKind::Denied, "grant"),
        (StatusCode::UNAUTHORIZED, "", FaultKind::Denied, "ECSS_ELASTICSEARCH_API_KEY"),
        (StatusCode::PAYLOAD_TOO_LARGE, "", FaultKind::Config, "http.max_content_length"),
        (StatusCode::BAD_REQUEST, "{}", FaultKind::Bug, "refused"),
        (StatusCode::TOO_MANY_REQUESTS, "", FaultKind::Throttled, "overloaded"),
        (StatusCode::SERVICE_UNAVAILABLE, "", FaultKind::Unavailable, "health"),
    ] {
        let (found, message) = refusal(status, body);
        assert_eq!(found, kind, "{message}");
        assert!(message.starts_with("could not read job \"a\": ") && message.contains(remedy), "{message}");
    }
}
