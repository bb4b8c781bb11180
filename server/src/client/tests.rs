use reqwest::StatusCode;
use serde_json::json;

use super::{Client, reachable, refusal, server_url};

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

#[test]
fn a_server_is_a_url_of_plain_http() {
    for (text, url) in [
        ("http://localhost:5000", "http://localhost:5000"),
        ("http://localhost:5000/", "http://localhost:5000"),
        ("http://[::1]/scheduler//", "http://[::1]/scheduler"),
    ] {
        assert_eq!(server_url(text).as_deref(), Ok(url));
    }
    for text in [
        "",
        "localhost:5000",
        "https://localhost",
        "http://",
        "http://a b",
        "http://a:70000",
        "http://a?b",
        "http://a/#b",
    ] {
        assert!(server_url(text).is_err(), "{text}");
    }
}

#[test]
fn an_address_for_everyone_is_asked_on_loopback() {
    let asked = |listen: &str| reachable(listen.parse().unwrap()).to_string();
    assert_eq!(asked("0.0.0.0:5000"), "127.0.0.1:5000");
    assert_eq!(asked("[::]:80"), "[::1]:80");
    assert_eq!(asked("10.1.2.3:80"), "10.1.2.3:80");
}

#[test]
fn a_token_is_not_shown() {
    let client = Client::new("http://127.0.0.1:1").unwrap().with_token(Some("ecss_a_secret")).unwrap();
    assert!(!format!("{client:?}").contains("secret"));
    assert!(Client::new("http://127.0.0.1:1").unwrap().with_token(Some("a\nb")).is_err());
}
