//! A fake with a cluster, launchers on it, and requests.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_backend_aws::{AwsContext, AwsSettings, Timeouts};
use ecs_scheduler_backend_ecs::{EcsLauncher, EcsOptions};
use ecs_scheduler_core::{
    Clock, FiringId, JobId, JobUid, LaunchReport, LaunchRequest, LaunchToken, TaskId, TaskSpec, Timestamp,
};
use ecs_scheduler_fake_aws::{Fake, FakeOptions, Service};
use ecs_scheduler_testing::ManualClock;
use jiff::SignedDuration;
use serde_json::{Value, json};

/// A fake with the cluster `batch` and the definitions `work` (bridge) and `vpc` (for Fargate); its tasks run until they
/// are stopped.
pub(crate) struct Rig {
    pub(crate) fake: Fake,
    pub(crate) clock: Arc<ManualClock>,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(ManualClock::at(beginning()));
        let options = FakeOptions { clock: Arc::clone(&clock) as Arc<dyn Clock>, ..FakeOptions::default() };
        let fake = Fake::start(options).await.expect("a port is free");
        fake.ecs().create_cluster("batch");
        register(&fake, "work");
        fake.ecs().register_simple("vpc");
        fake.configure(|settings| settings.ecs.life.run = None);
        Self { fake, clock }
    }

    pub(crate) fn pass(&self, by: SignedDuration) {
        self.clock.step(by);
    }

    pub(crate) fn launcher(&self) -> EcsLauncher {
        launcher(&self.fake.url(), "test", Arc::clone(&self.clock) as Arc<dyn Clock>)
    }

    /// A launcher that adds firing variables to overridden containers only.
    pub(crate) fn quiet_launcher(&self) -> EcsLauncher {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let options = EcsOptions { variables: false, ..EcsOptions::new("batch", "test", Arc::clone(&clock)) };
        EcsLauncher::new(aws(&self.fake.url(), clock), options)
    }

    pub(crate) fn calls(&self, operation: &str) -> u64 {
        self.fake.calls(Service::Ecs, operation).calls
    }
}

pub(crate) fn beginning() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("it is a moment")
}

/// Registers a definition for instances, with one container `main`.
pub(crate) fn register(fake: &Fake, family: &str) -> String {
    let container = json!({"name": "main", "image": "busybox", "essential": true, "memory": 64});
    let definition = json!({"family": family, "networkMode": "bridge", "containerDefinitions": [container]});
    fake.ecs().register(&definition).expect("the definition is complete")
}

pub(crate) fn aws(url: &str, clock: Arc<dyn Clock>) -> AwsContext {
    AwsContext::new(AwsSettings {
        region: Some("eu-central-1".to_owned()),
        credentials: Some(("AKIDEXAMPLE".to_owned(), "secret".to_owned())),
        endpoint: Some(url.to_owned()),
        timeouts: Timeouts { attempt: Duration::from_secs(2), ..Timeouts::default() },
        ..AwsSettings::new(clock)
    })
}

pub(crate) fn launcher(url: &str, name: &str, clock: Arc<dyn Clock>) -> EcsLauncher {
    EcsLauncher::new(aws(url, Arc::clone(&clock)), EcsOptions::new("batch", name, clock))
}

pub(crate) fn job(name: &str) -> JobId {
    JobId::new(name).expect("tests name their jobs well")
}

pub(crate) fn task(definition: &str, launch: Value) -> TaskSpec {
    serde_json::from_value(json!({"definition": definition, "options": launch})).expect("it is a task")
}

/// A request of the job `job`, whose token comes from `key` and the attempt.
pub(crate) fn request(key: &str, attempt: u32, count: u32, task: TaskSpec) -> LaunchRequest {
    let uid = JobUid::derived("test", &job("job"));
    let firing = FiringId::for_manual(&uid, beginning(), key);
    let token = LaunchToken::derive("test", &uid, &firing, 0, attempt);
    let mut request = LaunchRequest::new(
        job("job"),
        firing,
        token,
        task.into(),
        NonZeroU32::new(count).expect("tests start tasks"),
        beginning(),
    );
    request.attempt = attempt;
    request.started_by = "test/job".to_owned();
    request
}

pub(crate) fn work(key: &str, count: u32) -> LaunchRequest {
    request(key, 1, count, task("work", json!({})))
}

pub(crate) fn ids(report: &LaunchReport) -> Vec<TaskId> {
    report.started.iter().map(|task| task.task_id.clone()).collect()
}
