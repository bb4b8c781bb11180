//! The launcher against the suite for launchers, both providers, the program itself, and the page that shows them.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::{
    FaultKind, FiringId, JobId, JobUid, LaunchRequest, LaunchToken, Launcher, LauncherProvider as _,
    LauncherSetup, OpenMode, Override, SettingValues, StoreError, StoreProvider as _, StoreSetup,
    SystemClock, TaskPhase, TaskSpec, async_trait,
};
use ecs_scheduler_testing::launcher_suite::{LauncherFixture, Sample};
use spool_scheduler::worker::Worker;
use spool_scheduler::{MountedPostgres, Spool, SpoolProvider};
use tempfile::TempDir;

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A spool folder with the programs of the tests, and a worker on it.
struct Site(TempDir);

impl Site {
    fn without_worker() -> Self {
        let folder = TempDir::new().unwrap();
        let programs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/programs");
        std::os::unix::fs::symlink(programs, folder.path().join("programs")).unwrap();
        Self(folder)
    }

    fn new() -> Self {
        let site = Self::without_worker();
        let worker = Worker::new(Spool::open(site.0.path()).unwrap(), "here", POLL_INTERVAL).unwrap();
        tokio::spawn(worker.run(NonZeroUsize::new(6).unwrap()));
        site
    }

    fn settings(&self) -> SettingValues {
        let folder = SpoolProvider.descriptor().settings[0];
        SettingValues::default().with(&folder, self.0.path().to_str().unwrap())
    }
}

#[async_trait]
impl LauncherFixture for Site {
    async fn open(&self) -> Arc<dyn Launcher> {
        let settings = self.settings();
        let setup = LauncherSetup::new(&settings, "suite", Path::new("data"), Arc::new(SystemClock));
        SpoolProvider.open(&setup).await.unwrap()
    }

    fn definition(&self, sample: Sample) -> String {
        format!("{sample:?}").to_lowercase()
    }
}

mod launcher {
    use super::Site;

    ecs_scheduler_testing::launcher_suite!(
        #[tokio::test]
        Site::new()
    );
}

fn task(definition: &str, change: Option<Override>) -> TaskSpec {
    let mut task = TaskSpec::new(definition);
    task.overrides.extend(change);
    task
}

fn greeting() -> Override {
    let mut change = Override::new("main");
    change.environment.insert("GREETING".to_owned(), "hello".to_owned());
    change
}

fn request(task: TaskSpec) -> LaunchRequest {
    let job = JobId::new("greet").unwrap();
    let uid = JobUid::derived("spool", &job);
    let scheduled_at = "2027-03-01T09:00:00Z".parse().unwrap();
    let firing = FiringId::for_tick(&uid, scheduled_at);
    let token = LaunchToken::derive("spool", &uid, &firing, 0, 1);
    LaunchRequest::new(job, firing, token, Arc::new(task), NonZeroU32::MIN, scheduled_at)
}

