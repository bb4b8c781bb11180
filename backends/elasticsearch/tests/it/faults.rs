//! What goes wrong on the way to the cluster and in it.

use std::time::Duration;

use ecs_scheduler_backend_elasticsearch::Cluster;
use ecs_scheduler_backend_segments::LogStore;
use ecs_scheduler_core::{FaultKind, JobStore as _, Registers as _, Revision, Store as _, StoreError};

use crate::fixture::{HASTE, PATIENCE, Place, at, document, fault, listed, name, new_job, options};
use ecs_scheduler_fake_elasticsearch::{Demand, Mishap};

/// How long a silent node is waited for.
const SOON: Duration = Duration::from_millis(500);

/// What a test does once everything is open, and what it must find then and after a restart.
async fn change_everything(store: &LogStore) {
    store.create(new_job("a", r#"{"taskCount":1}"#)).await.unwrap();
    store.create(new_job("b", "{}")).await.unwrap();
    store.replace(&name("a"), Revision(1), document(r#"{"taskCount":2}"#), at(2)).await.unwrap();
    store.remove(&name("b"), None).await.unwrap();
    assert_eq!(store.write("brake", "on", None, None).await.unwrap(), 1);
}

async fn all_is_well(store: &LogStore) {
    let jobs = listed(store).await;
    let seen: Vec<_> = jobs.iter().map(|job| (job.id.as_str(), job.revision, job.document.get())).collect();
    assert_eq!(seen, [("a", Revision(2), r#"{"taskCount":2}"#)]);
    assert_eq!(store.read("brake").await.unwrap().unwrap().value, "on");
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    for mishap in [
        Mishap::Broken,
        Mishap::Lost,
        Mishap::Answer(429, "es_rejected_execution_exception"),
        Mishap::Answer(503, "unavailable_shards_exception"),
        Mishap::Answer(502, ""),
    ] {
        let place = Place::new().await;
        let store = place.store().await;
        // Every other request of each kind.
        for request in [
            "PUT /jobs/_create",
            "PUT /jobs/_doc",
            "DELETE /jobs/_doc",
            "PUT /jobs-journal/_create",
            "GET /jobs",
        ] {
            place.fake.befall(request, 1, mishap);
        }
        change_everything(&store).await;
        all_is_well(&store).await;
        store.close().await.unwrap();
        drop(store);
        all_is_well(&place.store().await).await;
    }
}

#[tokio::test]
async fn every_answer_of_a_write_lost_once_loses_and_doubles_nothing() {
    let place = Place::new().await;
    let store = place.store().await;
    for number in 0..20 {
        place.fake.befall("PUT", 1, Mishap::Lost);
        store.create(new_job(&format!("job-{number:02}"), "{}")).await.unwrap();
    }
    store.close().await.unwrap();
    drop(store);
    let jobs = listed(&place.store().await).await;
    assert_eq!(jobs.len(), 20);
    assert!(jobs.iter().all(|job| job.revision == Revision(1)));
    let ids: Vec<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
    assert!(ids.is_sorted(), "the order of creation stays: {ids:?}");
}

#[tokio::test]
async fn the_next_node_is_asked_when_one_is_silent() {
    let mut place = Place::new().await;
    place.fake.add_node().await;
    let mut options = place.options();
    options.patience.answer = SOON;
    let store = options.open().await.unwrap();
    place.fake.befall("PUT /jobs/_create", 1, Mishap::Silent);
    store.create(new_job("a", "{}")).await.unwrap();
    assert_eq!(listed(&store).await.len(), 1);
}

#[tokio::test]
async fn a_node_that_is_down_is_passed_over() {
    let place = Place::new().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hosts = format!("{}, {}", listener.local_addr().unwrap(), place.fake.hosts());
    drop(listener);
    let cluster = Cluster { nodes: Cluster::nodes(&hosts).unwrap(), ..Cluster::default() };
    let store = options(cluster, "jobs").open().await.unwrap();
    change_everything(&store).await;
    all_is_well(&store).await;
}

#[tokio::test]
async fn a_cluster_without_room_says_so_and_goes_on_when_there_is_some() {
    let place = Place::new().await;
    let mut options = place.options();
    options.patience = HASTE;
    let store = options.open().await.unwrap();
    place.fake.world(|world| world.full = true);
    let error = store.create(new_job("a", "{}")).await.unwrap_err();
    assert!(error.is_transient());
    let message = fault(&error);
    assert!(message.contains("disks are full") && message.contains("flood-stage"), "{message}");
    place.fake.world(|world| world.full = false);
    store.create(new_job("a", "{}")).await.unwrap();
    assert_eq!(listed(&store).await.len(), 1);
    place.fake.world(|world| world.full = true);
    let error = store.remove(&name("a"), None).await.unwrap_err();
    assert!(error.is_transient(), "documents cannot even be removed: {error}");
    assert_eq!(listed(&store).await.len(), 1);
    place.fake.world(|world| world.full = false);
    store.remove(&name("a"), None).await.unwrap();
}

#[tokio::test]
async fn a_search_with_a_shard_missing_is_an_error_and_no_gap() {
    for mishap in [Mishap::ShardFailed, Mishap::TimedOut] {
        for request in ["POST /jobs/_search", "POST /_search/scroll", "POST /jobs-journal/_search"] {
            let place = Place::new().await;
            let store = place.store().await;
            change_everything(&store).await;
            store.close().await.unwrap();
            place.fake.befall(request, usize::MAX, mishap);
            let message = place.refusal().await;
            assert!(message.contains("shards gave no answer"), "{request}: {message}");
        }
    }
}

#[tokio::test]
async fn a_refresh_with_a_shard_missing_is_an_error() {
    let place = Place::new().await;
    place.fake.befall("POST /jobs/_refresh", 1, Mishap::ShardFailed);
    let message = place.refusal().await;
    assert!(message.contains("could not refresh index \"jobs\""), "{message}");
}

#[tokio::test]
async fn an_index_that_is_gone_is_not_made_anew_by_a_write() {
    let place = Place::new().await;
    let store = place.store().await;
    place.fake.world(|world| world.remove("jobs"));
    let error = store.create(new_job("a", "{}")).await.unwrap_err();
    let message = fault(&error);
    assert!(message.contains("the index is gone"), "{message}");
    assert_eq!(place.fake.world(|world| world.names().len()), 1, "only the journal is there");
}

#[tokio::test]
async fn a_document_that_another_program_changed_is_a_conflict() {
    let place = Place::new().await;
    let store = place.store().await;
    store.create(new_job("a", "{}")).await.unwrap();
    place.fake.world(|world| world.index("jobs").put("a", r#"{"taskCount":9}"#, Demand::Nothing));
    let error = store.replace(&name("a"), Revision(1), document("{}"), at(2)).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
    let kept = place.fake.world(|world| world.index("jobs").docs()["a"].source.clone());
    assert_eq!(kept, r#"{"taskCount":9}"#);
}

#[tokio::test]
async fn a_new_primary_changes_nothing_for_documents_that_were_there() {
    let place = Place::new().await;
    let store = place.store().await;
    store.create(new_job("a", "{}")).await.unwrap();
    place.fake.world(|world| world.index("jobs").fail_over());
    store.replace(&name("a"), Revision(1), document(r#"{"taskCount":2}"#), at(2)).await.unwrap();
    store.replace(&name("a"), Revision(2), document(r#"{"taskCount":3}"#), at(3)).await.unwrap();
    assert_eq!(listed(&store).await[0].revision, Revision(3));
}

#[tokio::test]
async fn a_second_scheduler_stops_the_first() {
    let place = Place::new().await;
    let first = place.store().await;
    first.create(new_job("a", "{}")).await.unwrap();
    let second = place.store().await;
    let error = first.write("brake", "on", None, None).await.unwrap_err();
    assert!(matches!(error, StoreError::Fault { kind: FaultKind::Unavailable, .. }), "{error:?}");
    let message = fault(&error);
    assert!(message.contains("another process writes to index \"jobs\""), "{message}");
    second.write("brake", "on", None, None).await.unwrap();
}

/// A cluster with more jobs than are listed at once, written by somebody else.
async fn with_many_jobs() -> Place {
    let place = Place::new().await;
    place.store().await.close().await.unwrap();
    place.fake.world(|world| {
        for number in 0..2_500 {
            world.index("jobs").put(&format!("job-{number:04}"), "{}", Demand::Absent);
        }
    });
    place
}

#[tokio::test]
async fn more_than_one_page_of_jobs_is_listed_and_the_scroll_is_freed() {
    let place = with_many_jobs().await;
    let store = place.store().await;
    let list =
        store.list(ecs_scheduler_core::ListFrom::Skip(2_400), 1_000.try_into().unwrap()).await.unwrap();
    assert_eq!((list.total, list.jobs.len()), (2_500, 100));
    assert_eq!(place.fake.world(|world| world.open_scrolls()), 0);
    assert_eq!(place.fake.count("POST /_search/scroll"), 3);
}

#[tokio::test]
async fn a_page_of_jobs_whose_answer_was_lost_is_not_left_out() {
    let forgotten = Mishap::Answer(404, "search_context_missing_exception");
    for mishap in [Mishap::Lost, Mishap::Silent, Mishap::Broken, forgotten] {
        let place = with_many_jobs().await;
        place.fake.befall("POST /_search/scroll", 1, mishap);
        let mut options = place.options();
        options.patience.answer = if mishap == Mishap::Silent { SOON } else { PATIENCE.answer };
        let store = options.open().await.unwrap();
        let list = store.list(ecs_scheduler_core::ListFrom::Skip(0), 1.try_into().unwrap()).await.unwrap();
        assert_eq!(list.total, 2_500, "{mishap:?}");
        assert_eq!(place.fake.world(|world| world.open_scrolls()), 0, "{mishap:?}");
    }
}

#[tokio::test]
async fn jobs_that_can_never_be_listed_whole_are_not_taken_for_removed() {
    let place = with_many_jobs().await;
    place.store().await.close().await.unwrap();
    place.fake.befall(
        "POST /_search/scroll",
        usize::MAX,
        Mishap::Answer(404, "search_context_missing_exception"),
    );
    let error = place.options().open().await.unwrap_err();
    assert!(error.is_transient());
    assert!(
        fault(&error).contains("could not list the jobs in index \"jobs\": 5 listings broke off"),
        "{error}"
    );
    let message = place.options().examine().await.problem.unwrap();
    assert!(message.contains("listings broke off"), "{message}");
}

#[tokio::test]
async fn an_old_segment_that_cannot_be_removed_does_no_harm() {
    let place = Place::new().await;
    let store = place.store().await;
    place.fake.befall("POST /jobs-journal/_bulk", 1, Mishap::Item(429, "es_rejected_execution_exception"));
    let mut version = 0;
    while place.fake.count("POST /jobs-journal/_bulk") == 0 {
        assert!(version < 5_000, "a snapshot is taken");
        version = store.write("brake", "on", (version > 0).then_some(version), None).await.unwrap();
    }
    store.close().await.unwrap();
    drop(store);
    let kept = place.fake.world(|world| world.index("jobs-journal").docs().len());
    assert!(kept < 1_100, "all others of that request were removed, and {kept} are left");
    assert_eq!(place.store().await.read("brake").await.unwrap().unwrap().version, version);
}
