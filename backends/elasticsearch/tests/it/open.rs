//! Opening: what is created, what is refused, and what is said about it.

use ecs_scheduler_backend_elasticsearch::{Cluster, Login, Secret};
use ecs_scheduler_core::{JobStore as _, Store as _};
use serde_json::{Value, json};

use crate::fixture::{HASTE, Place, fault, listed, new_job, options};
use ecs_scheduler_fake_elasticsearch::{Mishap, elasticsearch, opensearch};

#[tokio::test]
async fn missing_indices_are_created_with_an_alias_each() {
    let place = Place::new().await;
    let store = place.store().await;
    place.fake.world(|world| {
        assert_eq!(world.names(), ["jobs-20270115-080000", "jobs-journal-20270115-080000"]);
        let jobs = world.index("jobs");
        assert_eq!(Value::Object(jobs.mappings.clone()), json!({ "dynamic": "false" }));
        assert_eq!(jobs.settings["index.translog.durability"], "request");
        assert_eq!(jobs.settings["index.auto_expand_replicas"], "0-1");
        let journal = Value::Object(world.index("jobs-journal").mappings.clone());
        assert_eq!(journal, json!({ "dynamic": "false", "properties": { "name": { "type": "keyword" } } }));
    });
    store.close().await.unwrap();
    drop(store);
    place.store().await;
    assert_eq!(place.fake.count("PUT /jobs"), 2 + place.fake.count("PUT /jobs-journal/_create"));
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
        let place = Place::new().await;
        place.fake.world(|world| world.root = root);
        let store = place.store().await;
        store.create(new_job("a", "{}")).await.unwrap();
        assert_eq!(listed(&store).await.len(), 1);
    }
}

#[tokio::test]
async fn another_version_or_product_is_refused_with_the_remedy() {
    for (root, named) in [
        (elasticsearch("6.8.23"), "Elasticsearch 6.8"),
        (elasticsearch("10.0.0"), "Elasticsearch 10.0"),
        (opensearch("4.0.0"), "OpenSearch 4.0"),
        (json!({ "name": "couch", "version": { "number": "3.4" }, "tagline": "Relax" }), "neither"),
        (json!({ "hello": "world" }), "neither"),
    ] {
        let place = Place::new().await;
        place.fake.world(|world| world.root = root);
        let message = place.refusal().await;
        assert!(message.contains(named) && message.contains("Elasticsearch 7 to 9"), "{message}");
        assert!(place.fake.world(|world| world.names().is_empty()), "nothing was created");
    }
}

