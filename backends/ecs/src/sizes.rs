//! Task sizes: which ones exist, and whether containers fit into them.
//!
//! # Source
//!
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html>,
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html>

#[cfg(test)]
mod tests;

/// The size of a task, as far as it is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Size {
    /// CPU units.
    pub(crate) cpu: Option<u32>,
    /// MiB.
    pub(crate) memory: Option<u32>,
}

/// The reservation of one container, as far as it is given: CPU units and MiB.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ResourceReservation {
    pub(crate) name: String,
    pub(crate) cpu: Option<i32>,
    pub(crate) memory: Option<i32>,
    pub(crate) memory_reservation: Option<i32>,
}

/// A container, or all of them, that do not fit into their task.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// The container's index in the list; absent if only all of them together are too big.
    pub(crate) container: Option<usize>,
    /// `cpu`, `memory` or `memoryReservation`.
    pub(crate) field: &'static str,
    pub(crate) message: String,
}

/// The memory that Fargate offers for a number of CPU units: from, to, and step, in MiB. The smallest size has no
/// even steps.
const FARGATE: [(u32, u32, u32, u32); 7] = [
    (256, 512, 2_048, 512),
    (512, 1_024, 4_096, 1_024),
    (1_024, 2_048, 8_192, 1_024),
    (2_048, 4_096, 16_384, 1_024),
    (4_096, 8_192, 30_720, 1_024),
    (8_192, 16_384, 61_440, 4_096),
    (16_384, 32_768, 122_880, 8_192),
];

/// Returns why Fargate has no task of this size. Returns nothing if it has one, or if too little is given.
pub(crate) fn not_on_fargate(size: Size) -> Option<(&'static str, String)> {
    let Some(cpu) = size.cpu else {
        let memory = size.memory?;
        let known = FARGATE.iter().any(|row| has(row, memory));
        return (!known)
            .then(|| ("memory", format!("Fargate has no task of {memory} MiB, whatever its CPU units.")));
    };
    let Some(row) = FARGATE.iter().find(|row| row.0 == cpu) else {
        let known: Vec<_> = FARGATE.iter().map(|row| row.0.to_string()).collect();
        let message = format!("Fargate has no task of {cpu} CPU units; it has {}.", known.join(", "));
        return Some(("cpu", message));
    };
    let memory = size.memory.filter(|memory| !has(row, *memory))?;
    let (_, from, to, step) = *row;
    let allowed = match cpu {
        256 => "512, 1024 or 2048 MiB".to_owned(),
        _ => format!("{from} to {to} MiB in steps of {step}"),
    };
    let message = format!(
        "Fargate has no task of {cpu} CPU units and {memory} MiB; with {cpu} CPU units it takes {allowed}."
    );
    Some(("memory", message))
}

fn has((cpu, from, to, step): &(u32, u32, u32, u32), memory: u32) -> bool {
    (*from..=*to).contains(&memory) && memory.is_multiple_of(*step) && !(*cpu == 256 && memory == 1_536)
}

/// Reads one amount of a container.
type ReservedAmount = fn(&ResourceReservation) -> Option<i32>;

/// Finds a container that does not fit into its task, alone or together with the others.
pub(crate) fn misfit(task: Size, reservations: &[ResourceReservation]) -> Option<Misfit> {
    let memory = task.memory.map(i64::from);
    let cpu = task.cpu.map(i64::from);
    let fields: [(&'static str, Option<i64>, ReservedAmount); 3] = [
        ("memory", memory, |reservation| reservation.memory),
        ("memoryReservation", memory, |reservation| reservation.memory_reservation),
        ("cpu", cpu, |reservation| reservation.cpu),
    ];
    for (field, most, of) in fields {
        let Some(most) = most else { continue };
        for (index, reservation) in reservations.iter().enumerate() {
            let Some(amount) = of(reservation).filter(|amount| i64::from(*amount) > most) else { continue };
            let message = format!(
                "Container \"{}\" has a {field} of {amount}, and its task has {most}: lower this, or raise the task's in launch.overrides.",
                reservation.name
            );
            return Some(Misfit { container: Some(index), field, message });
        }
    }
    let total = |of: ReservedAmount| reservations.iter().filter_map(of).map(i64::from).sum::<i64>();
    let reserved = total(|reservation| reservation.memory_reservation.or(reservation.memory));
    let totals = [("memory", memory, reserved), ("cpu", cpu, total(|reservation| reservation.cpu))];
    let (field, most, amount) =
        totals.into_iter().find(|(_, most, amount)| most.is_some_and(|most| *amount > most))?;
    let message = format!(
        "The containers have a {field} of {amount} together, and their task has {}: lower theirs, or raise the task's in launch.overrides.",
        most.unwrap_or_default()
    );
    Some(Misfit { container: None, field, message })
}
