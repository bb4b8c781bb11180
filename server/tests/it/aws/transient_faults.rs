//! Faults that pass by themselves, and answers that only look permanent: the task is started, once, and what a person can do
//! is named.

use ecs_scheduler_fake_aws::{FaultRule, InjectedFault, Service};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::cloud::{Cloud, Kind};
use super::reads::once;
use super::stage::Stage;
use crate::crash::site::until;

const THROTTLED: &str =
    "Error retrieving subnet information for [subnet-0123]: Rate exceeded (ErrorCode: Throttling)";

/// Makes the next calls of an operation of ECS fail with this code and these words.
fn fail(cloud: &Cloud, operation: &str, code: &str, words: &str, times: u64) {
    let rule = FaultRule::once(Service::Ecs, operation, InjectedFault::error(code, words));
    cloud.fake().faults().add(rule.times(times));
}

/// Takes the keys from the environment of a stage, and adds to it.
fn without_keys(stage: &mut Stage<'_>, more: &[(&'static str, String)]) {
    let environment = &mut stage.site.environment;
    let given = |name: &str| more.iter().any(|(other, _)| *other == name);
    environment.retain(|(name, _)| {
        !name.starts_with("AWS_ACCESS") && *name != "AWS_SECRET_ACCESS_KEY" && !given(name)
    });
    environment.extend(more.iter().cloned());
}

/// A stage on an instance whose metadata service is the fake.
async fn on_an_instance<'a>(cloud: &'a Cloud, name: &str) -> Stage<'a> {
    let mut stage = Stage::set(cloud, name).await;
    let more = [
        ("AWS_EC2_METADATA_DISABLED", "false".to_owned()),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", cloud.url()),
    ];
    without_keys(&mut stage, &more);
    stage
}

#[tokio::test]
async fn a_throttle_that_looks_like_a_wrong_parameter_delays_the_launch_and_does_not_lose_it() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "wrapped").await;
    fail(&cloud, "RunTask", "InvalidParameterException", THROTTLED, 3);
    let playing = stage.start().await;
    playing.create("nightly", &stage.job(&json!({"schedule": once()}))).await;
    let firing = playing.firing("nightly", "launched").await;
    assert_eq!(firing["attempts"].as_array().unwrap().len(), 1, "the same token each time: {firing}");
    let calls = cloud.fake().calls(Service::Ecs, "RunTask");
    assert_eq!((calls.calls, cloud.fake().launches().len()), (4, 1), "{calls:?}");
}

#[tokio::test]
async fn a_launch_whose_signature_or_credentials_are_refused_for_a_while_starts_once() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "unsigned").await;
    for code in [
        "InvalidSignatureException",
        "ExpiredTokenException",
        "RequestExpired",
        "UnrecognizedClientException",
    ] {
        fail(&cloud, "RunTask", code, "not now", 1);
    }
    fail(&cloud, "RunTask", "ServiceUnavailable", "not now", 1);
    // The tasks cannot be counted at first: the tick stays open.
    fail(&cloud, "ListTasks", "ExpiredTokenException", "not now", 1);
    fail(&cloud, "ListTasks", "InvalidSignatureException", "not now", 1);
    let playing = stage.start().await;
    playing.create("nightly", &stage.job(&json!({"schedule": once()}))).await;
    playing.firing("nightly", "launched").await;
    let calls = cloud.fake().calls(Service::Ecs, "RunTask");
    assert_eq!((calls.calls, cloud.fake().launches().len()), (6, 1), "{calls:?}");
}

