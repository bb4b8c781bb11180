use ecs_scheduler_core::{Demand, TriggerRegistry};
use ecs_scheduler_testing::trigger_suite::{Example, InvalidConfig, TriggerFixture};
use serde_json::json;

use crate::probe::{evaluate, registry};

struct OfWindow;

impl TriggerFixture for OfWindow {
    fn kind(&self) -> &'static str {
        "window"
    }

    fn install(&self, installed: &mut TriggerRegistry) {
        *installed = registry();
    }

    fn examples(&self) -> Vec<Example> {
        let night = json!({"start": "0 22 * * MON-FRI", "duration": "8h", "timezone": "Europe/Berlin"});
        vec![
            // A Monday in Berlin, where the time is an hour ahead of UTC.
            Example::new(night.clone(), "2026-11-23T20:59:59Z", Demand::Idle),
            Example::new(night.clone(), "2026-11-23T21:00:00Z", Demand::Floor),
            Example::new(night.clone(), "2026-11-24T04:59:59Z", Demand::Floor),
            Example::new(night.clone(), "2026-11-24T05:00:00Z", Demand::Idle),
            // The window that opened on Friday lasts into Saturday, and none opens there.
            Example::new(night.clone(), "2026-11-28T00:00:00Z", Demand::Floor),
            Example::new(night, "2026-11-28T22:00:00Z", Demand::Idle),
            // Five fields count weekdays as a crontab does, six as EventBridge does: 2026-11-27 is a Friday.
            Example::new(
                json!({"start": "0 22 * * 5", "duration": "8h"}),
                "2026-11-27T23:00:00Z",
                Demand::Floor,
            ),
            Example::new(
                json!({"start": "0 22 * * 6", "duration": "1h"}),
                "2026-11-27T22:30:00Z",
                Demand::Idle,
            ),
            Example::new(
                json!({"start": "0 22 ? * 6 *", "duration": "8h"}),
                "2026-11-27T23:00:00Z",
                Demand::Floor,
            ),
            Example::new(
                json!({"start": "@hourly", "duration": "2h"}),
                "2026-11-23T12:34:56Z",
                Demand::Floor,
            ),
        ]
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        vec![
            InvalidConfig { config: json!({"start": "@daily"}), pointer: "" },
            InvalidConfig { config: json!({"start": "99 * * * *", "duration": "1h"}), pointer: "/start" },
            InvalidConfig { config: json!({"start": "@daily", "duration": "soon"}), pointer: "/duration" },
            InvalidConfig { config: json!({"start": "@daily", "duration": "0s"}), pointer: "/duration" },
            InvalidConfig { config: json!({"start": "@daily", "duration": "367d"}), pointer: "/duration" },
            InvalidConfig {
                config: json!({"start": "@daily", "duration": "1h", "timezone": "Mars"}),
                pointer: "/timezone",
            },
        ]
    }
}

ecs_scheduler_testing::trigger_suite!(OfWindow);

#[tokio::test]
async fn open_window_gives_its_start_in_its_own_zone() {
    let spec =
        json!({"type": "window", "start": "0 22 * * *", "duration": "8h", "timezone": "Europe/Berlin"});
    let evaluation = evaluate(&spec, "2026-11-23T23:00:00Z").await.unwrap();
    assert_eq!(evaluation.reason, "the window of 8h is open since 2026-11-23 22:00:00 Europe/Berlin");
}
