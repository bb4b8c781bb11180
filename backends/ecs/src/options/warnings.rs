//! Options that are probably a mistake. AWS does not document that it refuses them.

use ecs_scheduler_core::TaskSpec;

use super::{ConstraintKind, LaunchOptions};

/// Returns a warning for everything that the options and overrides of a job have twice.
pub(super) fn find_warnings(task: &TaskSpec, options: &LaunchOptions) -> Vec<String> {
    let mut warnings = Vec::new();
    for (pointer, capacity) in options.capacities() {
        let names = capacity.capacity_provider_strategy.iter().map(|item| item.capacity_provider.as_str());
        warnings.extend(doubled(names).map(|name| {
            format!(
                "launch{}.capacityProviderStrategy names \"{name}\" twice: make one entry of them",
                pointer.replace('/', ".")
            )
        }));
    }
    let apart =
        options.placement_constraints.iter().filter(|one| one.kind == ConstraintKind::DistinctInstance);
    if apart.count() > 1 {
        warnings.push("launch.placementConstraints has distinctInstance twice: once is enough".to_owned());
    }
    let names = task.overrides.iter().map(|change| change.container_name.as_str());
    warnings.extend(
        doubled(names).map(|name| {
            format!("overrides has two entries for container \"{name}\": make one entry of them")
        }),
    );
    warnings
}

/// Returns the first name that is there twice.
fn doubled<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}
