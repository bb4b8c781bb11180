//! A firing can be followed through the log by its id, from its trigger to the end of its tasks.

use ecs_scheduler_core::{FaultKind, FireRequest, FiringState, JobId};
use ecs_scheduler_testing::StoreFaults;
use serde_json::{Value, json};
use tracing::{Instrument as _, Level};

use super::retry::Flaky;
use super::support::{Script, Stage};
use crate::log::Log;

fn job(name: &str) -> Value {
    json!({"taskDefinition": name, "schedule": "0 *", "timeout": "20s"})
}

/// Asserts that these messages were logged in this order, each with these texts, and returns the lines from the first on.
fn assert_in_order(log: &Log, about: &str, messages: &[&str]) {
    let lines = log.with(about);
    let mut rest = lines.iter();
    for message in messages {
        assert!(rest.any(|line| line.contains(message)), "{message}: {lines:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_line_about_a_firing_has_its_id() {
    let flaky = Flaky::default();
    let stage = flaky.stage("2026-01-01T09:59:50Z");
    let mut triggered = job("followed");
    triggered["trigger"] = json!({"type": "flaky"});
    stage.world.create("followed", &triggered).await.unwrap();
    stage.world.create("other", &job("other")).await.unwrap();
    *stage.launcher.run_for.lock() = None;
    let failing = std::iter::repeat_n(Script::Fail { kind: FaultKind::Throttled }, 2);
    stage.launcher.script.lock().extend(failing);
    let (log, _guard) = Log::listen_at(Level::DEBUG);
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:50Z").await;
    for name in ["followed", "other"] {
        let firing = stage.firings(name).await.pop().unwrap();
        assert_eq!(firing.state, FiringState::Finished);
        let id = format!("firing={}", firing.id);
        assert_in_order(
            &log,
            &id,
            &[
                "a firing is recorded",
                "launching",
                "a launch failed",
                "launched",
                "stopping a task",
                "finished",
            ],
        );
        let about = log.with(&format!("job={name}"));
        let first = about.iter().position(|line| line.contains("a firing is recorded")).unwrap();
        let nameless: Vec<_> = about[first..].iter().filter(|line| !line.contains(&id)).collect();
        assert!(nameless.is_empty(), "{nameless:#?}");
    }
    assert_eq!(log.with("a trigger is evaluated").len(), 1);
    assert!(log.with("a trigger is evaluated")[0].contains("job{job=followed}"), "{log:?}");
    let launches = log.with("a scripted launch");
    assert!(launches.len() == 4 && launches.iter().all(|line| line.contains("firing=")), "{launches:?}");
}

#[tokio::test(start_paused = true)]
async fn request_of_a_firing_by_hand_is_logged_with_the_id_of_the_firing() {
    let stage = Stage::at("2026-01-01T09:59:50Z");
    stage.world.create("job", &job("job")).await.unwrap();
    let (log, _guard) = Log::listen_at(Level::DEBUG);
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    let id = JobId::new("job").unwrap();
    let fired = life.engine.fire_now(&id, FireRequest::default());
    let record = fired.instrument(tracing::info_span!("request", id = "r-1")).await.unwrap();
    let lines = log.with("a firing is recorded");
    assert_eq!(lines.len(), 1);
    let id = format!("firing={}", record.firing.unwrap());
    assert!(lines[0].contains("request{id=\"r-1\"}") && lines[0].contains(&id), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn resumed_firing_keeps_its_id_in_the_log() {
    let stage = Stage::at("2026-01-01T09:59:50Z");
    stage.world.create("job", &job("job")).await.unwrap();
    stage.launcher.script.lock().push_back(Script::Hang);
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:01Z").await;
    life.crash().await;
    let (log, _guard) = Log::listen_at(Level::DEBUG);
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:30Z").await;
    let id = format!("firing={}", stage.firings("job").await[0].id);
    assert_in_order(&log, &id, &["a scripted launch", "launched", "finished"]);
}
