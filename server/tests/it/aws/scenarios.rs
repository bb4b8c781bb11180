//! The same scenarios against every stand-in, so that the fake is not only compared with itself.

use futures::future::{FutureExt as _, LocalBoxFuture, join_all};

use super::cloud::{Cloud, Kind};
use super::stage::Stage;

mod launching;
mod measuring;

/// A scenario: its name, and what happens on its stage.
struct Scenario {
    name: &'static str,
    play: for<'a> fn(&'a Stage<'a>) -> LocalBoxFuture<'a, ()>,
}

/// All of them. A name also names the cluster and the scheduler.
const SCENARIOS: &[Scenario] = &[
    Scenario { name: "scheduled", play: |stage| launching::scheduled(stage).boxed_local() },
    Scenario { name: "overridden", play: |stage| launching::overridden(stage).boxed_local() },
    Scenario { name: "fargate", play: |stage| launching::fargate(stage).boxed_local() },
    Scenario { name: "crowded", play: |stage| launching::crowded(stage).boxed_local() },
    Scenario { name: "ended", play: |stage| launching::ended(stage).boxed_local() },
    Scenario { name: "told", play: |stage| launching::variables_of_tasks(stage).boxed_local() },
    Scenario { name: "logged", play: |stage| launching::output_of_tasks(stage).boxed_local() },
    Scenario { name: "queued", play: |stage| measuring::queued(stage).boxed_local() },
    Scenario { name: "no-queue", play: |stage| measuring::no_queue(stage).boxed_local() },
    Scenario { name: "measured", play: |stage| measuring::measured(stage).boxed_local() },
    Scenario { name: "no-data", play: |stage| measuring::no_data(stage).boxed_local() },
];

/// Scenarios that a stand-in does not support, and why.
const EXCEPTIONS: &[(Kind, &str, &str)] = &[
    (Kind::Moto, "ended", "its tasks are running for ever, with an exit code of 0"),
    (Kind::Moto, "measured", "it does not speak CBOR, which is all that the SDK speaks to CloudWatch"),
    (Kind::Moto, "no-data", "it does not speak CBOR, which is all that the SDK speaks to CloudWatch"),
    (Kind::Ministack, "fargate", "without docker its tasks have no network interface"),
    (Kind::Ministack, "ended", "without docker its tasks run for ever"),
];

/// Plays all scenarios that this stand-in can, at the same time.
async fn play(kind: Kind) {
    let cloud = Cloud::start(kind).await;
    let excepted = |name: &str| EXCEPTIONS.iter().any(|(of, scenario, _)| *of == kind && *scenario == name);
    let played = SCENARIOS.iter().filter(|scenario| !excepted(scenario.name)).map(async |scenario| {
        let stage = Stage::set(&cloud, scenario.name).await;
        (scenario.play)(&stage).await;
    });
    let played = join_all(played).await.len();
    let left_out: Vec<_> = EXCEPTIONS.iter().filter(|(of, ..)| *of == kind).collect();
    for (_, scenario, why) in &left_out {
        println!("{kind} cannot play \"{scenario}\": {why}");
    }
    assert_eq!(played + left_out.len(), SCENARIOS.len(), "each exception is about a scenario that there is");
}

#[tokio::test]
async fn every_scenario_passes_on_the_fake() {
    play(Kind::Fake).await;
}

#[tokio::test]
async fn every_scenario_that_ministack_supports_passes_on_it() {
    play(Kind::Ministack).await;
}

#[tokio::test]
async fn every_scenario_that_moto_supports_passes_on_it() {
    play(Kind::Moto).await;
}
