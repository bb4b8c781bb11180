//! Budgets in the configuration: which jobs share them, and their limits.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};

use ecs_scheduler_core::job::impossible_labels;
use ecs_scheduler_core::{Budget, BudgetLimit, ComputePrice, Job, Labels, LaunchError, Launcher};
use serde_json::{Map, Value};

#[cfg(test)]
mod tests;

/// The maximum number of budgets.
const MAX_BUDGETS: usize = 16;
/// The maximum length of a budget's name, in characters.
const MAX_NAME: usize = 64;
/// The greatest limit.
const MAX_LIMIT: u32 = 1_000_000;
/// The greatest limit of memory, in MiB.
const MAX_MEMORY: u32 = 1_000_000_000;
/// The highest price of an hour, in dollars.
const MAX_PRICE: u32 = 1_000;
/// The keys of a price.
const PRICES: [&str; 2] = ["vcpuHour", "gbHour"];

/// Reads the value of the setting `budgets`: the JSON of that part of the file.
///
/// # Errors
///
/// Fails with all problems at once.
pub(crate) fn parse(text: &str) -> Result<Vec<Budget>, Vec<String>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let all: BTreeMap<String, Value> = serde_json::from_str(text)
        .map_err(|_| vec!["budgets must contain the names of budgets as keys".to_owned()])?;
    let mut reader = BudgetReader::default();
    if all.len() > MAX_BUDGETS {
        let problem = format!("budgets has {} budgets; at most {MAX_BUDGETS} are allowed", all.len());
        reader.problems.push(problem);
    }
    let budgets = all.into_iter().filter_map(|(name, value)| reader.budget(&name, &value)).collect();
    if reader.problems.is_empty() { Ok(budgets) } else { Err(reader.problems) }
}

/// The bounds of a number, and its unit.
struct NumberBounds {
    unit: &'static str,
    least: f64,
    most: u32,
    is_whole: bool,
}

const TASKS: NumberBounds = NumberBounds { unit: "tasks", least: 1.0, most: MAX_LIMIT, is_whole: true };
const VCPU: NumberBounds = NumberBounds { unit: "vCPU", least: 0.1, most: MAX_LIMIT, is_whole: false };
const MEMORY: NumberBounds = NumberBounds { unit: "MiB", least: 1.0, most: MAX_MEMORY, is_whole: true };
const DOLLARS: NumberBounds = NumberBounds { unit: "dollars", least: 0.01, most: MAX_LIMIT, is_whole: false };
const PRICE: NumberBounds = NumberBounds { unit: "dollars", least: 0.0, most: MAX_PRICE, is_whole: false };

/// Returns an amount in the smallest unit, of which `scale` make one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the bounds of numbers are checked"
)]
fn smallest(number: f64, scale: u32) -> u64 {
    (number * f64::from(scale)).round() as u64
}

/// Finds the budgets that cannot count the task of a job, each with the remedy.
///
/// # Errors
///
/// Fails when the launcher cannot read the size of the task now.
pub(crate) async fn find_uncounted<'b>(
    budgets: impl IntoIterator<Item = &'b Budget>,
    job: &Job,
    launcher: &dyn Launcher,
) -> Result<Vec<String>, LaunchError> {
    let budgets = budgets.into_iter().filter(|budget| budget.needs_size() && budget.selects(&job.labels));
    let budgets: Vec<&Budget> = budgets.collect();
    if budgets.is_empty() {
        return Ok(Vec::new());
    }
    let size = launcher.measure(&job.task.definition, &job.task).await?;
    let texts = budgets.iter().filter_map(|budget| budget.uncounted(&size));
    Ok(texts.collect())
}

/// Reads budgets, and collects the problems.
#[derive(Default)]
struct BudgetReader {
    problems: Vec<String>,
}

