use super::*;

#[test]
fn every_kind_has_its_own_page_a_title_and_a_remedy() {
    let mut slugs: Vec<_> = ProblemType::ALL.into_iter().map(ProblemType::slug).collect();
    for kind in ProblemType::ALL {
        assert!(kind.status().is_client_error() || kind.status().is_server_error(), "{kind:?}");
        assert!(!kind.title().is_empty() && kind.remedy().ends_with('.'), "{kind:?}");
    }
    slugs.sort_unstable();
    slugs.dedup();
    assert_eq!(slugs.len(), ProblemType::ALL.len());
}

#[test]
fn a_wrong_field_is_named_by_pointer_and_in_the_old_shape() {
    let document = Problem::field("/count", "Must be at least 1.").document();
    assert_eq!(document.status, 400);
    assert_eq!(document.detail, "/count: Must be at least 1.");
    assert_eq!(document.messages.unwrap(), serde_json::json!({"count": ["Must be at least 1."]}));
    assert_eq!(document.errors[0].pointer, "/count");
}

#[test]
fn a_transient_problem_has_retry_after() {
    let fault = |kind| Problem::from(StoreError::fault(kind, "could not read job \"a\"")).into_response();
    let passing = fault(FaultKind::Unavailable);
    assert_eq!((passing.status().as_u16(), &passing.headers()[RETRY_AFTER]), (503, &HeaderValue::from(1)));
    let lasting = fault(FaultKind::Config);
    assert_eq!((lasting.status().as_u16(), lasting.headers().get(RETRY_AFTER)), (500, None));
}

#[test]
fn problem_json_is_sent_only_when_it_is_accepted() {
    let problem = || Problem::no_job("a").into_response();
    let (mut plain, mut asked) = (problem(), problem());
    finish(&mut plain, false);
    finish(&mut asked, true);
    assert_eq!(plain.headers()[CONTENT_TYPE], "application/json");
    assert_eq!(asked.headers()[CONTENT_TYPE], "application/problem+json");
    let mut fine = respond::json(axum::http::StatusCode::OK, &1);
    finish(&mut fine, true);
    assert_eq!(fine.headers()[CONTENT_TYPE], "application/json");
}
