use std::num::NonZeroU32;
use std::time::Duration;

use ecs_scheduler_core::fault::chain;
use ecs_scheduler_core::{Demand, FaultKind, TriggerRegistry};
use ecs_scheduler_testing::trigger_suite::{Example, InvalidConfig, TriggerFixture};
use serde_json::{Value, json};

use crate::probe::{build, evaluate, registry};

const NOW: &str = "2026-11-22T12:00:00Z";

fn tasks(n: u32) -> Demand {
    Demand::Tasks(NonZeroU32::new(n).unwrap())
}

/// A combination of probes that request these numbers of tasks, named `a`, `b`, `c`…
fn combination(asked: &[Option<u32>]) -> Value {
    let probe = |(tasks, name): (&Option<u32>, char)| json!({"type": "probe", "tasks": tasks, "because": name.to_string()});
    json!({"of": asked.iter().zip('a'..).map(probe).collect::<Vec<_>>()})
}

struct Combination(&'static str);

impl TriggerFixture for Combination {
    fn kind(&self) -> &'static str {
        self.0
    }

    fn install(&self, installed: &mut TriggerRegistry) {
        *installed = registry();
    }

    fn examples(&self) -> Vec<Example> {
        let demands = match self.0 {
            "all" => [Demand::Idle, tasks(7), Demand::Idle, Demand::Floor],
            "any" => [tasks(5), tasks(7), Demand::Idle, Demand::Floor],
            _ => [tasks(5), tasks(9), Demand::Idle, tasks(1)],
        };
        let asked: [&[Option<u32>]; 4] =
            [&[Some(5), Some(0)], &[Some(2), Some(7)], &[Some(0), Some(0)], &[None]];
        asked
            .iter()
            .zip(demands)
            .map(|(asked, demand)| Example::new(combination(asked), NOW, demand))
            .collect()
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        let many: Vec<Value> = (0..17).map(|_| json!({"type": "probe"})).collect();
        vec![
            InvalidConfig { config: json!({"of": []}), pointer: "/of" },
            InvalidConfig { config: json!({"of": many}), pointer: "/of" },
            InvalidConfig { config: json!({"of": {}}), pointer: "/of" },
            InvalidConfig {
                config: json!({"of": [{"type": "probe"}, {"type": "prob"}]}),
                pointer: "/of/1/type",
            },
            InvalidConfig {
                config: json!({"of": [{"type": "any", "of": [{"type": "probe", "tasks": "x"}]}]}),
                pointer: "/of/0/of/0/tasks",
            },
        ]
    }
}

mod all {
    use super::Combination;
    ecs_scheduler_testing::trigger_suite!(Combination("all"));
}

mod any {
    use super::Combination;
    ecs_scheduler_testing::trigger_suite!(Combination("any"));
}

mod sum {
    use super::Combination;
    ecs_scheduler_testing::trigger_suite!(Combination("sum"));
}

async fn answer(kind: &str, asked: &[Option<u32>]) -> (Demand, String) {
    let mut spec = combination(asked);
    spec["type"] = kind.into();
    let evaluation = evaluate(&spec, NOW).await.unwrap();
    assert_eq!(evaluation.observations.len(), asked.len());
    (evaluation.demand, evaluation.reason)
}

#[tokio::test]
async fn reasons_name_the_deciding_triggers() {
    assert_eq!(answer("all", &[Some(5), Some(0), Some(0)]).await, (Demand::Idle, "b and c".into()));
    assert_eq!(answer("all", &[Some(5), Some(9)]).await, (tasks(9), "a and b".into()));
    assert_eq!(answer("any", &[Some(5), Some(0), Some(9)]).await, (tasks(9), "a or c".into()));
    assert_eq!(answer("sum", &[Some(5), Some(0), Some(9)]).await, (tasks(14), "a plus c".into()));
    assert_eq!(answer("any", &[Some(0), Some(0)]).await, (Demand::Idle, "a and b".into()));
}

