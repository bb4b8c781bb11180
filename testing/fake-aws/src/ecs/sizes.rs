//! Sizes of tasks and of the containers in them.
//!
//! # Source
//!
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html>

use serde_json::Value;

use super::model::Definition;
use super::run_task::RunTask;
use crate::wire::Failure;

/// CPU units of a task on machines of the cluster.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html>
const MACHINE_CPU: std::ops::RangeInclusive<u32> = 128..=196_608;

/// Fails on an unknown size, and on containers that do not fit into their task.
pub(crate) fn check(request: &RunTask, definition: &Definition, on_fargate: bool) -> Result<(), Failure> {
    let none = Value::Null;
    let overrides = request.overrides.as_ref().unwrap_or(&none);
    let size = |name: &str, unit: &str| -> Result<Option<u32>, Failure> {
        let given = overrides[name].as_str().or_else(|| definition.document[name].as_str());
        let wrong = || Failure::client("ClientException", format!("Invalid setting for {name}."));
        given.map(|text| amount(text, unit).ok_or_else(wrong)).transpose()
    };
    let (cpu, memory) = (size("cpu", "vcpu")?, size("memory", "gb")?);
    if on_fargate && !cpu.zip(memory).is_some_and(|(cpu, memory)| on_table(cpu, memory)) {
        let message = "No Fargate configuration exists for given values.";
        return Err(Failure::client("ClientException", message));
    }
    if !on_fargate && overrides["cpu"].is_string() && cpu.is_some_and(|cpu| !MACHINE_CPU.contains(&cpu)) {
        return Err(Failure::client("ClientException", "Invalid setting for cpu."));
    }
    let (mut cpus, mut reserved) = (0, 0);
    for container in definition.document["containerDefinitions"].as_array().into_iter().flatten() {
        let mut changed = overrides["containerOverrides"].as_array().into_iter().flatten();
        let changed = changed.rfind(|one| one["name"] == container["name"]).unwrap_or(&none);
        let amount = |name: &str| changed[name].as_u64().or_else(|| container[name].as_u64());
        let hard = amount("memory");
        if memory.zip(hard).is_some_and(|(memory, hard)| hard > u64::from(memory)) {
            return Err(too_big("memory"));
        }
        cpus += amount("cpu").unwrap_or(0);
        reserved += amount("memoryReservation").or(hard).unwrap_or(0);
    }
    if cpu.is_some_and(|cpu| cpus > u64::from(cpu)) {
        return Err(too_big("cpu"));
    }
    if memory.is_some_and(|memory| reserved > u64::from(memory)) {
        return Err(too_big("memory"));
    }
    Ok(())
}

fn too_big(what: &str) -> Failure {
    Failure::client("ClientException", format!("The {what} of the containers is more than that of the task."))
}

/// Parses CPU units or MiB; a text with a unit is 1024 times as much.
fn amount(text: &str, unit: &str) -> Option<u32> {
    let text = text.to_ascii_lowercase();
    let Some(number) = text.strip_suffix(unit) else { return text.parse::<u32>().ok().filter(|n| *n > 0) };
    let amount = number.trim_end().parse::<f64>().ok()? * 1_024.0;
    format!("{amount}").parse::<u32>().ok().filter(|n| *n > 0)
}

/// Tells whether Fargate has tasks of this size.
fn on_table(cpu: u32, memory: u32) -> bool {
    match cpu {
        256 => [512, 1_024, 2_048].contains(&memory),
        512 => in_steps(memory, 1_024, 4_096, 1_024),
        1_024 => in_steps(memory, 2_048, 8_192, 1_024),
        2_048 => in_steps(memory, 4_096, 16_384, 1_024),
        4_096 => in_steps(memory, 8_192, 30_720, 1_024),
        8_192 => in_steps(memory, 16_384, 61_440, 4_096),
        16_384 => in_steps(memory, 32_768, 122_880, 8_192),
        _ => false,
    }
}

fn in_steps(memory: u32, from: u32, to: u32, step: u32) -> bool {
    (from..=to).contains(&memory) && memory.is_multiple_of(step)
}
