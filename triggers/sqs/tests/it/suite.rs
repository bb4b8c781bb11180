use std::num::NonZeroU32;
use std::sync::OnceLock;

use ecs_scheduler_backend_aws::Timeouts;
use ecs_scheduler_core::{Demand, TriggerRegistry};
use ecs_scheduler_fake_aws::{Fake, FakeOptions};
use ecs_scheduler_testing::trigger_suite::{Example, InvalidConfig, TriggerFixture};
use ecs_scheduler_trigger_sqs::Sqs;
use serde_json::json;

use crate::help::aws;

/// Starts a fake that lives as long as the process, with an empty queue and one of 15 messages.
fn fake() -> String {
    static FAKE: OnceLock<String> = OnceLock::new();
    let start = || {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let fake = Fake::start(FakeOptions::default()).await.unwrap();
                let _ = fake.sqs().create_queue("empty");
                fake.sqs().fill(&fake.sqs().create_queue("full"), 15);
                sender.send(fake.url()).unwrap();
                std::future::pending::<()>().await;
            });
        });
        receiver.recv().unwrap()
    };
    FAKE.get_or_init(start).clone()
}

struct OfSqs;

impl TriggerFixture for OfSqs {
    fn kind(&self) -> &'static str {
        "sqs"
    }

    fn install(&self, registry: &mut TriggerRegistry) {
        registry.add(Sqs::new(aws(fake(), Timeouts::default()))).unwrap();
    }

    fn examples(&self) -> Vec<Example> {
        let now = "2026-11-22T12:00:00Z";
        let tasks = |n| Demand::Tasks(NonZeroU32::new(n).unwrap());
        vec![
            Example::new(json!({"queueName": "full", "messagesPerTask": 4}), now, tasks(4)),
            Example::new(json!({"queueName": "full", "messagesPerTask": "5"}), now, tasks(3)),
            Example::new(json!({"queueName": "full"}), now, Demand::Floor),
            Example::new(json!({"queueName": "full", "activation": 15}), now, Demand::Idle),
            Example::new(json!({"queueName": "empty", "messagesPerTask": 1}), now, Demand::Idle),
        ]
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        vec![
            InvalidConfig { config: json!({}), pointer: "" },
            InvalidConfig { config: json!({"queueName": 5}), pointer: "/queueName" },
            InvalidConfig { config: json!({"queueName": "a b"}), pointer: "/queueName" },
            InvalidConfig {
                config: json!({"queueName": "q", "queueUrl": "http://h/q"}),
                pointer: "/queueUrl",
            },
            InvalidConfig {
                config: json!({"queueName": "q", "messagesPerTask": 0}),
                pointer: "/messagesPerTask",
            },
            InvalidConfig {
                config: json!({"queueName": "q", "countDelayed": "maybe"}),
                pointer: "/countDelayed",
            },
            InvalidConfig { config: json!({"queueName": "q", "activation": -1}), pointer: "/activation" },
            InvalidConfig { config: json!({"queueName": "q", "region": "here"}), pointer: "/region" },
            InvalidConfig { config: json!({"queueName": "q", "accountId": "1"}), pointer: "/accountId" },
        ]
    }
}

ecs_scheduler_testing::trigger_suite!(OfSqs);