#[tokio::test]
async fn floor_uses_the_jobs_task_count() {
    assert_eq!(answer("any", &[None, Some(5)]).await.0, tasks(5));
    assert_eq!(answer("sum", &[None, Some(5)]).await.0, tasks(8));
    assert_eq!(answer("sum", &[None, None]).await.0, tasks(6));
    assert_eq!(answer("sum", &[Some(u32::MAX), Some(5)]).await.0, tasks(u32::MAX));
}

#[tokio::test]
async fn unreadable_source_fails_the_combination_and_is_named() {
    let spec = json!({"type": "any", "of": [
        {"type": "probe", "tasks": 5},
        {"type": "probe", "fails": "throttled", "because": "queue q"},
    ]});
    let error = evaluate(&spec, NOW).await.unwrap_err();
    assert_eq!(
        (error.kind(), chain(&error).as_str()),
        (FaultKind::Throttled, "could not evaluate /of/1: could not read queue q")
    );
}

#[tokio::test]
async fn permanent_failure_is_reported_first() {
    let spec = json!({"type": "all", "of": [
        {"type": "probe", "fails": "throttled", "because": "x"},
        {"type": "any", "of": [{"type": "probe", "fails": "denied", "because": "y"}]},
    ]});
    let error = evaluate(&spec, NOW).await.unwrap_err();
    assert_eq!(error.kind(), FaultKind::Denied);
    assert_eq!(
        chain(&error),
        "could not evaluate /of/0 and /of/1: could not evaluate /of/0: could not read y"
    );
}

#[tokio::test(start_paused = true)]
async fn triggers_are_evaluated_concurrently() {
    let start = tokio::time::Instant::now();
    let spec = json!({"type": "all", "of": [{"type": "probe", "waits": 5}, {"type": "probe", "waits": 7}]});
    evaluate(&spec, NOW).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(7));
}

#[test]
fn combination_has_the_ticks_of_all_inner_triggers() {
    let spec = json!({"type": "any", "of": [
        {"type": "probe", "ticks": ["0 0 9", "Europe/Berlin"]},
        {"type": "probe"},
        {"type": "all", "of": [{"type": "probe", "ticks": ["0 0 9", "Asia/Tokyo"]}]},
    ]});
    let trigger = build(&spec).unwrap();
    let ticks: Vec<String> = trigger
        .schedule()
        .unwrap()
        .upcoming("2026-11-22T12:00:00Z".parse().unwrap())
        .take(3)
        .map(|tick| tick.to_string())
        .collect();
    assert_eq!(ticks, ["2026-11-23T00:00:00Z", "2026-11-23T08:00:00Z", "2026-11-24T00:00:00Z"]);
}

#[test]
fn combination_without_inner_ticks_has_none() {
    let window = json!({"type": "window", "start": "@daily", "duration": "1h"});
    let guard = build(&json!({"type": "all", "of": [window]})).unwrap();
    assert!(guard.schedule().is_none() && guard.is_time_based());
    assert!(!build(&json!({"type": "all", "of": [window, {"type": "probe"}]})).unwrap().is_time_based());
}

#[tokio::test]
async fn open_window_passes_a_larger_demand() {
    let spec = json!({"type": "all", "of": [
        {"type": "window", "start": "0 12 * * *", "duration": "1h"},
        {"type": "probe", "tasks": 40, "because": "40 files"},
    ]});
    assert_eq!(evaluate(&spec, "2026-11-22T12:30:00Z").await.unwrap().demand, tasks(40));
    let closed = evaluate(&spec, "2026-11-22T13:00:00Z").await.unwrap();
    assert_eq!((closed.demand, closed.reason.as_str()), (Demand::Idle, "the window is closed"));
}

#[test]
fn deeply_nested_triggers_are_refused() {
    let mut spec = json!({"type": "probe"});
    for _ in 0..8 {
        spec = json!({"type": "all", "of": [spec]});
    }
    assert!(build(&spec).unwrap_err().message.contains("8 deep"));
}
