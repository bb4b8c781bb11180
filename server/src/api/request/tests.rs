use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};
use futures::FutureExt as _;
use jiff::Timestamp;

use super::*;

fn refused(query: Query) -> Vec<String> {
    let errors = query.finish().err().map(|problem| problem.document().errors).unwrap_or_default();
    errors.into_iter().map(|error| error.pointer).collect()
}

#[test]
fn integers_are_read_as_they_always_were() {
    for (text, number) in [("7", 7), ("+7", 7), ("%2B7", 7), (" 7+", 7), ("0007", 7), ("-0", 0)] {
        let mut query = Query::parse(&format!("skip={text}"));
        assert_eq!(query.integer("skip", 99, 0), number, "{text}");
        assert!(query.finish().is_ok(), "{text}");
    }
    for text in ["", "x", "1.5", "1e3", "0x1", "-1", "1_0", "%D9%A3", "+", "--1", "null"] {
        let mut query = Query::parse(&format!("skip={text}"));
        assert_eq!(query.integer("skip", 99, 0), 99, "{text}");
        assert_eq!(refused(query), ["?skip"], "{text}");
    }
}

#[test]
fn every_wrong_parameter_is_reported() {
    let mut query = Query::parse("limit=0&after=x&other=1");
    query.limit();
    query.moment("after");
    assert_eq!(refused(query), ["?limit", "?after"]);
}

#[test]
fn each_repeated_or_unknown_parameter_is_reported_once() {
    let known = ["limit", "after"].map(str::to_owned);
    let errors = |text: &str| {
        let problem = Query::parse(text).ensure_known(&known).err();
        let errors = problem.map(|problem| problem.document().errors).unwrap_or_default();
        errors.into_iter().map(|error| error.pointer).collect::<Vec<_>>()
    };
    assert_eq!(errors("limit=5&after=9"), [""; 0]);
    assert_eq!(errors("limit=5&x=1&after=9&limit=5&x=2&limit=6&%6Cimit=7"), ["?limit", "?x"]);
}

#[test]
fn a_moment_without_an_offset_is_utc() {
    let noon: Timestamp = "2027-03-01T12:00:00Z".parse().unwrap();
    for text in ["2027-03-01T12:00:00Z", "2027-03-01T13:00:00+01:00", "2027-03-01T12:00:00"] {
        assert_eq!(moment(text), Some(noon), "{text}");
    }
    for text in ["", "noon", "2027-03-01", "12:00:00", "2027-13-01T12:00:00Z"] {
        assert_eq!(moment(text), None, "{text}");
    }
}

#[test]
fn names_are_decoded_and_invalid_utf_8_matches_nothing() {
    let name = |path: &str| Name::from_uri(&path.parse().unwrap()).0;
    assert_eq!(name("/jobs/a%20b/next"), "a b");
    assert_eq!(name("/jobs/%FF"), "\u{fffd}");
    assert_eq!(name("/jobs/a%2Fb"), "a/b");
    assert!(Name("a/b".to_owned()).job().is_err());
}

#[test]
fn the_next_page_keeps_the_filters() {
    let given = Query::parse("outcome=idle&limit=5&after=9&label=team").finish().unwrap();
    assert_eq!(given.next_link("/decisions", "4"), "/decisions?outcome=idle&limit=5&label=team&after=4");
}

#[tokio::test]
async fn larger_bodies_that_are_kept_in_parsed_form_are_bounded() {
    let parsers = Parsers::default();
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    let body = async |length: usize| {
        let text = serde_json::json!({"description": "x".repeat(length)}).to_string();
        JsonBody::read(&parsers, &headers, Body::from(text)).await.ok().unwrap()
    };
    let (large, small) = (body(10_000).await, body(1_000).await);
    let mut kept: Vec<KeptBody> = Vec::new();
    while let Some(one) = large.keep().now_or_never() {
        kept.push(one);
        assert!(kept.len() <= 32);
    }
    assert_eq!(kept.len(), 32);
    assert!(small.keep().now_or_never().is_some(), "a small one needs no permission");
    assert!(large.parse(|_| Ok(())).await.is_ok(), "others are parsed");
    kept.pop();
    assert!(large.keep().now_or_never().is_some());
}

#[test]
fn wrong_member_is_described_without_types_of_the_program() {
    #[derive(Debug, serde::Deserialize)]
    struct Given {
        #[expect(dead_code, reason = "only its type is checked")]
        demand: Option<u32>,
        #[expect(dead_code, reason = "only its type is checked")]
        tasks: Option<std::num::NonZeroU32>,
    }
    for (value, pointer, message) in [
        (
            serde_json::json!({"demand": -1}),
            "/given/demand",
            "Not valid: invalid value: integer `-1`, expected a whole number from 0 to 4,294,967,295.",
        ),
        (
            serde_json::json!({"tasks": 0}),
            "/given/tasks",
            "Not valid: invalid value: integer `0`, expected a whole number from 1 to 4,294,967,295.",
        ),
        (serde_json::json!([]), "/given", "Invalid input type."),
    ] {
        let problem = member::<Given>("/given", value).unwrap_err().document();
        assert_eq!(
            (problem.errors[0].pointer.as_str(), problem.errors[0].message.as_str()),
            (pointer, message)
        );
    }
}
