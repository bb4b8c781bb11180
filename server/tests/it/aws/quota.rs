//! A burst beyond ECS's quota: calls wait here instead of being refused there, and what is allowed is used.

use ecs_scheduler_fake_aws::Service;
use serde_json::json;

use super::cloud::{Cloud, Kind};
use super::reads::{create, once};
use super::stage::Stage;
use crate::crash::site::until;

/// Jobs that are due at once.
const JOBS: u32 = 400;
/// Calls that ECS takes at once, and then in a second.
const BURST: f64 = 100.0;
const RATE: f64 = 40.0;

#[tokio::test]
async fn a_burst_beyond_the_quota_is_launched_as_fast_as_it_allows_and_next_to_nothing_is_throttled() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "burst").await;
    let containers = json!([{"name": "main", "image": "busybox", "memory": 64, "essential": true}]);
    let family = stage.family("plain");
    let definition = json!({"family": family, "containerDefinitions": containers});
    cloud.ecs("RegisterTaskDefinition", definition).await;
    cloud.fake().configure(|settings| settings.quotas.enforced = true);
    let schedule = once();
    let job = |number| {
        let job = json!({"taskDefinition": family, "schedule": schedule, "launch": {"launchType": "EC2"}});
        (format!("job-{number}"), job)
    };
    create(&stage, (0..JOBS).map(job)).await;
    let _playing = stage.start().await;
    until("every task is started", async || cloud.fake().launches().len() == 400).await;

    let launches = cloud.fake().launches();
    let took = launches[399].created_at.duration_since(launches[0].created_at);
    let bound = (f64::from(JOBS) - BURST) / RATE;
    assert!(took.as_secs_f64() >= 0.9 * bound, "the fake enforces its quota: {took}");
    // Measured closely by `make bench`; here the machine may be busy with other tests, which bunches calls.
    assert!(took.as_secs_f64() <= 1.5 * bound, "the quota is used: {took}");
    let calls = cloud.fake().calls(Service::Ecs, "RunTask");
    assert!(calls.throttled <= 4 && calls.calls == 400 + calls.throttled, "{calls:?}");
}
