use std::num::NonZeroU32;
use std::sync::OnceLock;

use ecs_scheduler_core::{Demand, TriggerRegistry};
use ecs_scheduler_testing::trigger_suite::{Example, InvalidConfig, TriggerFixture};
use ecs_scheduler_trigger_cloudwatch::CloudWatch;
use serde_json::json;

use crate::help::{NOW, Rig, USUAL, aws, metric};

/// Starts a fake that lives as long as the process, with a metric whose newest value is 25.
fn fake() -> String {
    static FAKE: OnceLock<String> = OnceLock::new();
    let start = || {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let rig = Rig::new().await;
                rig.put("Backlog", 0, 25.0);
                sender.send(rig.fake.url()).unwrap();
                std::future::pending::<()>().await;
            });
        });
        receiver.recv().unwrap()
    };
    FAKE.get_or_init(start).clone()
}

struct OfCloudWatch;

impl TriggerFixture for OfCloudWatch {
    fn kind(&self) -> &'static str {
        "cloudwatch"
    }

    fn install(&self, registry: &mut TriggerRegistry) {
        registry.add(CloudWatch::new(aws(fake(), USUAL))).unwrap();
    }

    fn examples(&self) -> Vec<Example> {
        let tasks = |n| Demand::Tasks(NonZeroU32::new(n).unwrap());
        let example = |besides, demand| Example::new(metric("Backlog", &besides), NOW, demand);
        vec![
            example(json!({}), Demand::Floor),
            example(json!({"valuePerTask": 10}), tasks(3)),
            example(json!({"steps": [{"over": 20, "tasks": 4}, {"over": 30, "tasks": 9}]}), tasks(4)),
            example(json!({"comparison": "<"}), Demand::Idle),
            example(json!({"evaluationPeriods": 3, "treatMissingData": "notBreaching"}), Demand::Idle),
            example(json!({"evaluationPeriods": 3, "treatMissingData": "breaching"}), Demand::Floor),
        ]
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        let invalid = |besides, pointer| InvalidConfig { config: metric("Backlog", &besides), pointer };
        vec![
            InvalidConfig { config: json!({"threshold": 1}), pointer: "/namespace" },
            InvalidConfig { config: json!({"namespace": "App", "metricName": "x"}), pointer: "" },
            invalid(json!({"threshold": "high"}), "/threshold"),
            invalid(json!({"comparison": "=="}), "/comparison"),
            invalid(json!({"treatMissingData": "ignore"}), "/treatMissingData"),
            invalid(json!({"period": true}), "/period"),
            invalid(json!({"period": "45s"}), "/period"),
            invalid(json!({"stat": "Avg"}), "/stat"),
            invalid(json!({"evaluationPeriods": 0}), "/evaluationPeriods"),
            invalid(json!({"steps": [{"over": 1, "tasks": 0}]}), "/steps/0/tasks"),
            invalid(json!({"expression": "a"}), "/namespace"),
        ]
    }
}

ecs_scheduler_testing::trigger_suite!(OfCloudWatch);