#[tokio::test]
async fn a_job_whose_tick_is_tried_again_says_so_wherever_jobs_are_shown_until_it_launches() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "again").await;
    let fault = FaultRule::every(Service::Ecs, InjectedFault::ServerError { status: 503 });
    cloud.fake().faults().add(FaultRule { operation: Some("ListTasks".to_owned()), ..fault });
    let playing = stage.start().await;
    playing.create("nightly", &stage.job(&json!({"schedule": once()}))).await;
    playing.create("well", &stage.job(&json!({"schedule": "@yearly"}))).await;
    let in_state = async |state: &str| -> Vec<Value> {
        let jobs = playing.list(&format!("/jobs?state={state}"), "jobs").await;
        jobs.into_iter().map(|job| job["id"].clone()).collect()
    };
    let metric = async || {
        let page = playing.text("/metrics").await;
        let mut lines = page.lines().map(str::to_owned);
        lines.find(|line| line.starts_with("ecs_scheduler_jobs_retrying ")).expect("the metric is there")
    };
    until("the tick was tried twice", async || {
        playing.get("/jobs/nightly").await["retrying"]["tries"].as_u64() >= Some(2)
    })
    .await;

    let job = playing.get("/jobs/nightly").await;
    let retrying = &job["retrying"];
    assert_eq!((&job["state"], &retrying["outcome"]), (&json!("retrying"), &json!("live_unknown")), "{job}");
    assert!(retrying["reason"].as_str().unwrap().contains("could not list the tasks"), "{job}");
    let moment = |name: &str| retrying[name].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert!(moment("tick") <= moment("since") && moment("since") < moment("nextTry"), "{job}");
    let listed = playing.list("/jobs", "jobs").await;
    assert_eq!((&listed[0]["id"], &listed[0]["state"]), (&json!("nightly"), &json!("retrying")));
    assert_eq!(
        (in_state("retrying").await, in_state("ok").await),
        (vec![json!("nightly")], vec![json!("well")])
    );
    assert_eq!(metric().await, "ecs_scheduler_jobs_retrying 1");

    let in_seconds = |text: &str| {
        let moment = text.split("next try ").nth(1).and_then(|rest| rest.split_whitespace().next());
        moment.is_some_and(|moment| moment.len() == "2027-01-01T00:00:00Z".len() && moment.ends_with('Z'))
    };
    let table = playing.jobs(&["list", "--state", "retrying"]).await;
    assert!(table.contains("retrying, next try ") && in_seconds(&table), "{table}");
    let explained = playing.jobs(&["explain", "nightly"]).await;
    assert!(explained.contains("retrying: tried ") && in_seconds(&explained), "{explained}");
    assert!(explained.contains("live_unknown: could not list the tasks"), "{explained}");

    cloud.fake().faults().clear();
    playing.firing("nightly", "launched").await;
    assert_eq!(
        (metric().await.as_str(), in_state("retrying").await),
        ("ecs_scheduler_jobs_retrying 0", vec![])
    );
    assert_eq!(playing.get("/jobs/nightly").await.get("retrying"), None);
    assert_eq!(cloud.fake().launches().len(), 1);
}

#[tokio::test]
async fn a_cluster_that_does_not_exist_refuses_the_launch_at_once() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "clusterless").await;
    fail(&cloud, "RunTask", "ClusterNotFoundException", "Cluster not found.", 1);
    let playing = stage.start().await;
    playing.create("nightly", &stage.job(&json!({"schedule": once()}))).await;
    playing.firing("nightly", "refused").await;
    assert_eq!(cloud.fake().calls(Service::Ecs, "RunTask").calls, 1);
}

#[tokio::test]
async fn a_wrong_clock_is_named_with_its_skew_in_the_note_of_the_firing() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "late").await;
    let ahead = SignedDuration::from_mins(10);
    let (code, message) = ("InvalidSignatureException".to_owned(), "Signature expired".to_owned());
    let error = InjectedFault::Error { status: 400, code, message, ahead };
    cloud.fake().faults().add(FaultRule::once(Service::Ecs, "RunTask", error).times(1_000));
    let playing = stage.start().await;
    let more = json!({"schedule": once(), "retry": {"launch": {"maxAge": "3s"}}});
    playing.create("nightly", &stage.job(&more)).await;
    let refused = playing.firing("nightly", "refused").await;
    let note = refused["note"].as_str().unwrap();
    assert!(note.contains("set this machine's clock") && note.contains("behind that of AWS"), "{note}");
}

#[tokio::test]
async fn a_metadata_service_that_stalls_is_asked_again_and_its_hop_limit_is_named() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = on_an_instance(&cloud, "stalled").await;
    cloud.fake().faults().add(FaultRule::once(Service::Imds, "GetToken", InjectedFault::BlackHole).times(2));
    let file = stage.site.path("nightly").with_extension("json");
    std::fs::write(&file, stage.job(&json!({"id": "nightly"})).to_string()).unwrap();
    let doctor = stage.command(&["doctor", "--json", file.to_str().unwrap()]).await;
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(!doctor.status.success() && said.contains("hop limit"), "{said}");
    assert!(!said.contains("AWS_ACCESS_KEY_ID"), "{said}");

    cloud.fake().faults().clear();
    cloud.fake().faults().add(FaultRule::once(Service::Imds, "GetToken", InjectedFault::BlackHole).times(2));
    let playing = stage.start().await;
    playing.create("nightly", &stage.job(&json!({"schedule": once()}))).await;
    playing.firing("nightly", "launched").await;
    assert_eq!(cloud.fake().launches().len(), 1);
    assert!(cloud.fake().calls(Service::Imds, "GetCredentials").calls > 0);
}

