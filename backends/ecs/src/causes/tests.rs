use std::collections::BTreeSet;

use serde::Deserialize;

use super::{CAUSES, diagnose, matches};

/// Texts of ECS as users and the documentation of AWS report them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Recorded {
    tasks: Vec<RecordedTask>,
    refusals: Vec<RecordedRefusal>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RecordedTask {
    cause: Option<String>,
    stop_code: String,
    stopped_reason: String,
    container_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RecordedRefusal {
    cause: Option<String>,
    reason: String,
    detail: Option<String>,
}

/// Returns the cause and the text of each recorded case.
fn recorded() -> Vec<(Option<String>, String)> {
    let all: Recorded =
        serde_json::from_str(include_str!("../../tests/fixtures/causes.json")).expect("a valid fixture");
    let tasks = all.tasks.into_iter().map(|task| {
        let container = task.container_reason.unwrap_or_default();
        (task.cause, format!("{} {} {container}", task.stop_code, task.stopped_reason))
    });
    let refusals = all
        .refusals
        .into_iter()
        .map(|refusal| (refusal.cause, format!("{} {}", refusal.reason, refusal.detail.unwrap_or_default())));
    tasks.chain(refusals).collect()
}

#[test]
fn recorded_texts_have_the_right_cause() {
    for (cause, text) in recorded() {
        let found = diagnose(&text).map(|diagnosis| diagnosis.code.into_owned());
        assert_eq!(found, cause, "{text}");
    }
}

#[test]
fn every_cause_has_a_recorded_text() {
    let codes: BTreeSet<String> =
        CAUSES.iter().map(|cause| cause.diagnosis.code.clone().into_owned()).collect();
    let in_fixture: BTreeSet<String> = recorded().into_iter().filter_map(|(cause, _)| cause).collect();
    assert_eq!(codes, in_fixture);
    assert!(codes.len() >= 25, "{}", codes.len());
}

#[test]
fn every_cause_is_on_the_page_about_ecs() {
    let page = include_str!("../../../../doc/ecs.md");
    for cause in CAUSES {
        let code = format!("`{}`", cause.diagnosis.code);
        assert!(page.contains(&code), "doc/ecs.md does not name {code}");
    }
}

#[test]
fn patterns_are_lower_case_and_every_cause_has_words_and_an_https_link() {
    for cause in CAUSES {
        let code = &cause.diagnosis.code;
        assert!(cause.patterns.iter().all(|pattern| *pattern == pattern.to_lowercase()), "{code}");
        assert!(!cause.diagnosis.text.is_empty() && !cause.diagnosis.remedy.is_empty(), "{code}");
        let link = cause.diagnosis.link.as_deref().expect("every cause has a link");
        let page = link.strip_prefix("https://docs.aws.amazon.com/AmazonECS/latest/developerguide/");
        let name = page.and_then(|page| page.strip_suffix(".html")).unwrap_or_default();
        let is_fine = |c: u8| c.is_ascii_lowercase() || b"-_".contains(&c);
        assert!(!name.is_empty() && name.bytes().all(is_fine), "{code}: {link}");
    }
}

#[test]
fn parts_of_a_pattern_match_in_order_only() {
    assert!(matches("a*b", "xaxbx"));
    assert!(!matches("a*b", "xbxax"));
    assert!(matches("^ab", "abc"));
    assert!(!matches("^ab", "cab"));
}
