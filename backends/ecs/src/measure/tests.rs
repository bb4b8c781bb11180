use serde_json::json;

use super::*;
use crate::sizes::{ResourceReservation, Size};

fn definition() -> Definition {
    Definition {
        compatibilities: vec!["EC2".to_owned(), "FARGATE".to_owned()],
        size: Size { cpu: Some(256), memory: Some(512) },
        reservations: vec![ResourceReservation {
            name: "main".to_owned(),
            cpu: Some(128),
            memory: Some(300),
            memory_reservation: Some(200),
        }],
        ..Definition::default()
    }
}

/// Measures a task with this `launch` object in a region.
fn measured(launch: &serde_json::Value, definition: &Definition, region: &str) -> TaskSize {
    let mut task = TaskSpec::new("job");
    task.options = launch.as_object().unwrap().clone();
    let options = LaunchOptions::from_task(&task, 0).unwrap();
    measure(&task, &options, definition, Some(region))
}

#[test]
fn the_size_is_that_of_the_job_or_of_the_definition_or_of_all_containers() {
    let known = definition();
    let of = |launch, known: &Definition| {
        let size = measured(&launch, known, "us-east-1");
        (size.cpu, size.memory)
    };
    assert_eq!(of(json!({}), &known), (Some(256), Some(512)));
    let larger = json!({"overrides": {"cpu": "1 vCPU", "memory": "2 GB"}});
    assert_eq!(of(larger, &known), (Some(1_024), Some(2_048)));
    let mut without = Definition { size: Size::default(), ..known };
    assert_eq!(of(json!({}), &without), (Some(128), Some(200)), "what ECS reserves on an instance");
    without.reservations.push(ResourceReservation {
        name: "more".to_owned(),
        memory: Some(50),
        ..ResourceReservation::default()
    });
    assert_eq!(of(json!({}), &without), (None, Some(250)), "one container has no CPU units");
}

#[test]
fn tasks_on_fargate_have_the_price_of_their_region_and_processor() {
    let known = definition();
    let price = |launch, known: &Definition, region| measured(&launch, known, region).hourly_price;
    let fargate = || json!({"launchType": "FARGATE"});
    let quarter = Some((40_480_u64 / 4 + 4_445 / 2) + 1);
    assert_eq!(price(fargate(), &known, "us-east-1"), quarter);
    assert_eq!(price(json!({}), &known, "us-east-1"), quarter, "the definition can run there");
    let spot = json!({"capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT"}]});
    assert_eq!(price(spot, &known, "us-east-1"), quarter, "a Spot price is no higher");
    assert!(price(fargate(), &known, "sa-east-1") > quarter);
    let with = |system: &str, processor: &str| Definition {
        platform: (Some(system.to_owned()), Some(processor.to_owned())),
        ..definition()
    };
    assert!(price(fargate(), &with("LINUX", "ARM64"), "us-east-1") < quarter);
    assert_eq!(price(fargate(), &with("WINDOWS_SERVER_2022_CORE", "X86_64"), "us-east-1"), None);
    assert_eq!(price(json!({"launchType": "EC2"}), &known, "us-east-1"), None);
    assert_eq!(price(fargate(), &known, "mars-north-1"), None);
    let only_ec2 = Definition { compatibilities: vec!["EC2".to_owned()], ..definition() };
    assert_eq!(price(json!({}), &only_ec2, "us-east-1"), None);
}

#[test]
fn prices_of_regions_are_plausible_and_arm_is_cheaper() {
    assert!(PRICES.regions.contains_key("us-east-1"));
    for (region, prices) in &PRICES.regions {
        for (vcpu, gib) in [prices.x86, prices.arm] {
            assert!((30_000..100_000).contains(&vcpu) && (3_000..10_000).contains(&gib), "{region}");
        }
        assert!(prices.arm.0 < prices.x86.0 && prices.arm.1 < prices.x86.1, "{region}");
    }
}
