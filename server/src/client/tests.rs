use reqwest::StatusCode;
use serde_json::json;

use super::refusal;

#[test]
fn a_refusal_names_each_wrong_field() {
    let body = json!({
        "title": "Invalid job",
        "detail": "/schedule: Bad.; /trigger/type: Missing.",
        "errors": [
            {"pointer": "/schedule", "message": "Bad."},
            {"pointer": "/trigger/type", "message": "Missing."},
        ],
    });
    assert_eq!(
        refusal("POST /jobs", StatusCode::BAD_REQUEST, &body, ""),
        "POST /jobs: 400 Invalid job\n  /schedule: Bad.\n  /trigger/type: Missing."
    );
}

#[test]
fn a_refusal_that_is_no_json_is_quoted() {
    let text = refusal("GET /jobs", StatusCode::BAD_GATEWAY, &serde_json::Value::Null, "upstream\ndown");
    assert_eq!(text, "GET /jobs: 502 upstream");
}
