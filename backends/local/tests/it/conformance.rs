//! The suite that every launcher passes.

use std::sync::Arc;

use ecs_scheduler_core::testing::launcher_suite::{Sample, Subject};
use ecs_scheduler_core::{Launcher, async_trait};
use serde_json::json;

use crate::fixture::Bench;

/// A folder of definitions, one for each sample.
struct Local(Bench);

impl Local {
    fn new() -> Self {
        let bench = Bench::new();
        bench.define_shell("Succeeds", "exit 0");
        bench.define_shell("Fails", "exit 3");
        bench.define_shell("Lasts", "sleep 100");
        bench.define(&json!({
            "family": "Unstartable",
            "containerDefinitions": [{"name": "main", "command": ["./no-such-program"]}],
        }));
        Self(bench)
    }
}

#[async_trait]
impl Subject for Local {
    async fn open(&self) -> Arc<dyn Launcher> {
        Arc::new(self.0.open().await)
    }

    fn definition(&self, sample: Sample) -> String {
        format!("{sample:?}")
    }
}

ecs_scheduler_core::launcher_suite!(
    #[tokio::test]
    Local::new()
);
