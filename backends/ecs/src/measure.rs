//! The size and the price of a task, with which budgets count.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ecs_scheduler_core::{ComputePrice, TaskSize, TaskSpec};
use serde::Deserialize;

use crate::definitions::Definition;
use crate::options::LaunchOptions;
use crate::preflight::reservations_of;

#[cfg(test)]
mod tests;

/// The prices of Fargate in each region.
static PRICES: LazyLock<Prices> = LazyLock::new(|| {
    serde_json::from_str(include_str!("fargate-prices.json"))
        .expect("the file of prices is part of the program")
});

#[derive(Debug, Deserialize)]
struct Prices {
    regions: BTreeMap<String, RegionPrices>,
}

/// The price of a vCPU and that of a GB for an hour, in millionths of a dollar.
#[derive(Debug, Deserialize)]
struct RegionPrices {
    x86: (u64, u64),
    arm: (u64, u64),
}

/// Returns the size of a task, and its price if it runs on Fargate.
///
/// The size is that of the job's `launch.overrides`, or else of the definition, or else of all its containers.
pub(crate) fn measure(
    task: &TaskSpec,
    options: &LaunchOptions,
    definition: &Definition,
    region: Option<&str>,
) -> TaskSize {
    let own = options.size();
    let size = TaskSize::new(own.cpu.or(definition.size.cpu), own.memory.or(definition.size.memory));
    let whole = |amount: Option<i32>| amount.and_then(|amount| u32::try_from(amount).ok());
    let containers = reservations_of(task, definition);
    let containers =
        containers.iter().map(|one| (whole(one.cpu), whole(one.memory_reservation.or(one.memory))));
    size.or_containers(containers).with_price(price(options, definition, region))
}

/// Returns the price of Fargate on demand, which no Spot price exceeds: for tasks that may run there as far as the job says, or that can
/// run there if the job leaves it to the cluster.
fn price(options: &LaunchOptions, definition: &Definition, region: Option<&str>) -> Option<ComputePrice> {
    let leaves_it = options.launch_type.is_none() && options.capacity_provider_strategy.is_empty();
    let can_run_there = leaves_it && definition.compatibilities.iter().any(|one| one == "FARGATE");
    let (system, processor) = (definition.platform.0.as_deref(), definition.platform.1.as_deref());
    if !(options.may_run_on_fargate() || can_run_there) || system.is_some_and(|system| system != "LINUX") {
        return None;
    }
    let prices = PRICES.regions.get(region?)?;
    let (vcpu_hour, gib_hour) = if processor == Some("ARM64") { prices.arm } else { prices.x86 };
    Some(ComputePrice { vcpu_hour, gib_hour })
}
