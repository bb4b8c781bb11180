//! The body of a firing by hand: the tasks, and how they differ from those of a tick.

use ecs_scheduler_core::job::{FieldError, prepare_update};
use ecs_scheduler_core::schedule::Strictness;
use ecs_scheduler_core::task::Override;
use ecs_scheduler_core::{ManualFiring, StoredJob};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::job_document::document;
use super::problem::Problem;
use super::request::Members;
use super::state::AppState;

#[cfg(test)]
mod tests;

/// The members of the body.
const MEMBERS: [&str; 3] = ["tasks", "overrides", "scheduledAt"];

/// Reads the body of a firing by hand. Its overrides are checked as those of a job are, and the job stays as it is.
///
/// # Errors
///
/// 400 with every invalid field.
pub(super) fn read(
    app: &AppState,
    job: &StoredJob,
    body: &Map<String, Value>,
) -> Result<ManualFiring, Problem> {
    let mut members = Members::new(body, &MEMBERS);
    let tasks = members.number("tasks", u32::MAX);
    let overrides = members.list("overrides");
    let scheduled_at = past_moment(&mut members, app.clock.now());
    let mut wrong = members.into_wrong();
    let overrides = overrides.and_then(|wanted| match check_overrides(app, job, wanted) {
        Ok(overrides) => Some(overrides),
        Err(errors) => {
            wrong.extend(errors);
            None
        }
    });
    if !wrong.is_empty() {
        return Err(Problem::fields(&wrong));
    }
    let mut firing = ManualFiring::default();
    (firing.tasks, firing.overrides, firing.scheduled_at) = (tasks, overrides, scheduled_at);
    Ok(firing)
}

/// Reads the moment that tasks work for. No schedule has ticks before 1970.
fn past_moment(members: &mut Members<'_>, now: Timestamp) -> Option<Timestamp> {
    const NAME: &str = "scheduledAt";
    let at = members.moment(NAME)?;
    if at < Timestamp::UNIX_EPOCH {
        members.refuse(NAME, "Before 1970: give the past moment that the tasks work for.");
    } else if at > now {
        members.refuse(
            NAME,
            "Later than now: give the past moment that the tasks work for, or suspend the job until then.",
        );
    }
    Some(at)
}

fn check_overrides(
    app: &AppState,
    job: &StoredJob,
    wanted: Vec<Value>,
) -> Result<Vec<Override>, Vec<FieldError>> {
    let document = document(job);
    let of_job = document.get("overrides").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let change = json!({"overrides": merge(of_job, wanted)});
    let prepared =
        prepare_update(&job.id, &document, change, &app.context(Strictness::Strict), app.clock.now());
    Ok(prepared?.job.task.overrides.clone())
}

/// Adds overrides of one firing to those of the job. The containers of the firing come first, so that an error names the index
/// that the client sent.
fn merge(of_job: &[Value], wanted: Vec<Value>) -> Vec<Value> {
    let same = |one: &Value, other: &Value| one["containerName"] == other["containerName"];
    let rest = of_job.iter().filter(|own| !wanted.iter().any(|one| same(own, one)));
    let rest: Vec<_> = rest.cloned().collect();
    let merged = wanted.into_iter().map(|one| match of_job.iter().find(|own| same(own, &one)) {
        Some(own) => merge_container(own, one),
        None => one,
    });
    merged.chain(rest).collect()
}

fn merge_container(own: &Value, one: Value) -> Value {
    let (Value::Object(mut merged), Value::Object(fields)) = (own.clone(), one.clone()) else { return one };
    for (name, value) in fields {
        match (merged.get_mut(&name), value) {
            (Some(Value::Object(own)), Value::Object(variables)) if name == "environment" => {
                own.extend(variables)
            }
            (_, value) => {
                merged.insert(name, value);
            }
        }
    }
    merged.into()
}
