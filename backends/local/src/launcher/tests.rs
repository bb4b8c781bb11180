use std::num::NonZeroU32;

use ecs_scheduler_core::{Clock, Diagnosis, FiringId, JobUid, LaunchToken, TaskPhase, TaskState};
use ecs_scheduler_testing::{ManualClock, sample};
use jiff::SignedDuration;
use tokio::time::Instant;

use super::*;
use crate::cleanup::remove_expired;
use crate::definition_store::Definitions;
use crate::supervisor;

struct Fixture {
    root: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl Fixture {
    fn new(command: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let definition = serde_json::json!({
            "family": "work",
            "containerDefinitions": [{"name": "main", "command": ["sh", "-c", command]}],
        });
        std::fs::write(root.path().join("work.json"), definition.to_string()).unwrap();
        let clock = Arc::new(ManualClock::at("2027-03-01T09:00:00Z".parse().unwrap()));
        Self { root, clock }
    }

    async fn open(&self) -> LocalLauncher {
        let mut options = LocalOptions::new(self.root.path(), self.root.path().join("data"));
        options.clock = self.clock.clone();
        LocalLauncher::open(options).await.unwrap()
    }

    fn advance(&self, hours: i64) {
        self.clock.step(SignedDuration::from_hours(hours));
    }

    fn request(&self) -> LaunchRequest {
        let job = JobId::new("job").unwrap();
        let uid = JobUid::derived("test", &job);
        let firing = FiringId::for_tick(&uid, self.clock.now());
        let token = LaunchToken::derive("test", &uid, &firing, 0, 1);
        let mut request =
            LaunchRequest::new(job, firing, token, sample::task("work"), NonZeroU32::MIN, self.clock.now());
        request.started_by = "test/job".to_owned();
        request.definition = "work".to_owned();
        request
    }

    /// Writes the record of a launch, as a scheduler does that is killed before it starts the task.
    fn accept(&self, boot: Option<String>) -> TaskId {
        let request = self.request();
        let data = DataDir::open(&self.root.path().join("data")).unwrap();
        let definition = Definitions::read(self.root.path()).unwrap().find("work").unwrap();
        let mut options = LocalOptions::new(self.root.path(), self.root.path().join("data"));
        options.environment = [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into();
        data.write_launch(&data_dir::LaunchRecord {
            token: request.token.as_str().to_owned(),
            job: request.job.clone(),
            firing: request.firing.clone(),
            started_by: request.started_by.clone(),
            definition: "work:1".to_owned(),
            accepted_at: self.clock.now(),
            boot,
            tasks: vec!["0123".to_owned()],
            refused: Vec::new(),
            containers: resolved_task::resolve_task(&definition, &request, &options, self.root.path())
                .unwrap(),
        })
        .unwrap();
        TaskId::new("arn:aws:ecs:local:000000000000:task/default/0123")
    }
}

async fn ended(launcher: &LocalLauncher, id: &TaskId) -> TaskState {
    let asking = async {
        loop {
            let state = launcher.observe(std::slice::from_ref(id)).await.unwrap().states.remove(0);
            if state.phase == TaskPhase::Stopped {
                return state;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asking).await.unwrap()
}

fn remaining_files(fixture: &Fixture) -> (usize, usize) {
    let count =
        |folder: &str| std::fs::read_dir(fixture.root.path().join("data").join(folder)).unwrap().count();
    (count("launches"), count("tasks"))
}

#[tokio::test]
async fn files_of_an_ended_task_and_its_token_are_removed_after_a_day() {
    let fixture = Fixture::new("true");
    let launcher = fixture.open().await;
    let id = launcher.launch(&fixture.request()).await.unwrap().started.remove(0).task_id;
    let state = ended(&launcher, &id).await;
    assert_eq!(state.stopped_at, Some(fixture.clock.now()), "times are taken from the clock");
    // A clock that is ahead for a moment removes nothing.
    fixture.advance(1_000);
    let now = Instant::now();
    remove_expired(&launcher.context, now + Duration::from_hours(23));
    assert_eq!(remaining_files(&fixture), (1, 1));
    fixture.advance(-1_000);
    remove_expired(&launcher.context, now + Duration::from_hours(24));
    assert_eq!(remaining_files(&fixture), (0, 0));
    assert_eq!(launcher.observe(&[id]).await.unwrap().states, []);
}

#[tokio::test]
async fn token_with_removed_tasks_starts_nothing_after_a_restart() {
    let fixture = Fixture::new("true");
    let launcher = fixture.open().await;
    let request = fixture.request();
    let report = launcher.launch(&request).await.unwrap();
    let id = report.started[0].task_id.clone();
    ended(&launcher, &id).await;
    drop(launcher.context.tasks.lock().prune_tasks(Instant::now(), 0, Duration::ZERO));
    let name = id.as_str().rsplit_once('/').unwrap().1.to_owned();
    launcher.context.data.task_dir(&name).remove().unwrap();
    drop(launcher);
    let launcher = fixture.open().await;
    assert_eq!(launcher.launch(&request).await.unwrap(), report);
    assert_eq!(launcher.observe(&[id]).await.unwrap().states, []);
    assert_eq!(remaining_files(&fixture), (1, 0));
}

#[tokio::test]
async fn token_of_an_earlier_launcher_is_kept_for_the_rest_of_its_day_and_for_an_hour_at_least() {
    let fixture = Fixture::new("true");
    let launcher = fixture.open().await;
    let id = launcher.launch(&fixture.request()).await.unwrap().started.remove(0).task_id;
    ended(&launcher, &id).await;
    drop(launcher);
    let hours = Duration::from_hours;
    for (age, kept) in [(20, hours(4)), (1_000, hours(1)), (-1_000, hours(24))] {
        fixture.advance(age);
        let launcher = fixture.open().await;
        fixture.advance(-age);
        launcher.observe(std::slice::from_ref(&id)).await.unwrap();
        drop(launcher.context.tasks.lock().prune_tasks(Instant::now(), 0, Duration::ZERO));
        let expires = Instant::now() + kept;
        let tokens = |at: Instant| launcher.context.tasks.lock().prune_tokens(at).len();
        assert_eq!((tokens(expires - hours(1) / 2), tokens(expires)), (0, 1), "{age} h");
    }
}

#[tokio::test]
async fn accepted_task_is_started_by_the_next_launcher() {
    let fixture = Fixture::new("exit 4");
    let id = fixture.accept(data_dir::boot_id());
    let launcher = fixture.open().await;
    assert_eq!(ended(&launcher, &id).await.exit_code, Some(4));
}

#[tokio::test]
async fn accepted_task_is_not_started_after_the_start_deadline() {
    let fixture = Fixture::new("exit 4");
    let id = fixture.accept(data_dir::boot_id());
    fixture.advance(1);
    let launcher = fixture.open().await;
    let state = ended(&launcher, &id).await;
    assert_eq!((state.exit_code, state.stop_code.as_deref()), (None, Some("TaskFailedToStart")));
    assert_eq!(state.started_at, None);
}

#[tokio::test]
async fn accepted_task_is_not_started_after_the_machine_restarted() {
    let fixture = Fixture::new("exit 4");
    for boot in [Some("another boot".to_owned()), None] {
        let id = fixture.accept(boot);
        let launcher = fixture.open().await;
        let state = ended(&launcher, &id).await;
        assert_eq!((state.exit_code, state.started_at), (None, None));
        assert_eq!(state.reason.as_deref(), Some(supervisor::LOST_REASON));
        assert_eq!(state.diagnosis.unwrap().code, Diagnosis::TASK_LOST.code);
        drop(launcher);
        let data = fixture.root.path().join("data");
        std::fs::remove_dir_all(data).unwrap();
    }
}
