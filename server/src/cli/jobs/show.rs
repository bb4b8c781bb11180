//! Formats answers of the API for people.

use std::fmt::Write as _;

use ecs_scheduler_core::Timestamp;
use serde_json::Value;

pub(in crate::cli) use crate::output::json_text as json;
use crate::output::printable;
use crate::output::table::{cell, table};

#[cfg(test)]
mod tests;

/// Shows a list of jobs: all, or those that pass filters, one of which may be a state. Suspensions that ended before the moment
/// `now` are not shown.
pub(super) fn jobs(answer: &Value, is_filtered: bool, in_state: Option<&str>, now: Timestamp) -> String {
    let jobs = list(answer, "jobs");
    if let Some(name) = in_state.filter(|_| jobs.is_empty()) {
        return format!("no jobs in state {}\n", printable(name));
    }
    if is_filtered && jobs.is_empty() {
        return "no jobs pass the filters\n".to_owned();
    }
    if jobs.is_empty() {
        return "no jobs; `ecs-scheduler jobs create job.json` creates one\n".to_owned();
    }
    let row = |job: &Value| {
        vec![
            cell(&job["id"]),
            cell(&job["schedule"]),
            cell(&job["trigger"]["type"]),
            format!("{}…{}", cell(&job["taskCount"]), cell(&job["maxCount"])),
            state(job, now),
            cell(&job["lastRun"]),
            next_run(job, now),
        ]
    };
    table(&["JOB", "SCHEDULE", "TRIGGER", "TASKS", "STATE", "LAST RUN", "NEXT RUN"], jobs.iter().map(row))
}

/// Returns the state of a job. A server shows neither `ok` nor `suspended`.
fn state(job: &Value, now: Timestamp) -> String {
    match job["state"].as_str() {
        Some(_) => cell(&job["state"]),
        None if is_suspended(job, now) => "suspended".to_owned(),
        None => "ok".to_owned(),
    }
}

/// Returns whether a job is suspended, and its suspension has not ended.
fn is_suspended(job: &Value, now: Timestamp) -> bool {
    let until = job["suspension"]["until"].as_str().and_then(|until| until.parse::<Timestamp>().ok());
    job["suspended"] == true && until.is_none_or(|until| now < until)
}

/// Says when a job runs next, or why it does not, and whether it fails.
fn next_run(job: &Value, now: Timestamp) -> String {
    let next = cell(&job["estimatedNextRun"]);
    if is_suspended(job, now) {
        return "suspended".to_owned();
    }
    if job["retrying"].is_object() {
        return format!("retrying, next try {}", moment(&job["retrying"]["nextTry"]));
    }
    if job["failing"].is_object() {
        return format!("{next}, failing: {}", cell(&job["failing"]["outcome"]));
    }
    if is_open(&job["breakerState"]) {
        return format!("{next}, breaker open");
    }
    if job["failingTasks"].is_object() {
        return format!("{next}, tasks fail");
    }
    next
}

pub(in crate::cli) fn created(answer: &Value) -> String {
    format!("created {}\n{}", cell(&answer["id"]), warnings(answer))
}

pub(super) fn changed(answer: &Value) -> String {
    format!("changed {}\n{}", cell(&answer["id"]), warnings(answer))
}

fn warnings(answer: &Value) -> String {
    list(answer, "warnings").iter().map(|warning| format!("warning: {}\n", cell(warning))).collect()
}

pub(super) fn deleted(answer: &Value) -> String {
    format!("deleted {}\n", cell(&answer["id"]))
}

pub(super) fn suspended(answer: &Value) -> String {
    format!("suspended {}\n", cell(&answer["id"]))
}

pub(super) fn resumed(answer: &Value) -> String {
    format!("resumed {}\n", cell(&answer["id"]))
}

/// Shows a preview of a schedule: its description, its ticks and warnings.
pub(in crate::cli) fn preview(answer: &Value) -> String {
    let mut text = String::new();
    if let Some(description) = answer["description"].as_str() {
        let _ = writeln!(text, "{description}");
    }
    for tick in list(answer, "next") {
        let _ = writeln!(text, "  {}", cell(tick));
    }
    if list(answer, "next").is_empty() {
        text.push_str("  no further tick\n");
    }
    text + &warnings(answer)
}

pub(super) fn decisions(answer: &Value) -> String {
    let shown = [
        answer.get("settledUntil").map(settled_until),
        answer.get("retrying").map(retrying),
        answer.get("failing").map(failing),
        answer.get("failingTasks").map(failing_tasks),
        answer.get("breakerState").filter(|state| is_open(state)).map(open_breaker),
    ];
    let mut parts: Vec<String> = shown.into_iter().flatten().collect();
    let firings = list(answer, "firings");
    parts.extend(list(answer, "decisions").iter().map(|one| {
        let firing = firings.iter().find(|firing| firing["id"] == one["firing"]);
        decision(one) + &firing.map(tasks_of_firing).unwrap_or_default()
    }));
    if parts.is_empty() {
        return "no decision yet\n".to_owned();
    }
    parts.join("\n")
}

