//! The `cron` trigger: the conformance suite, and its own behaviour.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use ecs_scheduler_core::{BuildContext, Demand, Scaling, Timestamp, TriggerRegistry};
use ecs_scheduler_testing::trigger_suite::{Example, InvalidConfig, TriggerFixture};
use ecs_scheduler_trigger_cron::Cron;
use serde_json::{Value, json};

struct OfCron;

impl TriggerFixture for OfCron {
    fn kind(&self) -> &'static str {
        "cron"
    }

    fn install(&self, registry: &mut TriggerRegistry) {
        registry.add(Cron).unwrap();
    }

    fn examples(&self) -> Vec<Example> {
        let berlin = json!({"expression": "30 2 * * MON-FRI", "timezone": "Europe/Berlin"});
        vec![
            Example::new(berlin.clone(), "2026-11-23T01:30:00Z", Demand::Floor),
            Example::new(berlin.clone(), "2026-11-23T01:30:00.5Z", Demand::Idle),
            Example::new(berlin.clone(), "2026-11-23T01:29:59Z", Demand::Idle),
            Example::new(berlin, "2026-11-22T01:30:00Z", Demand::Idle),
            Example::new(json!({"expression": "cron(0 12 ? * 2 *)"}), "2026-11-23T12:00:00Z", Demand::Floor),
            // Five fields count weekdays as a crontab does: 2026-11-23 is a Monday.
            Example::new(json!({"expression": "0 12 * * 1"}), "2026-11-23T12:00:00Z", Demand::Floor),
            Example::new(json!({"expression": "0 12 * * 2"}), "2026-11-23T12:00:00Z", Demand::Idle),
            Example::new(json!({"expression": "cron(0 12 * * 0,7)"}), "2026-11-22T12:00:00Z", Demand::Floor),
            Example::new(json!({"expression": "0 30 2"}), "2026-11-23T02:30:00Z", Demand::Floor),
            Example::new(json!({"expression": "rate(1 minute)"}), "2026-11-23T02:30:00Z", Demand::Floor),
            Example::new(json!({"expression": "@daily"}), "2026-11-23T02:30:00Z", Demand::Idle),
        ]
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        vec![
            InvalidConfig { config: json!({}), pointer: "" },
            InvalidConfig { config: json!({"expression": 5}), pointer: "/expression" },
            InvalidConfig { config: json!({"expression": ""}), pointer: "/expression" },
            InvalidConfig { config: json!({"expression": "61 * * * *"}), pointer: "/expression" },
            InvalidConfig { config: json!({"expression": "rate(0 minutes)"}), pointer: "/expression" },
            InvalidConfig {
                config: json!({"expression": "@daily", "timezone": "Nowhere"}),
                pointer: "/timezone",
            },
        ]
    }
}

ecs_scheduler_testing::trigger_suite!(OfCron);

fn first_tick(config: &Value, zone: &str) -> Option<Timestamp> {
    let mut registry = TriggerRegistry::new();
    OfCron.install(&mut registry);
    let trigger = registry.build(config, &BuildContext::new(&registry, zone, Scaling::default())).unwrap();
    trigger.schedule().unwrap().next_after("2026-11-22T12:00:00Z".parse().unwrap())
}

#[test]
fn cron_provides_ticks_in_the_jobs_zone() {
    let config = json!({"type": "cron", "expression": "0 9 * * *"});
    assert_eq!(first_tick(&config, "Asia/Tokyo"), Some("2026-11-23T00:00:00Z".parse().unwrap()));
}

#[test]
fn own_zone_overrides_the_jobs_zone() {
    let config = json!({"type": "cron", "expression": "0 9 * * *", "timezone": "Europe/Berlin"});
    assert_eq!(first_tick(&config, "Asia/Tokyo"), Some("2026-11-23T08:00:00Z".parse().unwrap()));
}