#[tokio::test]
async fn what_is_missing_and_may_not_be_created_names_the_permission() {
    for (action, named) in [
        ("cluster:monitor/main", "permission: monitor"),
        ("indices:admin/get", "permission: view_index_metadata"),
        ("indices:admin/create", "permissions: create_index, manage"),
        ("indices:admin/refresh", "permission: maintenance"),
    ] {
        let place = Place::new().await;
        place.fake.world(|world| world.denied.insert(action));
        let message = place.refusal().await;
        assert!(message.contains(named) && message.contains(action), "{message}");
        assert!(message.contains("doc/stores/elasticsearch.md"), "{message}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_hidden() {
    let place = Place::new().await;
    // elastic:right
    place.fake.world(|world| world.authorization = Some("Basic ZWxhc3RpYzpyaWdodA==".to_owned()));
    let hosts = place.fake.hosts();
    let with = |login: &str| {
        let hosts = hosts.replace("http://", &format!("http://{login}@"));
        options(Cluster { nodes: Cluster::nodes(&hosts).unwrap(), ..Cluster::default() }, "jobs")
    };
    let message = fault(&with("elastic:hush").open().await.unwrap_err());
    assert!(message.contains("not accepted") && message.contains("ECSS_ELASTICSEARCH_HOSTS"), "{message}");
    assert!(!message.contains("hush"), "{message}");
    with("elastic:right").open().await.unwrap();
}

#[tokio::test]
async fn an_api_key_is_sent_encoded() {
    let place = Place::new().await;
    // id:key
    place.fake.world(|world| world.authorization = Some("ApiKey aWQ6a2V5".to_owned()));
    for key in ["id:key", "aWQ6a2V5"] {
        let cluster = Cluster { login: Some(Login::ApiKey(Secret::new(key))), ..place.cluster() };
        options(cluster, "jobs").open().await.unwrap();
    }
}

#[tokio::test]
async fn an_alias_of_two_indices_is_refused() {
    let place = Place::new().await;
    place.fake.world(|world| {
        for name in ["old", "new"] {
            world.create(name, &json!({}));
            world.alias("jobs", name);
        }
    });
    let message = place.refusal().await;
    assert!(message.contains("exactly one index"), "{message}");
}

#[tokio::test]
async fn an_index_that_acknowledges_before_it_is_durable_is_refused() {
    let place = Place::new().await;
    let body = json!({ "settings": { "index": { "translog": { "durability": "async" } } } });
    place.fake.world(|world| world.create("jobs", &body));
    let message = place.refusal().await;
    assert!(message.contains("index.translog.durability"), "{message}");
}

#[tokio::test]
async fn an_index_that_does_not_keep_documents_as_they_were_is_refused() {
    for body in [
        json!({ "mappings": { "_source": { "enabled": false } } }),
        json!({ "mappings": { "_source": { "mode": "synthetic" } } }),
        json!({ "mappings": { "_source": { "excludes": ["labels"] } } }),
        json!({ "settings": { "index": { "mapping": { "source": { "mode": "synthetic" } } } } }),
    ] {
        let place = Place::new().await;
        assert_eq!(place.fake.world(|world| world.create("jobs", &body)).status, 200);
        let message = place.refusal().await;
        assert!(message.contains("_source") && message.contains("reindex"), "{body}: {message}");
    }
}

#[tokio::test]
async fn somebody_elses_index_is_not_taken_for_a_journal() {
    let place = Place::new().await;
    let body = json!({ "mappings": { "properties": { "name": { "type": "text" } } } });
    place.fake.world(|world| world.create("jobs-journal", &body));
    let message = place.refusal().await;
    assert!(message.contains("\"jobs-journal\" is not a journal"), "{message}");
}

#[tokio::test]
async fn an_index_goes_on_guessing_where_stopping_it_is_not_permitted() {
    let place = Place::new().await;
    place.fake.world(|world| {
        world.create("jobs", &json!({}));
        world.denied.insert("indices:admin/mapping/put");
    });
    let store = place.store().await;
    store.create(new_job("a", r#"{"taskCount": 1}"#)).await.unwrap();
}

#[tokio::test]
async fn nothing_that_answers_names_the_setting() {
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nodes = Cluster::nodes(&listener.local_addr().unwrap().to_string()).unwrap();
    drop(listener);
    let mut options = options(Cluster { nodes, ..Cluster::default() }, "jobs");
    options.patience = HASTE;
    let message = fault(&options.open().await.unwrap_err());
    assert!(
        message.contains("no node can be reached") && message.contains("ECSS_ELASTICSEARCH_HOSTS"),
        "{message}"
    );
}

#[tokio::test]
async fn something_else_that_answers_is_refused() {
    let place = Place::new().await;
    place.fake.befall("GET /", usize::MAX, Mishap::Html);
    let message = place.refusal().await;
    assert!(message.contains("neither Elasticsearch nor OpenSearch"), "{message}");
}

#[tokio::test]
async fn looking_leaves_the_scheduler_that_runs_alone() {
    let place = Place::new().await;
    let store = place.store().await;
    store.create(new_job("a", "{}")).await.unwrap();
    let seen = place.options().look().await.unwrap();
    assert_eq!(
        seen.list(ecs_scheduler_core::ListFrom::Skip(0), 9.try_into().unwrap()).await.unwrap().total,
        1
    );
    store.create(new_job("b", "{}")).await.unwrap();
}

#[tokio::test]
async fn looking_at_nothing_says_that_there_is_nothing() {
    let place = Place::new().await;
    let problem = place.options().examine().await.problem.unwrap();
    assert!(problem.contains("index \"jobs\" does not exist"), "{problem}");
    assert!(place.fake.world(|world| world.names().is_empty()));
}
