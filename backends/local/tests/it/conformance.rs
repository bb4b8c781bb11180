//! The local launcher against the suite that every launcher runs.

use std::sync::Arc;

use ecs_scheduler_core::{Launcher, async_trait};
use ecs_scheduler_testing::launcher_suite::{LauncherFixture, Sample};
use serde_json::json;

use crate::fixture::Fixture;

/// A fixture with one definition for each sample.
struct Local(Fixture);

impl Local {
    fn new() -> Self {
        let fixture = Fixture::new();
        fixture.define_shell("Succeeds", "exit 0");
        fixture.define_shell("Fails", "exit 3");
        fixture.define_shell("Lasts", "sleep 100");
        fixture.define(&json!({
            "family": "Unstartable",
            "containerDefinitions": [{"name": "main", "command": ["./no-such-program"]}],
        }));
        Self(fixture)
    }
}

#[async_trait]
impl LauncherFixture for Local {
    async fn open(&self) -> Arc<dyn Launcher> {
        Arc::new(self.0.open().await)
    }

    fn definition(&self, sample: Sample) -> String {
        format!("{sample:?}")
    }
}

ecs_scheduler_testing::launcher_suite!(
    #[tokio::test]
    Local::new()
);
