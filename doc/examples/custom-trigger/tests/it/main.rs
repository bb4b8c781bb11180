//! The `folder` trigger against the suite for triggers, and what is its own.

use std::num::NonZeroU32;

use ecs_scheduler_core::testing::trigger_suite::{Example, Subject, Wrong};
use ecs_scheduler_core::{
    BuildContext, Demand, EvalContext, Evaluation, FaultKind, JobId, Scaling, Tick, Timestamp, TriggerError,
    TriggerRegistry,
};
use folder_scheduler::Folder;
use serde_json::{Value, json};
use tempfile::TempDir;

const NOW: &str = "2026-11-22T12:00:00Z";

/// A folder with three files, one of them CSV, and a folder in it.
struct Inbox(TempDir);

impl Inbox {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        for name in ["a.csv", "b.txt", "c.txt"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        std::fs::create_dir(folder.path().join("done.csv")).unwrap();
        Self(folder)
    }

    fn config(&self, fields: Value) -> Value {
        let mut config = json!({"path": self.0.path()});
        for (name, value) in fields.as_object().unwrap() {
            config[name] = value.clone();
        }
        config
    }
}

impl Subject for Inbox {
    fn kind(&self) -> &'static str {
        "folder"
    }

    fn install(&self, registry: &mut TriggerRegistry) {
        registry.add(Folder).unwrap();
    }

    fn examples(&self) -> Vec<Example> {
        let two = Demand::Tasks(NonZeroU32::new(2).unwrap());
        vec![
            Example::new(self.config(json!({})), NOW, Demand::Floor),
            Example::new(self.config(json!({"suffix": ".log"})), NOW, Demand::Idle),
            Example::new(self.config(json!({"valuePerTask": 2})), NOW, two),
        ]
    }

    fn wrong(&self) -> Vec<Wrong> {
        vec![
            Wrong { config: json!({}), pointer: "" },
            Wrong { config: json!({"path": "inbox"}), pointer: "/path" },
            Wrong { config: self.config(json!({"valuePerTask": 0})), pointer: "/valuePerTask" },
        ]
    }
}

ecs_scheduler_core::trigger_suite!(Inbox::new());

async fn evaluate(mut spec: Value) -> Result<Evaluation, TriggerError> {
    let mut registry = TriggerRegistry::new();
    registry.add(Folder).unwrap();
    spec["type"] = json!("folder");
    let trigger = registry.build(&spec, &BuildContext::new(&registry, "UTC", Scaling::default())).unwrap();
    let now: Timestamp = NOW.parse().unwrap();
    let job = JobId::new("import").unwrap();
    let cx =
        EvalContext { job: &job, tick: Tick { nominal: now, observed: now }, scaling: Scaling::default() };
    trigger.evaluate(&cx).await
}

#[tokio::test]
async fn it_says_what_it_counted() {
    let inbox = Inbox::new();
    let evaluation = evaluate(inbox.config(json!({"suffix": ".csv", "valuePerTask": 5}))).await.unwrap();
    assert_eq!(evaluation.because, "1 files ÷ 5 per task, rounded up");
    assert_eq!(evaluation.observations[0].value, 1.0);
}

#[tokio::test]
async fn a_folder_that_is_missing_is_an_error_and_not_empty() {
    let error = evaluate(json!({"path": "/nowhere/at/all"})).await.unwrap_err();
    assert_eq!(error.kind(), FaultKind::NotFound);
    assert_eq!(error.to_string(), "could not list folder \"/nowhere/at/all\"");
}