impl BudgetReader {
    fn budget(&mut self, name: &str, value: &Value) -> Option<Budget> {
        let is_fine = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
        if !(1..=MAX_NAME).contains(&name.len()) || !name.bytes().all(is_fine) {
            self.problems.push(format!(
                "budgets has a budget \"{name}\"; a name has 1 to {MAX_NAME} letters, digits, \"-\", \"_\", \".\""
            ));
        }
        let key = format!("budgets.{name}");
        let names = BudgetLimit::ALL.map(BudgetLimit::as_str);
        let Some(fields) = value.as_object() else {
            self.problems.push(format!("{key} must contain selector and limits: {}", names.join(", ")));
            return None;
        };
        let known: Vec<&str> = ["selector"].into_iter().chain(names).chain(["price"]).collect();
        self.refuse_unknown(&key, fields, &known);
        let mut budget = Budget::new(name, self.selector(&key, fields));
        let amount =
            |number: Option<f64>, limit: BudgetLimit| NonZeroU64::new(smallest(number?, limit.scale()));
        let count = |number: Option<f64>| NonZeroU32::new(u32::try_from(smallest(number?, 1)).ok()?);
        let (vcpu, memory, dollars) =
            (BudgetLimit::MaxVcpu, BudgetLimit::MaxMemory, BudgetLimit::DollarsPerDay);
        let tasks = self.number(&key, fields, names[0], &TASKS);
        let launches = self.number(&key, fields, names[1], &TASKS);
        (budget.max_tasks, budget.launches_per_hour) = (count(tasks), count(launches));
        budget.max_cpu = amount(self.number(&key, fields, vcpu.as_str(), &VCPU), vcpu);
        budget.max_memory = amount(self.number(&key, fields, memory.as_str(), &MEMORY), memory);
        budget.max_daily_price = amount(self.number(&key, fields, dollars.as_str(), &DOLLARS), dollars);
        budget.price = self.price(&key, fields);
        if names.iter().all(|limit| !fields.contains_key(*limit)) {
            self.problems.push(format!("{key} has no limit; give at least one of {}", names.join(", ")));
        }
        Some(budget)
    }

    fn refuse_unknown(&mut self, key: &str, fields: &Map<String, Value>, known: &[&str]) {
        let unknown = fields.keys().filter(|field| !known.contains(&field.as_str()));
        self.problems.extend(
            unknown.map(|field| format!("{key}.{field} is unknown; the keys are {}", known.join(", "))),
        );
    }

    fn selector(&mut self, key: &str, fields: &Map<String, Value>) -> Labels {
        let mut labels = Labels::new();
        match fields.get("selector") {
            None => {}
            Some(Value::Object(given)) => {
                for (name, value) in given {
                    if let Value::String(value) = value {
                        labels.insert(name.clone(), value.clone());
                    } else {
                        self.problems
                            .push(format!("{key}.selector.{name} must be a text: the value of a label"));
                    }
                }
            }
            Some(_) => self.problems.push(format!("{key}.selector must contain labels with their values")),
        }
        if let Some((label, why)) = impossible_labels(&labels) {
            let label = if label.is_empty() { String::new() } else { format!(".{label}") };
            self.problems
                .push(format!("{key}.selector{label} matches no job, because none can have it: {why}"));
        }
        labels
    }

    fn price(&mut self, key: &str, fields: &Map<String, Value>) -> Option<ComputePrice> {
        let key = format!("{key}.price");
        let Some(prices) = fields.get("price")?.as_object() else {
            self.problems.push(format!("{key} must contain {}, in dollars", PRICES.join(" and ")));
            return None;
        };
        self.refuse_unknown(&key, prices, &PRICES);
        for name in PRICES.iter().filter(|name| !prices.contains_key(**name)) {
            self.problems.push(format!("{key}.{name} is missing; give the dollars for an hour"));
        }
        let [vcpu, gib] = PRICES.map(|name| self.number(&key, prices, name, &PRICE));
        let micros = |dollars| smallest(dollars, BudgetLimit::DollarsPerDay.scale());
        Some(ComputePrice { vcpu_hour: micros(vcpu?), gib_hour: micros(gib?) })
    }

    fn number(
        &mut self,
        key: &str,
        fields: &Map<String, Value>,
        name: &str,
        bounds: &NumberBounds,
    ) -> Option<f64> {
        let given = fields.get(name)?;
        let number = given.as_f64().filter(|number| {
            (bounds.least..=f64::from(bounds.most)).contains(number)
                && (!bounds.is_whole || number.fract() == 0.0)
        });
        if number.is_none() {
            let (kind, NumberBounds { least, most, .. }) =
                (if bounds.is_whole { "whole number" } else { "number" }, bounds);
            let remedy = if given.as_f64() == Some(0.0) { "; to stop launches, use the brake" } else { "" };
            self.problems.push(format!(
                "{key}.{name} is {given}; it must be a {kind} of {} from {least} to {most}{remedy}",
                bounds.unit
            ));
        }
        number
    }
}