/// Shows that ticks are settled in the future.
fn settled_until(moment: &Value) -> String {
    format!(
        "ticks up to {} have an outcome, because the clock was ahead; they count again when it has run evenly for a minute, \
         or at once by `ecs-scheduler jobs resume`\n",
        cell(moment)
    )
}

/// Shows how the newest ticks or the tasks of a job fail.
fn failing(failing: &Value) -> String {
    let shown = |name: &str| cell(&failing[name]);
    let ticks = match failing["ticks"].as_u64() {
        Some(0) => String::new(),
        _ => format!(" at {} ticks in a row", shown("ticks")),
    };
    let (outcome, since, reason) = (shown("outcome"), shown("since"), shown("reason"));
    format!("failing: {outcome}{ticks} since {since}\n  reason: {reason}\n")
}

/// Shows how the tasks of the newest firings fail.
fn failing_tasks(failing: &Value) -> String {
    format!(
        "tasks fail: {} firings in a row since {}\n  reason: {}\n",
        cell(&failing["firings"]),
        cell(&failing["since"]),
        diagnosis(&failing["diagnosis"]).unwrap_or_default()
    )
}

/// Returns whether the breaker of a job is open.
fn is_open(breaker: &Value) -> bool {
    breaker["state"] == "open"
}

/// Shows since when the breaker of a job is open, and how it goes on.
fn open_breaker(breaker: &Value) -> String {
    let shown = |name: &str| cell(&breaker[name]);
    let next = match (breaker["canary"].is_string(), breaker["nextCanary"].is_string()) {
        (true, _) => format!("the canary is firing {}", shown("canary")),
        (false, true) => {
            format!("the next canary starts at a tick from {} on", moment(&breaker["nextCanary"]))
        }
        (false, false) => "no further canary".to_owned(),
    };
    format!(
        "breaker open since {}: {} start failures in a row, failed canaries: {}; {next}\n  reason: {}\n",
        moment(&breaker["since"]),
        shown("failures"),
        shown("canaries"),
        shown("reason")
    )
}

/// Shows how many tasks of a firing ended in which way, and why the first of them did not succeed.
fn tasks_of_firing(firing: &Value) -> String {
    let ends: Vec<String> = list(firing, "tasks")
        .iter()
        .map(|task| cell(if task["outcome"].is_string() { &task["outcome"] } else { &task["state"] }))
        .collect();
    if ends.is_empty() {
        return String::new();
    }
    let mut text = format!("  tasks: {}\n", count_equal(&ends));
    if let Some(reason) = unsuccessful_task(firing) {
        let _ = writeln!(text, "  reason: {reason}");
    }
    if let Some(command) = logs_command(firing) {
        let _ = writeln!(text, "  output: {command}");
    }
    text
}

/// Returns the command that prints the output of the first failed task of a firing. A task without an exit code did not run.
fn logs_command(firing: &Value) -> Option<String> {
    let has_failed = |task: &Value| task["outcome"] == "failed" && task["exitCode"].is_number();
    let index = list(firing, "tasks").iter().position(has_failed)?;
    let task = if index == 0 { String::new() } else { format!(" --task {}", index + 1) };
    Some(format!("ecs-scheduler jobs logs {} --firing {}{task}", cell(&firing["job"]), cell(&firing["id"])))
}

/// Shows a tick or a launch that is tried again.
fn retrying(retrying: &Value) -> String {
    let shown = |name: &str| cell(&retrying[name]);
    format!(
        "{}  retrying: tried {} times since {}, next try {}\n  {}: {}\n",
        shown("tick"),
        shown("tries"),
        moment(&retrying["since"]),
        moment(&retrying["nextTry"]),
        shown("outcome"),
        shown("reason")
    )
}

