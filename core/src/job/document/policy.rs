//! The policy fields of a job: overlap, lateness and failure, and the number of tasks.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::SignedDuration;

use super::duration::{Bounds, duration};
use super::notify;
use super::reader::Reader;
use super::retry;
use super::scalar::{MISSING, collect_error, enum_value, integer, object};
use crate::job::field_error::FieldPath;
use crate::policy::{Breaker, CatchUp, CatchUpPolicy, HistoryRule, Mode, OnError, Overlap, Policy};
use crate::scaling::Scaling;
use crate::trigger::Trigger;

const DAY: u64 = 86_400;
const SETTLE: Bounds = Bounds::seconds(0, 3_600);
const COOLDOWN: Bounds = Bounds::seconds(0, 31 * DAY);
const JITTER: Bounds = Bounds::seconds(0, DAY);
const WINDOW: Bounds = Bounds::seconds(0, 31 * DAY);
const TIMEOUT: Bounds = Bounds::seconds(1, 31 * DAY);
const START_TIMEOUT: Bounds = Bounds::seconds(1, DAY);
const BREAKER_DELAY: Bounds = Bounds { least: Duration::from_secs(1), most: Breaker::MAX_DELAY };
/// The maximum of `catchUp.max` and of `onError.after`.
const MAX_COUNT: u32 = 1_000;

/// Reads `taskCount` and `maxCount`. Stored values may exceed the ceiling, which limits the job anyway.
pub(super) fn scaling(reader: &mut Reader<'_>) -> Scaling {
    let ceiling = reader.cx.max_tasks;
    let mut count = |name: &str| {
        let most = if reader.is_strict(name) { ceiling.get() } else { u32::MAX };
        let count = reader.field(name, |value, path| integer(value, path, 1, most))?;
        reader.rewrite(name, |value| *value = count.into());
        NonZeroU32::new(count)
    };
    let (floor, cap) = (count("taskCount"), count("maxCount"));
    if floor.is_none() {
        reader.rewrite("taskCount", |value| *value = 1.into());
    }
    Scaling { floor: floor.unwrap_or(NonZeroU32::MIN), cap, ceiling }
}

/// Reads the policies.
pub(super) fn read(reader: &mut Reader<'_>, trigger: Option<&dyn Trigger>) -> Policy {
    let defaults = Policy::default();
    let mode = mode(reader, trigger);
    let overlap = reader.field("overlap", |value, path| {
        let words = [
            ("topUp", Overlap::TopUp),
            ("skip", Overlap::Skip),
            ("allow", Overlap::Allow),
            ("replace", Overlap::Replace),
        ];
        let overlap = enum_value(value, path, &words)?;
        if mode != Mode::Total && overlap != Overlap::TopUp {
            return Err(path.error(
                "Must be topUp with `mode` oneShot or drain, which subtract running tasks themselves.",
            ));
        }
        Ok(overlap)
    });
    let (launch_max_age, task_retry) = retry::read(reader, mode);
    Policy {
        mode,
        overlap: overlap.unwrap_or_default(),
        catch_up: catch_up(reader, trigger),
        on_error: on_error(reader),
        cooldown: length(reader, "cooldown", COOLDOWN).filter(|length| !length.is_zero()),
        jitter: length(reader, "jitter", JITTER).filter(|length| !length.is_zero()),
        settle: length(reader, "settle", SETTLE).unwrap_or(mode.default_settle()),
        launch_max_age: launch_max_age.unwrap_or(defaults.launch_max_age),
        timeout: length(reader, "timeout", TIMEOUT),
        start_timeout: length(reader, "startTimeout", START_TIMEOUT),
        task_retry,
        breaker: breaker(reader),
        history: history(reader),
        notify: notify::read(reader),
    }
}

fn length(reader: &mut Reader<'_>, name: &str, bounds: Bounds) -> Option<Duration> {
    reader.field(name, |value, path| duration(value, path, bounds))
}

fn mode(reader: &mut Reader<'_>, trigger: Option<&dyn Trigger>) -> Mode {
    let counts = trigger.is_some_and(Trigger::reports_queue_depth);
    let mode = reader.field("mode", |value, path| {
        let words = [("total", Mode::Total), ("oneShot", Mode::OneShot), ("drain", Mode::Drain)];
        match enum_value(value, path, &words)? {
            mode @ (Mode::OneShot | Mode::Drain) if counts => Ok(mode),
            Mode::Total => Ok(Mode::Total),
            Mode::OneShot | Mode::Drain => {
                Err(path.error("Needs a trigger that counts the messages of a queue: write \"total\"."))
            }
        }
    });
    mode.unwrap_or_default()
}

