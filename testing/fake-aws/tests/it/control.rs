use ecs_scheduler_fake_aws::Launch;
use serde_json::{Value, json};

use crate::help::{Answer, Rig, arns};

impl Rig {
    async fn look(&self, path: &str) -> Value {
        self.http.get(format!("{}/_fake/{path}", self.fake.url())).send().await.unwrap().json().await.unwrap()
    }

    async fn tell(&self, path: &str, body: Value) -> Answer {
        let request = self.http.post(format!("{}/_fake/{path}", self.fake.url())).json(&body);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        Answer { status, body: response.json().await.unwrap(), query_error: None, date: String::new() }
    }
}

#[tokio::test]
async fn launch_log_is_read_over_http() {
    let rig = Rig::new().await;
    rig.run(json!({ "startedBy": "me", "clientToken": "t", "count": 3 })).await.good();
    rig.pass(12);
    rig.run(json!({ "startedBy": "me" })).await.good();
    let launches: Vec<Launch> = serde_json::from_value(rig.look("launches").await).unwrap();
    assert_eq!(launches, rig.fake.launches());
    assert_eq!((launches.len(), launches[0].token.as_deref()), (4, Some("t")));
    assert_eq!(rig.look("concurrency").await, json!({ "me": 3 }));
    assert_eq!(rig.look("calls").await["ecs:RunTask"]["calls"], 2);
    assert_eq!(rig.look("tasks").await.as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn settings_are_merged_over_http() {
    let rig = Rig::new().await;
    let patch = json!({ "ecs": { "life": { "run": "90s" }, "clusterLives": { "batch": { "run": null } } } });
    let merged = rig.tell("settings", patch).await.good();
    assert_eq!(merged, rig.look("settings").await);
    let set = rig.fake.settings();
    assert_eq!(set.ecs.life.run, Some(jiff::SignedDuration::from_secs(90)));
    assert_eq!(set.ecs.life.pending, jiff::SignedDuration::from_secs(1));
    let lives = json!({ "clusterLives": { "batch": null } });
    rig.tell("settings", json!({ "ecs": lives })).await.good();
    assert!(rig.fake.settings().ecs.cluster_lives.is_empty(), "null takes an entry away");
    let set = rig.fake.settings();
    let wrong = rig.tell("settings", json!({ "ecs": { "lifes": {} } })).await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.body["error"].as_str().unwrap().contains("lifes"), "{}", wrong.body);
    assert_eq!(rig.fake.settings(), set);
}

#[tokio::test]
async fn endless_lifecycle_is_set_over_http() {
    let rig = Rig::new().await;
    for (lives, back) in [
        (json!({ "life": { "run": null } }), json!({ "life": { "run": "10s" } })),
        (
            json!({ "clusterLives": { "batch": { "run": null } } }),
            json!({ "clusterLives": { "batch": null } }),
        ),
        (
            json!({ "definitionLives": { "work": { "run": null, "pending": "2s" } } }),
            json!({ "definitionLives": { "work": null } }),
        ),
    ] {
        rig.tell("settings", json!({ "ecs": lives })).await.good();
        let arn = arns(&rig.run(json!({})).await.good())[0].clone();
        rig.pass(86_400);
        assert_eq!(rig.describe(&arn).await["lastStatus"], "RUNNING", "{lives}");
        rig.tell("settings", json!({ "ecs": back })).await.good();
        rig.ecs("StopTask", json!({ "cluster": "batch", "task": arn })).await.good();
    }
}

#[tokio::test]
async fn fault_rules_are_set_over_http() {
    let rig = Rig::new().await;
    let rule =
        json!({ "service": "ecs", "operation": "ListTasks", "mishap": { "kind": "throttled" }, "times": 2 });
    assert_eq!(rig.tell("faults", rule).await.good()[0]["times"], 2);
    let slow =
        json!({ "service": "cloudwatch", "mishap": { "kind": "slow", "by": "2s" }, "probability": 0.5 });
    rig.tell("faults", slow).await.good();
    let error =
        json!({ "kind": "error", "status": 503, "code": "SlowDown", "message": "later", "ahead": "5m" });
    let added = rig.tell("faults", json!({ "service": "sts", "mishap": error })).await.good();
    assert_eq!(added[2]["mishap"]["code"], "SlowDown");
    rig.ecs("ListTasks", json!({ "cluster": "batch" })).await.is("ThrottlingException", "");
    assert_eq!(rig.look("faults").await[0]["times"], 1);
    rig.http.delete(format!("{}/_fake/faults", rig.fake.url())).send().await.unwrap();
    assert_eq!(rig.look("faults").await, json!([]));
    rig.ecs("ListTasks", json!({ "cluster": "batch" })).await.good();
    assert_eq!(rig.tell("faults", json!({ "mishap": { "kind": "fire" } })).await.status, 400);
}

#[tokio::test]
async fn clock_is_held_and_moved_over_http() {
    let rig = Rig::new().await;
    let moved = rig.tell("clock", json!({ "advance": "90s" })).await.good();
    assert_eq!(moved["now"], "2026-01-01T00:01:30Z");
    rig.tell("clock", json!({ "hold": "2030-01-01T00:00:00Z" })).await.good();
    rig.tell("clock", json!({ "advance": "1s", "release": true })).await.good();
    assert_eq!(rig.look("clock").await["now"], "2030-01-01T00:00:01Z");
}

#[tokio::test]
async fn task_is_ended_over_http() {
    let rig = Rig::new().await;
    let arn = arns(&rig.run(json!({})).await.good())[0].clone();
    assert_eq!(rig.tell("tasks/finish", json!({ "task": arn })).await.status, 404);
    rig.pass(3);
    rig.tell("tasks/finish", json!({ "task": arn, "exitCode": 9 })).await.good();
    assert_eq!(rig.describe(&arn).await["containers"][0]["exitCode"], 9);
}

#[tokio::test]
async fn metrics_in_aws_namespaces_are_put_over_http() {
    let rig = Rig::new().await;
    let datum = json!({ "MetricName": "CPUUtilization", "Value": 12.5 });
    let call = json!({ "Namespace": "AWS/ECS", "MetricData": [datum] });
    rig.tell("metrics/eu-central-1", call).await.good();
    let listed =
        rig.fake.call(ecs_scheduler_fake_aws::Service::CloudWatch, "ListMetrics", &json!({})).unwrap();
    assert_eq!(listed["Metrics"][0]["Namespace"], "AWS/ECS");
}
