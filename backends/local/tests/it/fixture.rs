//! A folder with definitions and a launcher, and a wait for a condition with a deadline.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use ecs_scheduler_backend_local::{LocalLauncher, LocalOptions};
use ecs_scheduler_core::{
    FiringId, JobId, JobUid, LaunchReport, LaunchRequest, LaunchToken, Launcher as _, TaskId, TaskPhase,
    TaskState, Timestamp,
};
use ecs_scheduler_testing::sample;
use serde_json::{Value, json};

/// How long a test waits for a condition.
const DEADLINE: Duration = Duration::from_secs(30);

/// The folders of one test.
#[derive(Debug)]
pub(crate) struct Fixture {
    pub(crate) root: tempfile::TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("definitions")).unwrap();
        Self { root }
    }

    /// Defines a task of one container `main` that runs a line of shell.
    pub(crate) fn define_shell(&self, family: &str, line: &str) {
        self.define(&json!({
            "family": family,
            "containerDefinitions": [{"name": "main", "command": ["sh", "-c", line], "stopTimeout": 10}],
        }));
    }

    pub(crate) fn define(&self, definition: &Value) {
        let family = definition["family"].as_str().unwrap();
        let revision = definition.get("revision").and_then(Value::as_u64).unwrap_or(1);
        let file = self.definitions().join(format!("{family}-{revision}.json"));
        std::fs::write(file, definition.to_string()).unwrap();
    }

    pub(crate) fn definitions(&self) -> PathBuf {
        self.root.path().join("definitions")
    }

    pub(crate) fn options(&self) -> LocalOptions {
        LocalOptions::new(self.definitions(), self.root.path().join("data"))
    }

    pub(crate) async fn open(&self) -> LocalLauncher {
        LocalLauncher::open(self.options()).await.unwrap()
    }
}

/// A request for one task of a family, whose token comes from `key`.
pub(crate) fn request(family: &str, key: &str) -> LaunchRequest {
    let uid = JobUid::derived("test", &JobId::new("job").unwrap());
    let firing = FiringId::for_manual(&uid, Timestamp::UNIX_EPOCH, key);
    let token = LaunchToken::derive("test", &uid, &firing, 0, 1);
    let mut request = LaunchRequest::new(
        JobId::new("job").unwrap(),
        firing,
        token,
        sample::task(family),
        NonZeroU32::MIN,
        "2027-03-01T09:00:00Z".parse().unwrap(),
    );
    request.started_by = "test/job".to_owned();
    request.definition = family.to_owned();
    request
}

pub(crate) fn only_task(report: &LaunchReport) -> TaskId {
    assert_eq!((report.started.len(), report.refused.len()), (1, 0), "{report:?}");
    report.started[0].task_id.clone()
}

pub(crate) async fn state(launcher: &LocalLauncher, id: &TaskId) -> TaskState {
    launcher.observe(std::slice::from_ref(id)).await.unwrap().states.pop().expect("the task is known")
}

pub(crate) async fn ended(launcher: &LocalLauncher, id: &TaskId) -> TaskState {
    until(async || Some(state(launcher, id).await).filter(|state| state.phase == TaskPhase::Stopped)).await
}

pub(crate) fn log(launcher: &LocalLauncher, id: &TaskId, container: &str) -> String {
    std::fs::read_to_string(launcher.log_path(id, container).unwrap()).unwrap_or_default()
}

/// Polls until there is a value.
pub(crate) async fn until<T>(mut poll: impl AsyncFnMut() -> Option<T>) -> T {
    let polling = async {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        loop {
            tick.tick().await;
            if let Some(value) = poll().await {
                return value;
            }
        }
    };
    tokio::time::timeout(DEADLINE, polling).await.expect("the condition is met in time")
}
