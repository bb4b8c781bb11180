use super::*;
use crate::{SimClock, sample};
use ecs_scheduler_core::job::JobUid;

fn request(key: &str, count: u32) -> LaunchRequest {
    let job = JobId::new("job").unwrap();
    let uid = JobUid::derived("sim", &job);
    let firing = FiringId::for_manual(&uid, Timestamp::UNIX_EPOCH, key);
    let token = LaunchToken::derive("sim", &uid, &firing, 0, 1);
    let mut request = LaunchRequest::new(
        job,
        firing,
        token,
        sample::task("work"),
        NonZeroU32::new(count).unwrap(),
        Timestamp::UNIX_EPOCH,
    );
    request.started_by = "sim/job".to_owned();
    request.definition = "work".to_owned();
    request
}

fn launcher(plan: ChaosPlan) -> (Arc<SimClock>, ChaosLauncher) {
    let clock = Arc::new(SimClock::at(Timestamp::UNIX_EPOCH));
    let launcher = ChaosLauncher::new(clock.clone(), 7);
    launcher.faults(plan);
    (clock, launcher)
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_a_lost_answer_returns_the_same_tasks() {
    let (_, launcher) = launcher(ChaosPlan { lose_answer: 1.0, ..ChaosPlan::default() });
    let error = launcher.launch(&request("a", 3)).await.unwrap_err();
    assert!(error.outcome_unknown() && error.is_transient());
    assert_eq!(launcher.starts().len(), 3);
    launcher.faults(ChaosPlan::default());
    let report = launcher.launch(&request("a", 3)).await.unwrap();
    let started: Vec<TaskId> = report.started.into_iter().map(|task| task.task_id).collect();
    assert_eq!(started, launcher.starts().into_iter().map(|start| start.task).collect::<Vec<_>>());
    assert!(launcher.duplicate_launches().is_empty());
}

#[tokio::test(start_paused = true)]
async fn failed_and_throttled_calls_start_nothing() {
    let (_, launcher) = launcher(ChaosPlan { fail_before: 1.0, ..ChaosPlan::default() });
    let error = launcher.launch(&request("a", 1)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (FaultKind::Unavailable, false));
    launcher.faults(ChaosPlan { throttle: 1.0, ..ChaosPlan::default() });
    assert_eq!(launcher.launch(&request("a", 1)).await.unwrap_err().kind(), FaultKind::Throttled);
    assert!(launcher.starts().is_empty());
    assert_eq!(launcher.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_call_never_answers_and_starts_tasks_half_of_the_time() {
    let (_, launcher) = launcher(ChaosPlan { hang: 1.0, ..ChaosPlan::default() });
    for key in 0..40 {
        let request = request(&key.to_string(), 1);
        let call = tokio::time::timeout(Duration::from_hours(1), launcher.launch(&request));
        assert!(call.await.is_err());
    }
    assert!((5..=35).contains(&launcher.starts().len()));
}

#[tokio::test(start_paused = true)]
async fn a_reused_expired_token_is_a_duplicate_launch() {
    let (clock, launcher) = launcher(ChaosPlan::default());
    launcher.launch(&request("a", 2)).await.unwrap();
    clock.step(SignedDuration::from_hours(25));
    launcher.launch(&request("a", 2)).await.unwrap();
    assert_eq!(launcher.starts().len(), 4);
    assert_eq!(launcher.duplicate_launches(), vec![request("a", 2).token; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_new_task_is_not_listed_before_its_lag_is_over() {
    let lag = Duration::from_secs(30);
    let (_, launcher) = launcher(ChaosPlan { lag, run: Duration::ZERO, ..ChaosPlan::default() });
    launcher.define("work", Fate::Lasts);
    for key in 0..20 {
        launcher.launch(&request(&key.to_string(), 1)).await.unwrap();
    }
    let request = request("a", 1);
    let early = launcher.population(&request.job, &request.task).await.unwrap();
    assert!(early.tasks.len() < 20, "some of 20 tasks lag");
    tokio::time::sleep(lag).await;
    assert_eq!(launcher.population(&request.job, &request.task).await.unwrap().tasks.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn equal_seeds_give_equal_task_lifetimes_in_any_order_of_calls() {
    let plan = ChaosPlan { pending: Duration::from_secs(60), exit_badly: 0.5, ..ChaosPlan::default() };
    let (one_clock, one) = launcher(plan.clone());
    let (_, two) = launcher(plan);
    let [a, b] = [request("a", 1), request("b", 1)];
    one.launch(&a).await.unwrap();
    one.launch(&b).await.unwrap();
    two.launch(&b).await.unwrap();
    two.launch(&a).await.unwrap();
    one_clock.sleep_until("1970-01-01T01:00:00Z".parse().unwrap()).await;
    let lives = async |launcher: &ChaosLauncher, token: &LaunchToken| {
        let start = launcher.starts().into_iter().find(|start| start.token == *token).unwrap();
        let state = launcher.observe(&[start.task]).await.unwrap().states.remove(0);
        (state.started_at, state.stopped_at, state.exit_code)
    };
    assert_eq!(lives(&one, &a.token).await, lives(&two, &a.token).await);
    assert_ne!(lives(&one, &a.token).await, lives(&one, &b.token).await);
}

/// The launcher in memory, which stays while engines come and go.
struct Sim(Arc<ChaosLauncher>);

impl Sim {
    fn new() -> Self {
        let (_, launcher) = launcher(ChaosPlan::default());
        let after = Duration::from_millis(50);
        launcher.define("Succeeds", Fate::Exits { after, code: 0 });
        launcher.define("Fails", Fate::Exits { after, code: 3 });
        launcher.define("Lasts", Fate::Lasts);
        launcher.define("Unstartable", Fate::NeverStarts);
        launcher.reject_unknown();
        Self(Arc::new(launcher))
    }
}

#[async_trait]
impl crate::launcher_suite::LauncherFixture for Sim {
    async fn open(&self) -> Arc<dyn Launcher> {
        self.0.clone()
    }

    fn definition(&self, sample: crate::launcher_suite::Sample) -> String {
        format!("{sample:?}")
    }
}

crate::launcher_suite!(
    #[tokio::test(start_paused = true)]
    Sim::new()
);
