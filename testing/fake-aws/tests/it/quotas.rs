use serde_json::json;

use crate::help::{Rig, run_task};

#[tokio::test]
async fn calls_are_not_throttled_until_quotas_are_enforced() {
    let rig = Rig::new().await;
    for _ in 0..150 {
        rig.list(json!({})).await;
    }
}

#[tokio::test]
async fn cluster_reads_have_burst_100_and_rate_20() {
    let rig = Rig::new().await;
    rig.fake.configure(|settings| settings.quotas.enforced = true);
    let call = || rig.ecs("ListTasks", json!({ "cluster": "batch" }));
    for _ in 0..100 {
        call().await.good();
    }
    call().await.is("ThrottlingException", "Rate exceeded");
    rig.pass(1);
    for _ in 0..20 {
        call().await.good();
    }
    call().await.is("ThrottlingException", "Rate exceeded");
    rig.run(json!({})).await.good();
}

#[tokio::test]
async fn fargate_allows_20_calls_per_second_and_100_tasks_at_once() {
    let rig = Rig::new().await;
    rig.fake.configure(|settings| settings.quotas.enforced = true);
    for _ in 0..10 {
        rig.run(json!({ "count": 10 })).await.good();
    }
    rig.run(json!({})).await.is("ThrottlingException", "Rate exceeded");
    rig.pass(1);
    for _ in 0..20 {
        rig.run(json!({})).await.good();
    }
    rig.run(json!({})).await.is("ThrottlingException", "Rate exceeded");
    rig.run(json!({ "launchType": "EC2" })).await.good();
    assert_eq!(rig.fake.launches().len(), 121);
}

#[tokio::test]
async fn each_region_has_its_own_quotas() {
    let rig = Rig::new().await;
    rig.fake.configure(|settings| settings.quotas.enforced = true);
    for _ in 0..20 {
        rig.run(json!({})).await.good();
    }
    rig.run(json!({})).await.is("ThrottlingException", "");
    let elsewhere = crate::help::SIGNED.replace("eu-central-1", "us-east-1");
    let call = run_task(json!({}));
    let answer = rig.call(ecs_scheduler_fake_aws::Service::Ecs, "RunTask", &call, &elsewhere).await.unwrap();
    answer.is("ClusterNotFoundException", "");
}
