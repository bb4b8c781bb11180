//! Notifications to topics of Amazon SNS, by the real program.

use serde_json::{Value, json};

use super::cloud::{Cloud, Kind};
use super::stage::Stage;
use crate::crash::site::until;

/// Names topics as channels: those of these names, in the stage's configuration file.
fn configure(stage: &mut Stage<'_>, channels: &[(&str, &str)]) {
    let channels: Vec<String> = channels
        .iter()
        .map(|(name, arn)| format!("    {name}: {{type: sns, topicArn: \"{arn}\"}}\n"))
        .collect();
    let config = format!(
        "notify:\n  channels:\n{}  default:\n    - {{to: ops, on: [\"failing:1\", recovered]}}\n    - {{to: ordered, on: [\"failing:1\", recovered]}}\n",
        channels.concat()
    );
    let file = stage.site.path("scheduler.yaml");
    std::fs::write(&file, config).unwrap();
    stage.site.environment.push(("ECSS_CONFIG_FILE", file.to_str().unwrap().to_owned()));
}

#[tokio::test]
async fn topics_get_the_failure_and_the_recovery_of_a_job_under_the_printed_policy() {
    let cloud = Cloud::start(Kind::Fake).await;
    let (topic, fifo) = (cloud.fake().sns().create_topic("ops"), cloud.fake().sns().create_topic("ops.fifo"));
    let mut stage = Stage::set(&cloud, "told").await;
    configure(&mut stage, &[("ops", &topic), ("ordered", &fifo)]);
    let file = stage.site.path("report").with_extension("json");
    std::fs::write(&file, stage.job(&json!({"id": "report"})).to_string()).unwrap();
    let output = stage.command(&["iam-policy", "--account", "123456789012", file.to_str().unwrap()]).await;
    let policy: Value = serde_json::from_slice(&output.stdout).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let publishing = statements.iter().find(|one| one["Action"] == json!(["sns:Publish"])).unwrap();
    assert_eq!(publishing["Resource"], json!([topic, fifo]));
    cloud.fake().configure(|settings| {
        settings.permissions.policy = Some(policy);
        settings.ecs.life.run = Some(jiff::SignedDuration::from_secs(1));
        settings.ecs.life.exit_codes = [("main".to_owned(), 1)].into();
    });
    let playing = stage.start().await;
    playing.create("report", &stage.job(&json!({}))).await;
    let published = |arn: &str| cloud.fake().sns().published(arn);
    until("both topics have the failure", async || {
        !published(&topic).is_empty() && !published(&fifo).is_empty()
    })
    .await;
    let told = published(&topic).remove(0);
    let event: Value = serde_json::from_str(&told.message).unwrap();
    assert_eq!(
        (&event["type"], &event["subject"]),
        (&json!("io.ecs-scheduler.job.failing"), &json!("report"))
    );
    assert!(told.subject.unwrap().starts_with("[told] job report fails: "), "{event}");
    assert_eq!(told.attributes["type"], "io.ecs-scheduler.job.failing");
    assert_eq!(told.attributes["job"], "report");
    assert_eq!((told.group, published(&fifo)[0].group.as_deref()), (None, Some("report")));
    cloud.fake().configure(|settings| settings.ecs.life.exit_codes = [("main".to_owned(), 0)].into());
    until("both topics have the recovery", async || {
        published(&topic).len() > 1 && published(&fifo).len() > 1
    })
    .await;
    assert_eq!(published(&fifo)[1].attributes["type"], "io.ecs-scheduler.job.recovered");
    let calls = cloud.calls().await;
    assert_eq!(calls["sns:Publish"].failed, 0);
}

#[tokio::test]
async fn doctor_finds_a_topic_that_does_not_exist() {
    let cloud = Cloud::start(Kind::Fake).await;
    let topic = cloud.fake().sns().create_topic("ops");
    let mut stage = Stage::set(&cloud, "topics").await;
    let missing = "arn:aws:sns:eu-central-1:123456789012:gone";
    configure(&mut stage, &[("ops", &topic), ("ordered", missing)]);
    let file = stage.site.path("report").with_extension("json");
    std::fs::write(&file, stage.job(&json!({"id": "report"})).to_string()).unwrap();
    let output = stage.command(&["doctor", "--json", file.to_str().unwrap()]).await;
    assert!(!output.status.success());
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    let looks = seen["examinations"].as_array().unwrap();
    let of_channel =
        |name: &str| looks.iter().find(|look| look["what"].as_str().unwrap().contains(name)).unwrap();
    assert_eq!(of_channel("channel ops")["what"], format!("channel ops: topic {topic} exists"));
    let problem = of_channel("channel ordered")["problem"].as_str().unwrap();
    assert!(
        problem.starts_with(&format!("could not read topic {missing}: there is none; check its ARN: ")),
        "{problem}"
    );
    assert!(cloud.fake().sns().published(&topic).is_empty());
}
