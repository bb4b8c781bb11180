//! Placement constraints and strategies that ECS would refuse.

use ecs_scheduler_core::ConfigError;

use super::super::{ConstraintKind, LaunchOptions, StrategyKind};

/// Maximum length of a constraint's expression, in characters.
const MAX_EXPRESSION: usize = 2_000;

/// Checks the expressions of constraints and the fields of strategies. Pointers begin at the launch object.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PlacementConstraint.html>,
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PlacementStrategy.html>
pub(super) fn check(options: &LaunchOptions, found: &mut Vec<ConfigError>) {
    for (index, constraint) in options.placement_constraints.iter().enumerate() {
        let expression = constraint.expression.as_deref().unwrap_or_default();
        let is_empty = constraint.kind == ConstraintKind::MemberOf && expression.trim().is_empty();
        if is_empty || expression.chars().count() > MAX_EXPRESSION {
            let message = format!(
                "Must be an expression of up to {MAX_EXPRESSION} characters, such as attribute:ecs.instance-type =~ t3.*"
            );
            found.push(ConfigError::at(format!("/placementConstraints/{index}/expression"), message));
        }
    }
    for (index, strategy) in options.placement_strategy.iter().enumerate() {
        let field = strategy.field.as_deref().unwrap_or_default().to_ascii_lowercase();
        let (is_known, message) = match strategy.kind {
            StrategyKind::Random => continue,
            StrategyKind::Binpack => {
                (matches!(field.as_str(), "cpu" | "memory"), "Must be cpu or memory for binpack.")
            }
            StrategyKind::Spread => (
                matches!(field.as_str(), "instanceid" | "host")
                    || field.strip_prefix("attribute:").is_some_and(|name| !name.trim().is_empty()),
                "Must be instanceId, host, or an attribute such as attribute:ecs.availability-zone for spread.",
            ),
        };
        if !is_known {
            found.push(ConfigError::at(format!("/placementStrategy/{index}/field"), message));
        }
    }
}
