//! Faults of the network and of the cluster.

use std::time::Duration;

use ecs_scheduler_backend_elasticsearch::Cluster;
use ecs_scheduler_backend_log_store::LogStore;
use ecs_scheduler_core::{FaultKind, JobStore as _, Registers as _, Revision, Store as _, StoreError};
use ecs_scheduler_test_support::free_port;

use crate::fixture::{
    SHORT_TIMEOUTS, TIMEOUTS, TestCluster, at, document, fault_chain, listed, name, new_job, options,
};
use ecs_scheduler_fake_elasticsearch::{InjectedFault, WriteCondition};
use ecs_scheduler_test_support::TcpProxy;
use tokio::time::Instant;

/// A short timeout of responses.
const SHORT_TIMEOUT: Duration = Duration::from_millis(500);

/// Changes jobs and a register; [`assert_changed`] finds the changes, also after a restart.
async fn make_changes(store: &LogStore) {
    store.create(new_job("a", r#"{"taskCount":1}"#)).await.unwrap();
    store.create(new_job("b", "{}")).await.unwrap();
    store.replace(&name("a"), Revision(1), document(r#"{"taskCount":2}"#), at(2)).await.unwrap();
    store.remove(&name("b"), None).await.unwrap();
    assert_eq!(store.put_register("brake", "on", None, None).await.unwrap(), 1);
}

async fn assert_changed(store: &LogStore) {
    let jobs = listed(store).await;
    let seen: Vec<_> = jobs.iter().map(|job| (job.id.as_str(), job.revision, job.document.get())).collect();
    assert_eq!(seen, [("a", Revision(2), r#"{"taskCount":2}"#)]);
    assert_eq!(store.get_register("brake").await.unwrap().unwrap().value, "on");
}

#[tokio::test]
async fn transient_errors_are_retried() {
    for injected in [
        InjectedFault::ConnectionBroken,
        InjectedFault::ResponseLost,
        InjectedFault::ErrorResponse(429, "es_rejected_execution_exception"),
        InjectedFault::ErrorResponse(503, "unavailable_shards_exception"),
        InjectedFault::ErrorResponse(502, ""),
    ] {
        let cluster = TestCluster::new().await;
        let store = cluster.store().await;
        // The first request of each kind.
        for request in [
            "PUT /jobs/_create",
            "PUT /jobs/_doc",
            "DELETE /jobs/_doc",
            "PUT /jobs-journal/_create",
            "GET /jobs",
        ] {
            cluster.fake.inject(request, 1, injected);
        }
        make_changes(&store).await;
        assert_changed(&store).await;
        store.close().await.unwrap();
        drop(store);
        assert_changed(&cluster.store().await).await;
    }
}

#[tokio::test]
async fn connection_that_was_idle_for_a_minute_is_not_used_again() {
    let cluster = TestCluster::new().await;
    let hosts = cluster.fake.hosts();
    let (_, port) = hosts.split(',').next().unwrap().rsplit_once(':').unwrap();
    let proxy = TcpProxy::start(port.parse().unwrap()).await;
    let nodes = Cluster::nodes(&format!("http://127.0.0.1:{}", proxy.port())).unwrap();
    let store = options(Cluster { nodes, ..Cluster::default() }, "jobs").open().await.unwrap();
    store.create(new_job("a", "{}")).await.unwrap();
    let before = proxy.connections();
    proxy.forget_connections();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(55)).await;
    tokio::time::resume();
    let began = Instant::now();
    store.create(new_job("b", "{}")).await.unwrap();
    let took = began.elapsed();
    assert!(took < TIMEOUTS.response, "{took:?}: a firewall may have dropped the idle connection silently");
    assert!(proxy.connections() > before);
}

#[tokio::test]
async fn lost_responses_of_writes_lose_and_duplicate_nothing() {
    let cluster = TestCluster::new().await;
    let store = cluster.store().await;
    for number in 0..20 {
        cluster.fake.inject("PUT", 1, InjectedFault::ResponseLost);
        store.create(new_job(&format!("job-{number:02}"), "{}")).await.unwrap();
    }
    store.close().await.unwrap();
    drop(store);
    let jobs = listed(&cluster.store().await).await;
    assert_eq!(jobs.len(), 20);
    assert!(jobs.iter().all(|job| job.revision == Revision(1)));
    let ids: Vec<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
    assert!(ids.is_sorted(), "the order of creation stays: {ids:?}");
}

#[tokio::test]
async fn request_is_retried_on_the_next_node_when_one_does_not_answer() {
    let mut cluster = TestCluster::new().await;
    cluster.fake.add_node().await;
    let mut options = cluster.options();
    options.timeouts.response = SHORT_TIMEOUT;
    let store = options.open().await.unwrap();
    cluster.fake.inject("PUT /jobs/_create", 1, InjectedFault::NoResponse);
    store.create(new_job("a", "{}")).await.unwrap();
    assert_eq!(listed(&store).await.len(), 1);
}

#[tokio::test]
async fn node_that_is_down_is_skipped() {
    let cluster = TestCluster::new().await;
    let hosts = format!("127.0.0.1:{}, {}", free_port(), cluster.fake.hosts());
    let cluster = Cluster { nodes: Cluster::nodes(&hosts).unwrap(), ..Cluster::default() };
    let store = options(cluster, "jobs").open().await.unwrap();
    make_changes(&store).await;
    assert_changed(&store).await;
}

#[tokio::test]
async fn writes_fail_while_disks_are_full_and_recover() {
    let cluster = TestCluster::new().await;
    let mut options = cluster.options();
    options.timeouts = SHORT_TIMEOUTS;
    let store = options.open().await.unwrap();
    cluster.fake.with_state(|state| state.full = true);
    let error = store.create(new_job("a", "{}")).await.unwrap_err();
    assert!(error.is_transient());
    let message = fault_chain(&error);
    assert!(message.contains("disks are full") && message.contains("flood-stage"), "{message}");
    cluster.fake.with_state(|state| state.full = false);
    store.create(new_job("a", "{}")).await.unwrap();
    assert_eq!(listed(&store).await.len(), 1);
    cluster.fake.with_state(|state| state.full = true);
    let error = store.remove(&name("a"), None).await.unwrap_err();
    assert!(error.is_transient(), "a full cluster refuses removals as well: {error}");
    assert_eq!(listed(&store).await.len(), 1);
    cluster.fake.with_state(|state| state.full = false);
    store.remove(&name("a"), None).await.unwrap();
}

#[tokio::test]
async fn search_with_a_missing_shard_is_an_error() {
    for injected in [InjectedFault::ShardFailed, InjectedFault::SearchTimedOut] {
        for request in ["POST /jobs/_search", "POST /_search/scroll", "POST /jobs-journal/_search"] {
            let cluster = TestCluster::new().await;
            let store = cluster.store().await;
            make_changes(&store).await;
            store.close().await.unwrap();
            cluster.fake.inject(request, usize::MAX, injected);
            let message = cluster.open_error().await;
            assert!(message.contains("shards gave no answer"), "{request}: {message}");
        }
    }
}

#[tokio::test]
async fn refresh_with_a_missing_shard_is_an_error() {
    let cluster = TestCluster::new().await;
    cluster.fake.inject("POST /jobs/_refresh", 1, InjectedFault::ShardFailed);
    let message = cluster.open_error().await;
    assert!(message.contains("could not refresh index \"jobs\""), "{message}");
}

#[tokio::test]
async fn write_does_not_recreate_a_removed_index() {
    let cluster = TestCluster::new().await;
    let store = cluster.store().await;
    cluster.fake.with_state(|state| state.remove("jobs"));
    let error = store.create(new_job("a", "{}")).await.unwrap_err();
    let message = fault_chain(&error);
    assert!(message.contains("the index is gone"), "{message}");
    assert_eq!(cluster.fake.with_state(|state| state.names().len()), 1, "only the journal is there");
}

#[tokio::test]
async fn document_changed_by_another_program_is_a_conflict() {
    let cluster = TestCluster::new().await;
    let store = cluster.store().await;
    store.create(new_job("a", "{}")).await.unwrap();
    cluster.fake.with_state(|state| {
        state.index("jobs").put("a", r#"{"taskCount":9}"#, WriteCondition::Unconditional)
    });
    let error = store.replace(&name("a"), Revision(1), document("{}"), at(2)).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
    let kept = cluster.fake.with_state(|state| state.index("jobs").docs()["a"].source.clone());
    assert_eq!(kept, r#"{"taskCount":9}"#);
}

#[tokio::test]
async fn documents_stay_writable_after_a_failover() {
    let cluster = TestCluster::new().await;
    let store = cluster.store().await;
    store.create(new_job("a", "{}")).await.unwrap();
    cluster.fake.with_state(|state| state.index("jobs").fail_over());
    store.replace(&name("a"), Revision(1), document(r#"{"taskCount":2}"#), at(2)).await.unwrap();
    store.replace(&name("a"), Revision(2), document(r#"{"taskCount":3}"#), at(3)).await.unwrap();
    assert_eq!(listed(&store).await[0].revision, Revision(3));
}

#[tokio::test]
async fn second_scheduler_fences_out_the_first() {
    let cluster = TestCluster::new().await;
    let first = cluster.store().await;
    first.create(new_job("a", "{}")).await.unwrap();
    let second = cluster.store().await;
    let error = first.put_register("brake", "on", None, None).await.unwrap_err();
    assert!(matches!(error, StoreError::Fault { kind: FaultKind::Unavailable, .. }), "{error:?}");
    let message = fault_chain(&error);
    assert!(message.contains("another process writes to index \"jobs\""), "{message}");
    second.put_register("brake", "on", None, None).await.unwrap();
}

/// A cluster with more jobs than fit into one page, written by another program.
async fn with_many_jobs() -> TestCluster {
    let cluster = TestCluster::new().await;
    cluster.store().await.close().await.unwrap();
    cluster.fake.with_state(|state| {
        for number in 0..2_500 {
            state.index("jobs").put(&format!("job-{number:04}"), "{}", WriteCondition::Absent);
        }
    });
    cluster
}

#[tokio::test]
async fn several_pages_of_jobs_are_listed_and_the_scroll_is_freed() {
    let cluster = with_many_jobs().await;
    let store = cluster.store().await;
    let list =
        store.list(ecs_scheduler_core::ListFrom::Skip(2_400), 1_000.try_into().unwrap()).await.unwrap();
    assert_eq!((list.total, list.jobs.len()), (2_500, 100));
    assert_eq!(cluster.fake.with_state(|state| state.open_scrolls()), 0);
    assert_eq!(cluster.fake.count("POST /_search/scroll"), 3);
}

#[tokio::test]
async fn page_whose_response_was_lost_is_not_skipped() {
    let expired = InjectedFault::ErrorResponse(404, "search_context_missing_exception");
    for injected in
        [InjectedFault::ResponseLost, InjectedFault::NoResponse, InjectedFault::ConnectionBroken, expired]
    {
        let cluster = with_many_jobs().await;
        cluster.fake.inject("POST /_search/scroll", 1, injected);
        let mut options = cluster.options();
        options.timeouts.response =
            if injected == InjectedFault::NoResponse { SHORT_TIMEOUT } else { TIMEOUTS.response };
        let store = options.open().await.unwrap();
        let list = store.list(ecs_scheduler_core::ListFrom::Skip(0), 1.try_into().unwrap()).await.unwrap();
        assert_eq!(list.total, 2_500, "{injected:?}");
        assert_eq!(cluster.fake.with_state(|state| state.open_scrolls()), 0, "{injected:?}");
    }
}

#[tokio::test]
async fn jobs_missing_from_a_partial_listing_are_not_removed() {
    let cluster = with_many_jobs().await;
    cluster.store().await.close().await.unwrap();
    cluster.fake.inject(
        "POST /_search/scroll",
        usize::MAX,
        InjectedFault::ErrorResponse(404, "search_context_missing_exception"),
    );
    let error = cluster.options().open().await.unwrap_err();
    assert!(error.is_transient());
    assert!(
        fault_chain(&error).contains("could not list the jobs in index \"jobs\": 5 listings broke off"),
        "{error}"
    );
    let message = cluster.options().diagnose().await.problem.unwrap();
    assert!(message.contains("listings broke off"), "{message}");
}

#[tokio::test]
async fn failed_removal_of_an_old_segment_does_no_harm() {
    let cluster = TestCluster::new().await;
    let store = cluster.store().await;
    cluster.fake.inject(
        "POST /jobs-journal/_bulk",
        1,
        InjectedFault::BulkItem(429, "es_rejected_execution_exception"),
    );
    let mut version = 0;
    while cluster.fake.count("POST /jobs-journal/_bulk") == 0 {
        assert!(version < 5_000, "a snapshot is taken");
        version = store.put_register("brake", "on", (version > 0).then_some(version), None).await.unwrap();
    }
    store.close().await.unwrap();
    drop(store);
    let kept = cluster.fake.with_state(|state| state.index("jobs-journal").docs().len());
    assert!(kept < 1_100, "all others of that request were removed, and {kept} are left");
    assert_eq!(cluster.store().await.get_register("brake").await.unwrap().unwrap().version, version);
}
