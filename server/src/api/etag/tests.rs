use axum::http::{HeaderMap, HeaderValue, header};

use super::*;

fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
    HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
}

#[test]
fn if_none_match_is_compared_weakly() {
    let tag = Tag::of_body(b"body").header();
    let text = tag.to_str().unwrap();
    for known in ["*".to_owned(), text.to_owned(), format!("W/{text}"), format!("\"a\", {text}")] {
        assert!(is_known(&headers(header::IF_NONE_MATCH, &known), &tag), "{known}");
    }
    assert!(!is_known(&headers(header::IF_NONE_MATCH, "\"a\""), &tag));
    assert!(!is_known(&HeaderMap::new(), &tag));
}
