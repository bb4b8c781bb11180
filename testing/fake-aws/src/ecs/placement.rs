//! Placement of tasks, and capacity.

use super::model::{ClusterKey, EcsState, Status, StrategyItem};
use super::settings::EcsSettings;
use crate::wire::Failure;

/// The target that one task runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) launch_type: String,
    pub(crate) provider: Option<String>,
}

/// The result of placing one more task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PlacementResult {
    Free,
    Full(String),
}

impl Target {
    pub(crate) fn launch_type(name: &str) -> Self {
        Self { launch_type: name.to_owned(), provider: None }
    }

    fn provider(name: &str) -> Self {
        let launch_type = if name.starts_with("FARGATE") { "FARGATE" } else { "EC2" };
        Self { launch_type: launch_type.to_owned(), provider: Some(name.to_owned()) }
    }

    /// Returns the container instance: each cluster has one for all its EC2 tasks, Fargate has none.
    pub(crate) fn instance(&self, cluster: &ClusterKey) -> Option<String> {
        let path = format!("container-instance/{}/00000000000000000000000000000001", cluster.name);
        (self.launch_type != "FARGATE").then(|| cluster.scope.arn("ecs", &path))
    }
}

/// Distributes tasks over a strategy: first the base, then so that live tasks come nearest to the weights.
pub(crate) fn spread(
    strategy: &[StrategyItem],
    count: usize,
    live: impl Fn(&str) -> usize,
) -> Result<Vec<Target>, Failure> {
    let on_fargate = strategy.iter().filter(|item| item.capacity_provider.starts_with("FARGATE")).count();
    if on_fargate != 0 && on_fargate != strategy.len() {
        let message =
            "A capacity provider strategy cannot mix Fargate with Auto Scaling group capacity providers.";
        return Err(Failure::parameter(message));
    }
    if strategy.iter().all(|item| item.weight == 0) && strategy.len() > 1 {
        return Err(Failure::parameter("At least one capacity provider must have a weight greater than 0."));
    }
    if strategy.iter().filter(|item| item.base > 0).count() > 1 {
        return Err(Failure::parameter("Only one capacity provider in a strategy can have a base defined."));
    }
    if strategy.iter().any(|item| item.weight > 1_000 || item.base > 100_000) {
        let message = "The weight of a capacity provider is at most 1000, its base at most 100000.";
        return Err(Failure::parameter(message));
    }
    let mut held: Vec<usize> = strategy.iter().map(|item| live(&item.capacity_provider)).collect();
    let mut targets = Vec::new();
    for _ in 0..count {
        let below_base = (0..held.len()).find(|&index| held[index] < strategy[index].base as usize);
        let index = below_base.unwrap_or_else(|| furthest_below_weight(strategy, &held));
        held[index] += 1;
        targets.push(Target::provider(&strategy[index].capacity_provider));
    }
    Ok(targets)
}

/// Returns the item that is furthest below its weight.
fn furthest_below_weight(strategy: &[StrategyItem], held: &[usize]) -> usize {
    let load = |index: usize| {
        let weight = f64::from(strategy[index].weight);
        let held = u32::try_from(held[index]).unwrap_or(u32::MAX);
        if weight > 0.0 { f64::from(held) / weight } else { f64::INFINITY }
    };
    (0..held.len()).min_by(|a, b| load(*a).total_cmp(&load(*b))).unwrap_or(0)
}

impl EcsState {
    /// Tells whether one more task can be placed, and uses up a scripted refusal.
    pub(crate) fn room(
        &self,
        cluster: &ClusterKey,
        target: &Target,
        settings: &mut EcsSettings,
    ) -> PlacementResult {
        let limits = settings.capacity.get_mut(&cluster.name).into_iter().flatten();
        for limit in limits {
            let of = limit.of.as_deref();
            if of.is_some_and(|of| of != target.launch_type && target.provider.as_deref() != Some(of)) {
                continue;
            }
            if limit.refuse > 0 {
                limit.refuse -= 1;
                return PlacementResult::Full(limit.reason.clone());
            }
            let counted = self.tasks.values().filter(|task| {
                task.cluster == *cluster && task.last < Status::Stopped && of.is_none_or(|of| task.is_on(of))
            });
            if limit.at_most.is_some_and(|most| counted.count() >= most) {
                return PlacementResult::Full(limit.reason.clone());
            }
        }
        PlacementResult::Free
    }
}
