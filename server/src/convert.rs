//! Converts jobs of other schedulers, and lists everything that has no counterpart here.
//!
//! Each object becomes a [`Converted`]: a job document, or none, and remarks. Each field that no conversion step reads
//! gives a remark too (`Fields::report_unread`), so that nothing is dropped silently.

pub mod eventbridge;
pub mod keda;

mod converted;
mod fields;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::num::NonZeroU32;

use ecs_scheduler_core::job::{JobContext, prepare_create};
use ecs_scheduler_core::schedule::Strictness;
use ecs_scheduler_core::{Launcher, Timestamp, TriggerRegistry};

pub use converted::{Converted, Remark, RemarkKind};

use converted::Remarks;

#[cfg(test)]
mod tests;

/// The remedy for two objects that give one job.
const REMEDY: &str = "import only one of them, or change the name of one in its file";

/// The parameters of [`check`].
#[derive(Debug)]
pub struct Checks<'a> {
    /// The installed kinds of trigger.
    pub registry: &'a TriggerRegistry,
    /// The maximum number of tasks of each job.
    pub max_tasks: NonZeroU32,
    /// The launcher that checks `launch`; without one, `launch` is not checked.
    pub launcher: Option<&'a dyn Launcher>,
    /// The current time.
    pub now: Timestamp,
}

/// Checks each job as a `POST` does, and that names are unique, whatever their objects are. An invalid job is removed, with
/// a remark for each invalid field.
pub fn check(converted: &mut [Converted], checks: &Checks<'_>) {
    let mut sources: HashMap<String, String> = HashMap::new();
    for one in converted {
        let Some(document) = one.job.take() else { continue };
        let cx = JobContext {
            registry: checks.registry,
            max_tasks: checks.max_tasks,
            strictness: Strictness::Strict,
            launcher: checks.launcher,
            channels: None,
        };
        let name = document["id"].as_str().unwrap_or_default().to_owned();
        let mut remarks = Remarks(std::mem::take(&mut one.remarks));
        match prepare_create(document.clone(), &cx, checks.now) {
            Ok(_) => match sources.entry(name) {
                Entry::Vacant(free) => {
                    free.insert(one.source.clone());
                    one.job = Some(document);
                }
                Entry::Occupied(taken) => {
                    let (name, first) = (taken.key(), taken.get());
                    remarks.refuse("id", format!("{first} gives job \"{name}\" already: {REMEDY}"));
                }
            },
            Err(errors) => {
                for error in errors {
                    let text = error.explained();
                    remarks.refuse(error.pointer, text);
                }
            }
        }
        one.remarks = remarks.0;
    }
}
