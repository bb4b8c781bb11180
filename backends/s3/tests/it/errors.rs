//! Error messages, and two processes on one bucket.

use ecs_scheduler_core::{
    FaultKind, JobStore as _, ListFrom, Registers as _, Store as _, StoreError, StoreMaintenance as _, fault,
};
use std::num::NonZeroUsize;

use crate::bucket::{TestBucket, new_job};
use crate::emulator::{ministack, moto};
use crate::proxy::{Proxy, ProxyAction, ProxyRequest};

const FIRST: &str = r#"{"taskCount": 1}"#;

fn failed(result: Result<impl std::fmt::Debug, StoreError>) -> (FaultKind, String) {
    match result {
        Err(StoreError::Fault { kind, message, .. }) => (kind, message),
        other => panic!("it is a fault, not {other:?}"),
    }
}

#[tokio::test]
async fn a_missing_bucket_is_created_in_the_region() {
    for address in [moto().await, ministack().await] {
        let bucket = TestBucket::at(address);
        bucket.try_open().await.unwrap().close().await.unwrap();
        let location = bucket.client().await.get_bucket_location().bucket(&bucket.name).send().await.unwrap();
        assert_eq!(location.location_constraint.unwrap().as_str(), "eu-central-1");
        bucket.try_open().await.unwrap();
        assert_eq!(bucket.calls("CreateBucket"), 1, "once");
    }
}

#[tokio::test]
async fn a_missing_bucket_that_may_not_be_created_names_the_permission() {
    let bucket = TestBucket::at(moto().await);
    let bucket_path = format!("/{}", bucket.name);
    let denying = move |request: &ProxyRequest<'_>| {
        let creation = request.method == "PUT" && request.target.trim_end_matches('/') == bucket_path;
        if creation { ProxyAction::Answer(403, "AccessDenied") } else { ProxyAction::Pass }
    };
    let proxy = Proxy::start(moto().await, denying).await;
    let (kind, message) = failed(bucket.behind(&proxy.address).try_open().await);
    assert_eq!(kind, FaultKind::Denied);
    let wanted = format!(
        "could not create the missing bucket \"{}\" in eu-central-1; allow s3:CreateBucket",
        bucket.name
    );
    assert!(message.starts_with(&wanted), "{message}");
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let cases: [(&str, &str, &str); 3] = [
        ("GET", "list-type=2", "s3:ListBucket"),
        ("PUT", "segment-", "s3:PutObject"),
        ("GET", "segment-", "s3:GetObject"),
    ];
    for (method, part, action) in cases {
        let bucket = TestBucket::at(moto().await);
        let store = bucket.try_open().await.unwrap();
        store.put_register("brake", "on", None, None).await.unwrap();
        let denying = move |request: &ProxyRequest<'_>| {
            let denied = request.method == method && request.target.contains(part);
            if denied { ProxyAction::Answer(403, "AccessDenied") } else { ProxyAction::Pass }
        };
        let proxy = Proxy::start(moto().await, denying).await;
        let (kind, message) = failed(bucket.behind(&proxy.address).try_open().await);
        assert_eq!(kind, FaultKind::Denied);
        assert!(message.contains(&format!("allow {action}")), "{message}");
    }
}

#[tokio::test]
async fn a_bucket_in_another_region_is_reported_with_the_remedy() {
    let bucket = TestBucket::at(moto().await);
    let moved = |_: &ProxyRequest<'_>| ProxyAction::Answer(301, "PermanentRedirect");
    let proxy = Proxy::start(moto().await, moved).await;
    let (kind, message) = failed(bucket.behind(&proxy.address).try_open().await);
    assert_eq!(kind, FaultKind::Config);
    assert!(message.contains("the bucket is in another region; set AWS_REGION"), "{message}");
}

#[tokio::test]
async fn examine_creates_no_bucket() {
    let bucket = TestBucket::at(moto().await);
    let examination = ecs_scheduler_backend_s3::diagnose(&bucket.aws, bucket.options()).await;
    assert!(examination.what.starts_with("store: bucket"), "{examination:?}");
    assert!(
        examination
            .problem
            .unwrap()
            .contains("there is no such bucket; it is created when the scheduler starts")
    );
    assert_eq!(bucket.calls("CreateBucket"), 0);
}

#[tokio::test]
async fn a_damaged_segment_is_named_by_bucket_and_key() {
    let bucket = TestBucket::at(moto().await);
    bucket.try_open().await.unwrap().close().await.unwrap();
    bucket.put("jobs/prod/.ecs-scheduler/segment-0000000000000002", "{\"format\":1,").await;
    let (kind, message) = failed(bucket.try_open().await);
    assert_eq!(kind, FaultKind::Config);
    let wanted = format!(
        "the journal's object \"segment-0000000000000002\" in bucket \"{}\" below \"jobs/prod/.ecs-scheduler/\" is damaged; restore it",
        bucket.name
    );
    assert!(message.starts_with(&wanted), "{message}");
}

#[tokio::test]
async fn a_document_that_is_not_json_is_skipped() {
    let bucket = TestBucket::at(moto().await);
    bucket.create().await;
    bucket.put("jobs/prod/bad.json", "schedule: '*'").await;
    bucket.put("jobs/prod/a name.json", FIRST).await;
    bucket.put("jobs/prod/good.json", FIRST).await;
    let store = bucket.try_open().await.unwrap();
    let list = store.list(ListFrom::Skip(0), NonZeroUsize::MAX).await.unwrap();
    assert_eq!((list.total, list.jobs[0].id.as_str()), (1, "good"));
    let error = store.create(new_job("bad", FIRST)).await.unwrap_err();
    let text = fault::chain(&error);
    assert!(
        text.contains("object \"jobs/prod/bad.json\"") && text.contains("is not JSON; correct it"),
        "{text}"
    );
}

#[tokio::test]
async fn the_first_of_two_schedulers_stops_and_the_second_continues() {
    for address in [moto().await, ministack().await] {
        let bucket = TestBucket::at(address);
        let first = bucket.try_open().await.unwrap();
        first.create(new_job("a", FIRST)).await.unwrap();
        let second = bucket.try_open().await.unwrap();
        let (kind, message) = failed(first.put_register("brake", "on", None, None).await);
        assert_eq!(kind, FaultKind::Unavailable);
        let wanted = format!("another process writes to bucket \"{}\" below \"jobs/prod/", bucket.name);
        assert!(message.starts_with(&wanted), "{message}");
        assert_eq!(failed(first.health_check().await).1, message);
        second.put_register("brake", "off", None, None).await.unwrap();
        second.health_check().await.unwrap();
    }
}

#[tokio::test]
async fn look_writes_nothing_and_does_not_disturb_a_running_store() {
    let bucket = TestBucket::at(moto().await);
    let store = bucket.try_open().await.unwrap();
    store.create(new_job("a", FIRST)).await.unwrap();
    bucket.put("jobs/prod/b.json", FIRST).await;
    let other = bucket.behind(moto().await);
    let state = ecs_scheduler_backend_s3::open_read_only(&other.aws, other.options()).await.unwrap();
    assert_eq!(state.list(ListFrom::Skip(0), NonZeroUsize::MAX).await.unwrap().total, 2);
    assert_eq!(other.calls("PutObject"), 0);
    store.put_register("brake", "on", None, None).await.unwrap();
}
