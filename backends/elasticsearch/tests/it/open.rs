//! Opening: created indices, refused clusters and indices, and their error messages.

use ecs_scheduler_backend_elasticsearch::{Cluster, Credentials, Secret};
use ecs_scheduler_core::{JobStore as _, Store as _};
use ecs_scheduler_test_support::free_port;
use serde_json::{Value, json};

use crate::fixture::{SHORT_TIMEOUTS, TestCluster, fault_chain, listed, new_job, options};
use ecs_scheduler_fake_elasticsearch::{InjectedFault, elasticsearch, opensearch};

#[tokio::test]
async fn missing_indices_are_created_with_an_alias_each() {
    let cluster = TestCluster::new().await;
    let store = cluster.store().await;
    cluster.fake.with_state(|state| {
        assert_eq!(state.names(), ["jobs-20270115-080000", "jobs-journal-20270115-080000"]);
        let jobs = state.index("jobs");
        assert_eq!(Value::Object(jobs.mappings.clone()), json!({ "dynamic": "false" }));
        assert_eq!(jobs.settings["index.translog.durability"], "request");
        assert_eq!(jobs.settings["index.auto_expand_replicas"], "0-1");
        let journal = Value::Object(state.index("jobs-journal").mappings.clone());
        assert_eq!(journal, json!({ "dynamic": "false", "properties": { "name": { "type": "keyword" } } }));
    });
    store.close().await.unwrap();
    drop(store);
    cluster.store().await;
    assert_eq!(cluster.fake.count("PUT /jobs"), 2 + cluster.fake.count("PUT /jobs-journal/_create"));
}

#[tokio::test]
async fn every_supported_version_opens() {
    for root in [
        elasticsearch("7.0.1"),
        elasticsearch("7.17.29"),
        elasticsearch("9.2.0"),
        opensearch("1.3.20"),
        opensearch("3.8.0"),
    ] {
        let cluster = TestCluster::new().await;
        cluster.fake.with_state(|state| state.root = root);
        let store = cluster.store().await;
        store.create(new_job("a", "{}")).await.unwrap();
        assert_eq!(listed(&store).await.len(), 1);
    }
}

#[tokio::test]
async fn unsupported_version_or_product_is_refused_with_the_remedy() {
    for (root, named) in [
        (elasticsearch("6.8.23"), "Elasticsearch 6.8"),
        (elasticsearch("10.0.0"), "Elasticsearch 10.0"),
        (opensearch("4.0.0"), "OpenSearch 4.0"),
        (json!({ "name": "couch", "version": { "number": "3.4" }, "tagline": "Relax" }), "neither"),
        (json!({ "hello": "world" }), "neither"),
    ] {
        let cluster = TestCluster::new().await;
        cluster.fake.with_state(|state| state.root = root);
        let message = cluster.open_error().await;
        assert!(message.contains(named) && message.contains("Elasticsearch 7 to 9"), "{message}");
        assert!(cluster.fake.with_state(|state| state.names().is_empty()), "nothing was created");
    }
}

#[tokio::test]
async fn missing_permission_is_named() {
    for (action, named) in [
        ("cluster:monitor/main", "permission: monitor"),
        ("indices:admin/get", "permission: view_index_metadata"),
        ("indices:admin/create", "permissions: create_index, manage"),
        ("indices:admin/refresh", "permission: maintenance"),
    ] {
        let cluster = TestCluster::new().await;
        cluster.fake.with_state(|state| state.denied.insert(action));
        let message = cluster.open_error().await;
        assert!(message.contains(named) && message.contains(action), "{message}");
        assert!(message.contains("doc/stores/elasticsearch.md"), "{message}");
    }
}

#[tokio::test]
async fn wrong_password_is_refused_and_hidden() {
    let cluster = TestCluster::new().await;
    // elastic:right
    cluster.fake.with_state(|state| state.authorization = Some("Basic ZWxhc3RpYzpyaWdodA==".to_owned()));
    let hosts = cluster.fake.hosts();
    let with = |user: &str| {
        let hosts = hosts.replace("http://", &format!("http://{user}@"));
        options(Cluster { nodes: Cluster::nodes(&hosts).unwrap(), ..Cluster::default() }, "jobs")
    };
    let message = fault_chain(&with("elastic:hush").open().await.unwrap_err());
    assert!(message.contains("not accepted") && message.contains("ECSS_ELASTICSEARCH_HOSTS"), "{message}");
    assert!(!message.contains("hush"), "{message}");
    with("elastic:right").open().await.unwrap();
}

