use axum::http::{HeaderMap, HeaderValue, header};
use ecs_scheduler_core::job::{JobId, JobUid, Progress, Revision};
use ecs_scheduler_core::{StoredJob, Timestamp};

use super::IfMatch;
use crate::api::etag::Tag;

fn job(revision: u64) -> StoredJob {
    StoredJob {
        id: JobId::new("report").unwrap(),
        uid: JobUid::derived("test", &JobId::new("report").unwrap()),
        revision: Revision(revision),
        document: serde_json::value::to_raw_value(&serde_json::json!({})).unwrap(),
        created: Timestamp::UNIX_EPOCH,
        changed: Timestamp::UNIX_EPOCH,
        progress: Progress::default(),
    }
}

fn conditions(name: header::HeaderName, value: &str) -> IfMatch {
    IfMatch::from_headers(&HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())]))
}

#[test]
fn a_job_keeps_its_condition_while_only_its_last_run_changes() {
    let before = Tag::of_job(&job(3), b"{}");
    let after = Tag::of_job(&job(3), b"{\"lastRun\":\"now\"}");
    assert_ne!(before, after, "a cache must see the difference");
    let given = conditions(header::IF_MATCH, before.header().to_str().unwrap());
    assert!(given.check(&job(3)).is_ok());
    assert!(given.check(&job(4)).is_err());
}

#[test]
fn weak_foreign_and_cut_tags_match_nothing() {
    let tag = Tag::of_job(&job(1), b"{}").header().to_str().unwrap().to_owned();
    for wrong in [format!("W/{tag}"), "\"1\"".to_owned(), tag[..26].to_owned() + "\"", tag.replace('"', "")] {
        assert!(conditions(header::IF_MATCH, &wrong).check(&job(1)).is_err(), "{wrong}");
    }
    for right in ["*".to_owned(), format!("\"other\", {tag}")] {
        assert!(conditions(header::IF_MATCH, &right).check(&job(1)).is_ok(), "{right}");
    }
}

#[test]
fn a_job_that_must_not_exist_is_refused_when_it_does() {
    assert!(conditions(header::IF_NONE_MATCH, "*").check(&job(1)).is_err());
}
