use ecs_scheduler_core::{FaultKind, StoreError};
use http::{Method, StatusCode};

use super::{Said, refused};
use crate::transport::{Answer, Call};

fn refusal(status: StatusCode, body: &str) -> (FaultKind, String) {
    let call = Call {
        method: Method::GET,
        path: "/jobs".to_owned(),
        body: String::new(),
        aim: "read job \"a\"".to_owned(),
    };
    let answer = Answer { status, body: body.as_bytes().to_vec(), repeated: false };
    let StoreError::Fault { kind, message, .. } = refused(&call, &answer) else { panic!("it is a fault") };
    (kind, message)
}

#[test]
fn the_reason_is_read_from_every_shape_of_an_error() {
    let full = br#"{"error":{"root_cause":[],"type":"x_exception","reason":"because"},"status":400}"#;
    assert_eq!(Said::read(full).to_string(), "x_exception: because");
    let text = br#"{"error":"no handler found","status":400}"#;
    assert_eq!(Said::read(text).to_string(), "no handler found");
    assert_eq!(Said::read(b"<html>bad gateway</html>").to_string(), "<html>bad gateway</html>");
    assert_eq!(Said::read(b"").to_string(), "no reason given");
}

#[test]
fn each_refusal_says_what_was_attempted_and_what_to_do() {
    let blocked = r#"{"error":{"type":"cluster_block_exception","reason":"index [jobs] blocked by: [FORBIDDEN/12/index read-only / allow delete (api)];"},"status":403}"#;
    let denied = r#"{"error":{"type":"security_exception","reason":"action [indices:data/write/index] is unauthorized"},"status":403}"#;
    for (status, body, kind, remedy) in [
        (StatusCode::FORBIDDEN, blocked, FaultKind::Unavailable, "make room"),
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