#[tokio::test]
async fn api_key_is_sent_encoded() {
    let cluster = TestCluster::new().await;
    // id:key
    cluster.fake.with_state(|state| state.authorization = Some("ApiKey aWQ6a2V5".to_owned()));
    for key in ["id:key", "aWQ6a2V5"] {
        let cluster =
            Cluster { credentials: Some(Credentials::ApiKey(Secret::new(key))), ..cluster.cluster() };
        options(cluster, "jobs").open().await.unwrap();
    }
}

#[tokio::test]
async fn alias_of_two_indices_is_refused() {
    let cluster = TestCluster::new().await;
    cluster.fake.with_state(|state| {
        for name in ["old", "new"] {
            state.create(name, &json!({}));
            state.alias("jobs", name);
        }
    });
    let message = cluster.open_error().await;
    assert!(message.contains("exactly one index"), "{message}");
}

#[tokio::test]
async fn index_that_acknowledges_writes_before_they_are_durable_is_refused() {
    let cluster = TestCluster::new().await;
    let body = json!({ "settings": { "index": { "translog": { "durability": "async" } } } });
    cluster.fake.with_state(|state| state.create("jobs", &body));
    let message = cluster.open_error().await;
    assert!(message.contains("index.translog.durability"), "{message}");
}

#[tokio::test]
async fn index_that_does_not_keep_documents_unchanged_is_refused() {
    for body in [
        json!({ "mappings": { "_source": { "enabled": false } } }),
        json!({ "mappings": { "_source": { "mode": "synthetic" } } }),
        json!({ "mappings": { "_source": { "excludes": ["labels"] } } }),
        json!({ "settings": { "index": { "mapping": { "source": { "mode": "synthetic" } } } } }),
    ] {
        let cluster = TestCluster::new().await;
        assert_eq!(cluster.fake.with_state(|state| state.create("jobs", &body)).status, 200);
        let message = cluster.open_error().await;
        assert!(message.contains("_source") && message.contains("reindex"), "{body}: {message}");
    }
}

#[tokio::test]
async fn foreign_index_is_refused_as_a_journal() {
    let cluster = TestCluster::new().await;
    let body = json!({ "mappings": { "properties": { "name": { "type": "text" } } } });
    cluster.fake.with_state(|state| state.create("jobs-journal", &body));
    let message = cluster.open_error().await;
    assert!(message.contains("\"jobs-journal\" is not a journal"), "{message}");
}

#[tokio::test]
async fn dynamic_mapping_stays_enabled_without_the_permission_to_disable_it() {
    let cluster = TestCluster::new().await;
    cluster.fake.with_state(|state| {
        state.create("jobs", &json!({}));
        state.denied.insert("indices:admin/mapping/put");
    });
    let store = cluster.store().await;
    store.create(new_job("a", r#"{"taskCount": 1}"#)).await.unwrap();
}

#[tokio::test]
async fn missing_cluster_is_reported_with_the_setting() {
    let nodes = Cluster::nodes(&format!("127.0.0.1:{}", free_port())).unwrap();
    let mut options = options(Cluster { nodes, ..Cluster::default() }, "jobs");
    options.timeouts = SHORT_TIMEOUTS;
    let message = fault_chain(&options.open().await.unwrap_err());
    assert!(
        message.contains("no node can be reached") && message.contains("ECSS_ELASTICSEARCH_HOSTS"),
        "{message}"
    );
}

#[tokio::test]
async fn server_of_another_kind_is_refused() {
    let cluster = TestCluster::new().await;
    cluster.fake.inject("GET /", usize::MAX, InjectedFault::HtmlPage);
    let message = cluster.open_error().await;
    assert!(message.contains("neither Elasticsearch nor OpenSearch"), "{message}");
}

#[tokio::test]
async fn reading_does_not_disturb_a_running_scheduler() {
    let cluster = TestCluster::new().await;
    let store = cluster.store().await;
    store.create(new_job("a", "{}")).await.unwrap();
    let seen = cluster.options().open_read_only().await.unwrap();
    assert_eq!(
        seen.list(ecs_scheduler_core::ListFrom::Skip(0), 9.try_into().unwrap()).await.unwrap().total,
        1
    );
    store.create(new_job("b", "{}")).await.unwrap();
}

#[tokio::test]
async fn check_of_a_missing_index_reports_that_it_is_missing() {
    let cluster = TestCluster::new().await;
    let problem = cluster.options().diagnose().await.problem.unwrap();
    assert!(problem.contains("index \"jobs\" does not exist"), "{problem}");
    assert!(cluster.fake.with_state(|state| state.names().is_empty()));
}
