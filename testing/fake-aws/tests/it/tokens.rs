use serde_json::json;

use crate::help::{Rig, arns};

#[tokio::test]
async fn repeated_token_gives_the_same_answer_and_no_task() {
    let rig = Rig::new().await;
    let first = rig.run(json!({ "clientToken": "a", "count": 2 })).await;
    rig.pass(5);
    let second = rig.run(json!({ "clientToken": "a", "count": 2 })).await;
    assert_eq!(first, second);
    assert_eq!(rig.fake.launches().len(), 2);
    assert!(rig.fake.launches().iter().all(|launch| launch.token.as_deref() == Some("a")));
}

#[tokio::test]
async fn repeated_answer_includes_failures() {
    let rig = Rig::new().await;
    let limit = serde_json::from_value(json!([{ "reason": "RESOURCE:CPU", "atMost": 1 }])).unwrap();
    rig.fake.configure(|settings| drop(settings.ecs.capacity.insert("batch".to_owned(), limit)));
    let first = rig.run(json!({ "clientToken": "a", "count": 3 })).await.good();
    assert_eq!(first["failures"].as_array().unwrap().len(), 2);
    rig.fake.configure(|settings| settings.ecs.capacity.clear());
    assert_eq!(rig.run(json!({ "clientToken": "a", "count": 3 })).await.good(), first);
}

#[tokio::test]
async fn token_with_other_parameters_is_a_conflict_with_task_ids() {
    let rig = Rig::new().await;
    let first = rig.run(json!({ "clientToken": "a" })).await.good();
    let second = rig.run(json!({ "clientToken": "a", "startedBy": "someone" })).await;
    second.is("ConflictException", "");
    assert_eq!(second.body["resourceIds"], json!(arns(&first)));
    assert_eq!(rig.fake.launches().len(), 1);
}

#[tokio::test]
async fn token_belongs_to_its_cluster_region_and_account() {
    let rig = Rig::new().await;
    rig.fake.ecs().create_cluster("other");
    rig.run(json!({ "clientToken": "a" })).await.good();
    rig.run(json!({ "clientToken": "a", "cluster": "other" })).await.good();
    assert_eq!(rig.fake.launches().len(), 2);
}

#[tokio::test]
async fn token_expires_one_hour_after_its_last_task() {
    let rig = Rig::new().await;
    rig.run(json!({ "clientToken": "a" })).await.good();
    rig.pass(12 + 3599);
    rig.run(json!({ "clientToken": "a" })).await.good();
    assert_eq!(rig.fake.launches().len(), 1);
    rig.pass(1);
    rig.run(json!({ "clientToken": "a" })).await.good();
    assert_eq!(rig.fake.launches().len(), 2);
}

#[tokio::test]
async fn token_of_a_long_task_expires_after_a_day() {
    let rig = Rig::new().await;
    rig.fake.configure(|settings| settings.ecs.life.run = None);
    rig.run(json!({ "clientToken": "a" })).await.good();
    rig.pass(24 * 3600 - 1);
    rig.run(json!({ "clientToken": "a" })).await.good();
    assert_eq!(rig.fake.launches().len(), 1);
    rig.pass(1);
    rig.run(json!({ "clientToken": "a" })).await.good();
    assert_eq!(rig.fake.launches().len(), 2);
}

#[tokio::test]
async fn token_without_tasks_expires_after_an_hour() {
    let rig = Rig::new().await;
    let refusal = serde_json::from_value(json!([{ "reason": "AGENT", "refuse": 1 }])).unwrap();
    rig.fake.configure(|settings| drop(settings.ecs.capacity.insert("batch".to_owned(), refusal)));
    let first = rig.run(json!({ "clientToken": "a" })).await.good();
    assert_eq!(first["failures"][0]["reason"], "AGENT");
    rig.pass(3599);
    assert_eq!(rig.run(json!({ "clientToken": "a" })).await.good(), first);
    rig.pass(1);
    assert_eq!(arns(&rig.run(json!({ "clientToken": "a" })).await.good()).len(), 1);
}

#[tokio::test]
async fn a_token_has_up_to_64_visible_ascii_characters() {
    let rig = Rig::new().await;
    rig.run(json!({ "clientToken": "a".repeat(64) })).await.good();
    for wrong in ["a".repeat(65), "a b".to_owned(), "ä".to_owned()] {
        rig.run(json!({ "clientToken": wrong })).await.is("InvalidParameterException", "clientToken");
    }
}