#[tokio::test]
async fn credentials_that_were_replaced_in_their_file_are_read_without_a_restart() {
    let cloud = Cloud::start(Kind::Fake).await;
    let mut stage = Stage::set(&cloud, "rotated").await;
    let file = stage.site.path("credentials");
    let write = |key: &str| {
        let text = format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = secret\n");
        std::fs::write(&file, text).unwrap();
    };
    write("AKIDOLD");
    without_keys(&mut stage, &[("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap().to_owned())]);
    let playing = stage.start().await;
    playing.create("before", &stage.job(&json!({}))).await;
    playing.settled("before", 1).await;

    let expired = ("AKIDOLD".to_owned(), "ExpiredTokenException".to_owned());
    cloud.fake().configure(|settings| settings.permissions.keys = [expired].into());
    write("AKIDNEW");
    playing.create("after", &stage.job(&json!({}))).await;
    playing.settled("after", 1).await;
}

#[tokio::test]
async fn a_revision_that_was_deregistered_after_it_was_read_is_replaced_by_the_newest_active_one() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "withdrawn").await;
    stage.define(&stage.family("work")).await;
    let playing = stage.start().await;
    playing.create("warm", &stage.job(&json!({}))).await;
    playing.settled("warm", 1).await;
    let second = format!("{}:2", stage.family("work"));
    cloud.ecs("DeregisterTaskDefinition", json!({"taskDefinition": second})).await;
    playing.create("nightly", &stage.job(&json!({"schedule": once()}))).await;
    let firing = playing.firing("nightly", "launched").await;
    assert_eq!(firing["attempts"].as_array().unwrap().len(), 2, "a new token: {firing}");
    let launches = cloud.fake().launches();
    let started: Vec<_> =
        launches.iter().map(|launch| launch.task_definition_arn.rsplit(':').next()).collect();
    assert_eq!(started, [Some("2"), Some("1")]);
}

#[tokio::test]
async fn a_job_that_names_a_deregistered_revision_stays_refused() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "exact").await;
    stage.define(&stage.family("work")).await;
    let second = format!("{}:2", stage.family("work"));
    cloud.ecs("DeregisterTaskDefinition", json!({"taskDefinition": second})).await;
    let playing = stage.start().await;
    let job = stage.job(&json!({"schedule": once(), "taskDefinition": second}));
    playing.create("nightly", &job).await;
    let refused = playing.firing("nightly", "refused").await;
    assert!(refused["note"].as_str().unwrap().contains("INACTIVE"), "{refused}");
    assert_eq!(cloud.fake().calls(Service::Ecs, "RunTask").calls, 1);
}

#[tokio::test]
async fn a_task_that_cannot_be_read_does_not_hide_the_end_of_another() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "spoiled").await;
    let playing = stage.start().await;
    for job in ["bad", "good"] {
        playing.create(job, &stage.job(&json!({"schedule": once()}))).await;
        playing.firing(job, "launched").await;
    }
    let arn = async |job: &str| stage.tasks(job).await[0]["taskArn"].as_str().unwrap().to_owned();
    let (bad, good) = (arn("bad").await, arn("good").await);
    let error = InjectedFault::error("InvalidParameterException", "Identifier is wrong.");
    let rule = FaultRule::every(Service::Ecs, error).containing(&bad);
    cloud.fake().faults().add(FaultRule { operation: Some("DescribeTasks".to_owned()), ..rule });
    until("the good task runs", async || cloud.fake().ecs().finish(&good, 0)).await;
    playing.firing("good", "finished").await;
    assert_eq!(playing.list("/jobs/bad/firings?state=launched", "firings").await.len(), 1);
}

#[tokio::test]
async fn tasks_without_versions_end_as_all_others_do() {
    let cloud = Cloud::start(Kind::Fake).await;
    cloud.fake().configure(|settings| {
        settings.ecs.without_versions = true;
        settings.ecs.life.run = Some(SignedDuration::from_secs(1));
    });
    let stage = Stage::set(&cloud, "unversioned").await;
    let playing = stage.start().await;
    playing.create("nightly", &stage.job(&json!({"schedule": once()}))).await;
    let finished: Value = playing.firing("nightly", "finished").await;
    assert_eq!(finished["tasks"][0]["exitCode"], 0, "{finished}");
}