fn catch_up(reader: &mut Reader<'_>, trigger: Option<&dyn Trigger>) -> CatchUp {
    const NAME: &str = "catchUp";
    let defaults = CatchUp::default();
    let Some(value) = reader.get(NAME) else { return defaults };
    let (path, strict) = (FieldPath::field(NAME), reader.is_strict(NAME));
    let errors = &mut reader.errors;
    let Some(fields) = object(value, &path, &["policy", "window", "max"], strict, errors) else {
        return defaults;
    };
    let policy = fields.get("policy").and_then(|value| {
        let path = path.key("policy");
        let words = [
            ("latest", CatchUpPolicy::Latest),
            ("all", CatchUpPolicy::All),
            ("none", CatchUpPolicy::None),
        ];
        let policy = collect_error(enum_value(value, &path, &words), errors)?;
        if policy == CatchUpPolicy::All && trigger.is_some_and(|trigger| !trigger.is_time_based()) {
            let message = "Must be latest or none: the trigger measures the present, so a past tick cannot be evaluated.";
            errors.push(path.error(message));
        }
        Some(policy)
    });
    let window = fields.get("window").map(|value| duration(value, &path.key("window"), WINDOW));
    let window = window.and_then(|window| collect_error(window, errors));
    let max = fields.get("max").map(|value| integer(value, &path.key("max"), 1, MAX_COUNT));
    let max = max.and_then(|max| collect_error(max, errors)).and_then(NonZeroU32::new);
    if let Some(max) = max {
        reader.rewrite_number(NAME, "/max", max.get());
    }
    CatchUp {
        policy: policy.unwrap_or(defaults.policy),
        window: window.and_then(|window| SignedDuration::try_from(window).ok()).unwrap_or(defaults.window),
        max: max.unwrap_or(defaults.max),
    }
}

fn on_error(reader: &mut Reader<'_>) -> OnError {
    const NAME: &str = "onError";
    let Some(value) = reader.get(NAME) else { return OnError::Hold };
    let (path, strict) = (FieldPath::field(NAME), reader.is_strict(NAME));
    let most = reader.cx.max_tasks.get();
    let errors = &mut reader.errors;
    if value.as_str() == Some("hold") {
        return OnError::Hold;
    }
    if value.is_string() {
        errors.push(path.error("Must be \"hold\" or an object with `assume` and `after`."));
        return OnError::Hold;
    }
    let Some(fields) = object(value, &path, &["assume", "after"], strict, errors) else {
        return OnError::Hold;
    };
    let mut number = |name: &str, least: u32, most: u32| {
        let path = path.key(name);
        let number = fields.get(name).map_or_else(
            || Err(path.error(MISSING)),
            |value| integer(value, &path, least, if strict { most } else { u32::MAX }),
        );
        collect_error(number, errors)
    };
    let (tasks, after) = (number("assume", 0, most), number("after", 1, MAX_COUNT));
    match (tasks, after.and_then(NonZeroU32::new)) {
        (Some(tasks), Some(after)) => {
            reader.rewrite_number(NAME, "/assume", tasks);
            reader.rewrite_number(NAME, "/after", after.get());
            OnError::Assume { tasks, after }
        }
        _ => OnError::Hold,
    }
}

fn breaker(reader: &mut Reader<'_>) -> Option<Breaker> {
    const NAME: &str = "breaker";
    let value = reader.get(NAME)?;
    let (path, strict) = (FieldPath::field(NAME), reader.is_strict(NAME));
    let errors = &mut reader.errors;
    let fields = object(value, &path, &["failures", "delay"], strict, errors)?;
    let failures = fields.get("failures").map_or_else(
        || Err(path.key("failures").error(MISSING)),
        |value| integer(value, &path.key("failures"), 1, Breaker::MAX_FAILURES),
    );
    let failures = collect_error(failures, errors).and_then(NonZeroU32::new);
    let delay = fields.get("delay").map(|value| duration(value, &path.key("delay"), BREAKER_DELAY));
    let delay = delay.and_then(|delay| collect_error(delay, errors)).unwrap_or(Breaker::DEFAULT_DELAY);
    let failures = failures?;
    reader.rewrite(NAME, |value| value["failures"] = failures.get().into());
    Some(Breaker { failures, delay })
}

fn history(reader: &mut Reader<'_>) -> HistoryRule {
    const NAME: &str = "history";
    let Some(value) = reader.get(NAME) else { return HistoryRule::default() };
    let (path, strict) = (FieldPath::field(NAME), reader.is_strict(NAME));
    let errors = &mut reader.errors;
    let Some(fields) = object(value, &path, &["keep", "days"], strict, errors) else {
        return HistoryRule::default();
    };
    let mut number = |name: &str, most: u32| {
        let most = if strict { most } else { u32::MAX };
        collect_error(integer(fields.get(name)?, &path.key(name), 1, most), errors)
    };
    let keep = number("keep", HistoryRule::MAX_KEEP);
    let days = number("days", HistoryRule::MAX_DAYS);
    for (name, number) in [("keep", keep), ("days", days)] {
        if let Some(number) = number {
            reader.rewrite_number(NAME, &format!("/{name}"), number);
        }
    }
    HistoryRule { keep, days }
}
