//! Budgets in the configuration: which jobs share them, and their limits.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use ecs_scheduler_core::job::impossible_labels;
use ecs_scheduler_core::{Budget, BudgetLimit, Labels, read_config};
use serde::Deserialize;
use serde_json::Value;

#[cfg(test)]
mod tests;

/// The maximum number of budgets.
const MAX_BUDGETS: usize = 16;
/// The maximum length of a budget's name, in characters.
const MAX_NAME: usize = 64;
/// The greatest limit.
const MAX_LIMIT: u32 = 1_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawBudget {
    #[serde(default)]
    selector: Labels,
    #[serde(default)]
    max_tasks: Option<i64>,
    #[serde(default)]
    launches_per_hour: Option<i64>,
}

/// Reads the value of the setting `budgets`: the JSON of that part of the file.
///
/// # Errors
///
/// Fails with the first problem.
pub(crate) fn parse(text: &str) -> Result<Vec<Budget>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let all: BTreeMap<String, Value> =
        serde_json::from_str(text).map_err(|_| "budgets must contain the names of budgets as keys")?;
    if all.len() > MAX_BUDGETS {
        return Err(format!("budgets has {} budgets; at most {MAX_BUDGETS} are allowed", all.len()));
    }
    all.into_iter().map(|(name, value)| budget(&name, value)).collect()
}

fn budget(name: &str, value: Value) -> Result<Budget, String> {
    let is_fine = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
    if !(1..=MAX_NAME).contains(&name.len()) || !name.bytes().all(is_fine) {
        return Err(format!(
            "budgets has a budget \"{name}\"; a name has 1 to {MAX_NAME} letters, digits, \"-\", \"_\", \".\""
        ));
    }
    let key = format!("budgets.{name}");
    let Value::Object(fields) = value else {
        return Err(format!("{key} must contain selector and limits: {}", limits()));
    };
    let raw: RawBudget = read_config(fields)
        .map_err(|error| format!("{key}{}: {}", error.pointer.replace('/', "."), error.message))?;
    if let Some((label, why)) = impossible_labels(&raw.selector) {
        let label = if label.is_empty() { String::new() } else { format!(".{label}") };
        return Err(format!("{key}.selector{label} matches no job, because none can have it: {why}"));
    }
    let mut budget = Budget::new(name, raw.selector);
    budget.max_tasks = limit(&key, BudgetLimit::MaxTasks, raw.max_tasks)?;
    budget.launches_per_hour = limit(&key, BudgetLimit::LaunchesPerHour, raw.launches_per_hour)?;
    if BudgetLimit::ALL.iter().all(|limit| budget.limit(*limit).is_none()) {
        return Err(format!("{key} has no limit; give at least one of {}", limits()));
    }
    Ok(budget)
}

fn limit(key: &str, limit: BudgetLimit, given: Option<i64>) -> Result<Option<NonZeroU32>, String> {
    let Some(given) = given else { return Ok(None) };
    let limited =
        u32::try_from(given).ok().and_then(NonZeroU32::new).filter(|count| count.get() <= MAX_LIMIT);
    let limit = limit.as_str();
    limited.map(Some).ok_or_else(|| {
        format!("{key}.{limit} is {given}; it must be a whole number from 1 to {MAX_LIMIT}. To stop launches, use the brake")
    })
}

fn limits() -> String {
    BudgetLimit::ALL.map(BudgetLimit::as_str).join(", ")
}