/// Waits until the task of a request has ended, and returns its stop code.
async fn wait_for_end(launcher: &dyn Launcher, request: &LaunchRequest) -> String {
    let report = launcher.launch(request).await.unwrap();
    let ids = [report.started[0].task_id.clone()];
    let ended = async {
        loop {
            let states = launcher.observe(&ids).await.unwrap().states;
            if states[0].phase == TaskPhase::Stopped {
                return states[0].stop_code.clone().unwrap();
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ended).await.unwrap()
}

#[tokio::test]
async fn programs_get_the_variables_of_the_firing_and_the_job() {
    let site = Site::new();
    let request = request(task("greets", Some(greeting())));
    wait_for_end(&*site.open().await, &request).await;
    let log = site.0.path().join(format!("tasks/{}-0.log", request.token.as_str()));
    assert_eq!(std::fs::read_to_string(log).unwrap(), "2027-03-01T09:00:00Z hello\n");
}

#[tokio::test]
async fn tasks_of_a_restarted_worker_end_as_lost() {
    let site = Site::without_worker();
    let (launcher, request) = (site.open().await, request(task("lasts", None)));
    launcher.launch(&request).await.unwrap();
    let claim = site.0.path().join(format!("tasks/{}-0.claim", request.token.as_str()));
    std::fs::write(claim, "\"here\"").unwrap();
    Worker::new(Spool::open(site.0.path()).unwrap(), "elsewhere", POLL_INTERVAL).unwrap();
    assert_eq!(launcher.population(&request.job, &request.task).await.unwrap().tasks.len(), 1);
    Worker::new(Spool::open(site.0.path()).unwrap(), "here", POLL_INTERVAL).unwrap();
    assert_eq!(wait_for_end(&*launcher, &request).await, "WorkerLost");
}

#[tokio::test]
async fn a_task_that_is_stopped_before_a_worker_takes_it_never_runs() {
    let site = Site::without_worker();
    let (launcher, request) = (site.open().await, request(task("lasts", None)));
    let report = launcher.launch(&request).await.unwrap();
    launcher.stop(&report.started[0].task_id, "not needed").await.unwrap();
    let worker = Worker::new(Spool::open(site.0.path()).unwrap(), "here", POLL_INTERVAL).unwrap();
    tokio::spawn(worker.run(NonZeroUsize::MIN));
    assert_eq!(wait_for_end(&*launcher, &request).await, "UserInitiated");
}

#[tokio::test]
async fn a_launch_is_repeated_with_its_token_also_when_the_program_is_gone() {
    let site = Site::without_worker();
    let (launcher, request) = (site.open().await, request(task("lasts", None)));
    let first = launcher.launch(&request).await.unwrap();
    std::fs::remove_file(site.0.path().join("programs")).unwrap();
    let again = launcher.launch(&request).await.unwrap();
    assert_eq!((&again.started, again.refused.len()), (&first.started, 0));
    assert_eq!(launcher.population(&request.job, &request.task).await.unwrap().tasks.len(), 1);
}

#[tokio::test]
async fn options_and_overrides_that_the_launcher_cannot_apply_are_refused() {
    let launcher = Site::without_worker().open().await;
    launcher.check(&task("greets", Some(greeting()))).unwrap();
    let mut command = greeting();
    command.command = Some(vec!["true".to_owned()]);
    let error = launcher.check(&task("greets", Some(command))).unwrap_err();
    assert_eq!(error.pointer, "/overrides/0");
}

#[tokio::test]
async fn a_database_url_that_cannot_be_read_or_parsed_is_a_configuration_error() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("url");
    let setting = MountedPostgres.descriptor().settings[0];
    let settings = SettingValues::default().with(&setting, file.to_str().unwrap());
    let setup = StoreSetup::new(&settings, Arc::new(SystemClock));
    let problem = async || match MountedPostgres.open(&setup, OpenMode::Serve).await.unwrap_err() {
        StoreError::Fault { kind: FaultKind::Config, message, .. } => message,
        other => panic!("{other}"),
    };
    assert!(problem().await.contains("check DATABASE_URL_FILE"));
    std::fs::write(&file, "mysql://db/jobs\n").unwrap();
    let message = problem().await;
    assert!(message.contains("postgres://") && !message.contains("ECSS_POSTGRES_URL"), "{message}");
}

/// Runs the scheduler with these variables only.
fn scheduler(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spool-scheduler"));
    command.args(arguments).env_clear().envs(variables.iter().copied()).output().unwrap()
}

#[test]
fn the_settings_of_both_providers_are_settings_of_the_program() {
    let checked =
        scheduler(&["config", "check"], &[("SPOOL_FOLDER", "/srv/spool"), ("DATABASE_URL_FILE", "/url")]);
    let text = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    assert!(text.contains("/srv/spool") && text.contains("environment DATABASE_URL_FILE"), "{text}");
    let page = String::from_utf8(scheduler(&["reference", "configuration"], &[]).stdout).unwrap();
    assert!(page.contains("### `SPOOL_FOLDER`") && page.contains("### `DATABASE_URL_FILE`"));
    let refused = scheduler(&["config", "check"], &[("SPOOL_FOLDER", "spool")]);
    let message = String::from_utf8(refused.stderr).unwrap();
    assert!(message.contains("SPOOL_FOLDER is \"spool\"; it must be an absolute path"), "{message}");
    let nothing = String::from_utf8(scheduler(&["config", "check"], &[]).stderr).unwrap();
    assert!(nothing.contains("SPOOL_FOLDER to hand tasks to workers through a folder"), "{nothing}");
}

/// The text of a fragment without what differs by its place: indentation, and lines that say nothing.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

#[test]
fn every_fragment_of_the_page_is_a_piece_of_these_files() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(folder.join(path)).unwrap();
    let files =
        ["src/launcher.rs", "src/store.rs", "src/main.rs", "src/spool.rs", "tests/it/main.rs"].map(read);
    let page = read("../../custom-backends.md");
    let fragments: Vec<&str> =
        page.split("```rust,ignore\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(fragments.len() >= 6, "the page has {} fragments", fragments.len());
    for fragment in fragments {
        let wanted = lines(fragment);
        let found = |file: &String| lines(file).windows(wanted.len()).any(|piece| piece == wanted);
        assert!(files.iter().any(found), "this is in none of the files:\n{fragment}");
    }
}
