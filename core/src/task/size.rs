//! The sizes of tasks, with which budgets count.

use serde::{Deserialize, Serialize};

/// CPU units of a vCPU, and MiB of a GiB.
const UNITS: u32 = 1_024;

/// The size and the price of a task, as far as its launcher knows them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct TaskSize {
    /// CPU units; 1,024 are a vCPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// Memory in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u32>,
    /// The price of an hour, in millionths of a dollar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hourly_price: Option<u64>,
}

impl TaskSize {
    /// Makes the size of a task whose price is not known.
    #[must_use]
    pub const fn new(cpu: Option<u32>, memory: Option<u32>) -> Self {
        Self { cpu, memory, hourly_price: None }
    }

    /// Adds the price, if the size is known.
    #[must_use]
    pub fn with_price(self, price: Option<ComputePrice>) -> Self {
        let hourly_price = price.and_then(|price| price.of_hour(self.cpu?, self.memory?));
        Self { hourly_price, ..self }
    }

    /// Tells whether nothing is known.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }

    /// Takes each number that the task has not from its containers, if all of them have it: CPU units and MiB.
    #[must_use]
    pub fn or_containers(self, containers: impl IntoIterator<Item = (Option<u32>, Option<u32>)>) -> Self {
        let add = |sum: Option<u32>, one: Option<u32>| Some(sum?.saturating_add(one.filter(|one| *one > 0)?));
        let (mut cpu, mut memory) = (Some(0), Some(0));
        for (of_cpu, of_memory) in containers {
            (cpu, memory) = (add(cpu, of_cpu), add(memory, of_memory));
        }
        let is_some = |sum: &u32| *sum > 0;
        Self { cpu: self.cpu.or(cpu.filter(is_some)), memory: self.memory.or(memory.filter(is_some)), ..self }
    }

    /// Reads CPU units as a task definition has them: `512`, or `.5 vCPU`.
    #[must_use]
    pub fn parse_cpu(text: &str) -> Option<u32> {
        parse(text, "vcpu")
    }

    /// Reads MiB as a task definition has them: `1024`, or `1 GB`.
    #[must_use]
    pub fn parse_memory(text: &str) -> Option<u32> {
        parse(text, "gb")
    }
}

fn parse(text: &str, unit: &str) -> Option<u32> {
    let text = text.to_ascii_lowercase();
    let (number, is_large) =
        text.strip_suffix(unit).map_or((text.as_str(), false), |rest| (rest.trim_end(), true));
    if !number.bytes().all(|byte| byte.is_ascii_digit() || (is_large && byte == b'.')) {
        return None;
    }
    let amount = number.parse::<f64>().ok()? * if is_large { f64::from(UNITS) } else { 1.0 };
    let whole: Option<u32> = format!("{amount:.0}").parse().ok();
    whole.filter(|whole| *whole > 0 && amount.fract() == 0.0)
}

/// A price by size, in millionths of a dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComputePrice {
    /// The price of a vCPU for an hour.
    pub vcpu_hour: u64,
    /// The price of a GiB of memory for an hour.
    pub gib_hour: u64,
}

impl ComputePrice {
    /// Returns the price of a task for an hour, rounded up; none if it is out of range.
    #[must_use]
    pub fn of_hour(self, cpu: u32, memory: u32) -> Option<u64> {
        let cpu = self.vcpu_hour.checked_mul(cpu.into())?;
        let memory = self.gib_hour.checked_mul(memory.into())?;
        Some(cpu.checked_add(memory)?.div_ceil(UNITS.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_and_memory_are_parsed_as_ecs_writes_them() {
        assert_eq!(
            ["512", ".5 vCPU", "1vcpu", "0.25 vCPU"].map(TaskSize::parse_cpu),
            [Some(512), Some(512), Some(1_024), Some(256)]
        );
        assert_eq!(
            ["1024", "1 GB", "0.5GB"].map(TaskSize::parse_memory),
            [Some(1_024), Some(1_024), Some(512)]
        );
        for wrong in ["", "abc", "256 ", "-1", "0", "1.5", "1e3", "vCPU", ".0001 vCPU", "1 GB", "99999999999"]
        {
            assert_eq!(TaskSize::parse_cpu(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn containers_count_where_the_task_has_no_number_and_all_of_them_have_one() {
        let task = TaskSize::new(None, Some(512));
        assert_eq!(
            task.or_containers([(Some(128), Some(64)), (Some(256), None)]),
            TaskSize::new(Some(384), Some(512))
        );
        assert_eq!(task.or_containers([(Some(128), None), (Some(0), None)]).cpu, None);
        assert_eq!(TaskSize::default().or_containers([(None, Some(64)), (None, Some(1))]).memory, Some(65));
        assert!(TaskSize::default().or_containers([]).is_unknown());
    }

    #[test]
    fn an_hour_costs_vcpu_and_memory_rounded_up() {
        let price = ComputePrice { vcpu_hour: 40_480, gib_hour: 4_445 };
        let quarter = TaskSize::new(Some(256), Some(512)).with_price(Some(price));
        assert_eq!(quarter.hourly_price, Some(12_343), "10,120 and 2,222.5");
        assert_eq!(TaskSize::new(Some(256), None).with_price(Some(price)).hourly_price, None);
        assert_eq!(ComputePrice { vcpu_hour: u64::MAX, gib_hour: 0 }.of_hour(2, 0), None);
    }
}