/// Shows one decision with its steps.
pub(in crate::cli) fn decision(decision: &Value) -> String {
    let when = [&decision["nominal"], &decision["tick"], &decision["observed"]];
    let when = when.iter().find(|when| when.is_string()).map_or_else(String::new, |when| cell(when) + "  ");
    let mut text = format!("{when}{}", cell(&decision["outcome"]));
    if let Some(ticks) = decision["ticks"].as_u64().filter(|ticks| *ticks > 1) {
        let _ = write!(text, ", {ticks} ticks since {}", cell(&decision["since"]));
    }
    if let Some(tries) = decision["tries"].as_u64() {
        let _ = write!(text, ", tried {tries} times");
    }
    if let Some(launch) = decision["launch"].as_u64().filter(|launch| *launch > 0) {
        let _ = write!(text, ", {launch} to launch");
    }
    let _ = writeln!(text, "\n  {}", cell(&decision["explanation"]));
    if decision["note"].is_string() {
        let _ = writeln!(text, "  reason: {}", cell(&decision["note"]));
    }
    let steps = list(decision, "steps");
    if !steps.is_empty() {
        let row = |step: &Value| {
            vec![
                cell(&step["rule"]),
                format!("{} → {}", cell(&step["before"]), cell(&step["after"])),
                cell(&step["because"]),
            ]
        };
        text.push_str(&indented(&table(&["RULE", "TASKS", "BECAUSE"], steps.iter().map(row))));
    }
    for seen in list(decision, "observations") {
        let place = format!("{} of {}", cell(&seen["name"]), cell(&seen["subject"]));
        // CloudWatch's name for no unit.
        let unit = seen["unit"].as_str().filter(|unit| !unit.eq_ignore_ascii_case("none"));
        let unit = unit.map(|unit| format!(" {}", printable(unit))).unwrap_or_default();
        let _ = writeln!(text, "  saw {place}: {}{unit}", cell(&seen["value"]));
    }
    text
}

pub(super) fn firings(answer: &Value) -> String {
    let firings = list(answer, "firings");
    if firings.is_empty() {
        return "no firing yet\n".to_owned();
    }
    let row = |firing: &Value| {
        let ends: Vec<String> = list(firing, "tasks").iter().map(describe_end).collect();
        vec![
            cell(&firing["nominal"]),
            cell(if firing["outcome"].is_string() { &firing["outcome"] } else { &firing["state"] }),
            format!("{} of {}", cell(&firing["started"]), cell(&firing["requested"])),
            count_equal(&ends),
            cell(&firing["id"]),
            reason(firing),
        ]
    };
    let commands = firings.iter().filter_map(logs_command);
    let newest = commands.take(1).map(|command| format!("output of the newest failed task: {command}\n"));
    let table = table(&["TICK", "STATE", "STARTED", "TASKS", "FIRING", "REASON"], firings.iter().map(row));
    table + &newest.collect::<String>()
}

/// Returns the reason of a firing, or of its first task that did not succeed, and what becomes of failed tasks.
fn reason(firing: &Value) -> String {
    let note = firing["note"].as_str().map(str::to_owned);
    let retry = &firing["retry"];
    let number =
        retry["number"].as_u64().filter(|number| *number > 0).map(|number| format!("retry {number}"));
    let number = number.or_else(|| (firing["origin"] == "backfill").then(|| "backfill".to_owned()));
    let text = |name: &str| retry[name].as_str();
    let next = text("at").map(|at| format!("failed tasks start again at {at}"));
    let next = next.or_else(|| text("by").map(|by| format!("started again by firing {by}")));
    let next = next.or_else(|| text("note").map(|note| format!("not started again: {note}")));
    let parts = [number, note.or_else(|| unsuccessful_task(firing)), next];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// Returns why the first task that did not succeed ended: the known cause with its remedy, or else the platform's reason.
fn unsuccessful_task(firing: &Value) -> Option<String> {
    let mut ended = list(firing, "tasks").iter().filter(|task| task["outcome"] != "succeeded");
    let reason = |task: &Value| task["reason"].as_str().map(str::to_owned);
    ended.find_map(|task| diagnosis(&task["diagnosis"]).or_else(|| reason(task)))
}

/// Returns a known cause and its remedy.
fn diagnosis(diagnosis: &Value) -> Option<String> {
    Some(format!("{}: {}", diagnosis["text"].as_str()?, diagnosis["remedy"].as_str()?))
}

fn describe_end(task: &Value) -> String {
    match (&task["exitCode"], task["stopCode"].as_str()) {
        (Value::Number(code), _) => format!("exit {code}"),
        (_, Some(code)) => code.to_owned(),
        _ => cell(&task["state"]),
    }
}

/// Counts equal words in the order of their first appearance: `3 × exit 0, exit 1`.
fn count_equal(words: &[String]) -> String {
    let mut counts: Vec<(&String, usize)> = Vec::new();
    for word in words {
        match counts.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += 1,
            None => counts.push((word, 1)),
        }
    }
    let show = |(word, count): (&String, usize)| match count {
        1 => word.clone(),
        _ => format!("{count} × {word}"),
    };
    counts.into_iter().map(show).collect::<Vec<_>>().join(", ")
}

/// Returns a moment in whole seconds.
fn moment(value: &Value) -> String {
    let at = value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    at.map_or_else(|| cell(value), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// Returns the entries of a list in an answer.
pub(in crate::cli) fn list<'v>(answer: &'v Value, name: &str) -> &'v [Value] {
    answer[name].as_array().map_or(&[], Vec::as_slice)
}
