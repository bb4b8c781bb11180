//! `ecs-scheduler jobs fire`: fires a job by hand and reports the result.

use std::time::Duration;

use clap::Args;
use reqwest::{Method, header};
use serde_json::{Map, Value, json};

use super::show;
use crate::api::{KEY_RULE, is_key};
use crate::client::{Client, job_path as path};
use crate::error::CommandError;
use crate::output::print;
use crate::output::table::cell;

#[cfg(test)]
mod tests;

/// The time between two polls of a firing.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// The maximum number of consecutive failed polls: a restart or a failover takes some seconds.
const MAX_POLL_FAILURES: u32 = 60;

/// The job, and the options of the firing.
#[derive(Debug, Clone, Args)]
pub(crate) struct FireArgs {
    /// The job
    id: String,
    /// Idempotency key: repeated requests fire only once
    #[arg(long, value_name = "KEY", value_parser = key)]
    idempotency_key: Option<String>,
    /// Number of tasks to start (default: the job's `taskCount`)
    #[arg(long, value_name = "N")]
    tasks: Option<std::num::NonZeroU32>,
    /// Overrides of this firing only: a JSON list as in a job's `overrides`. Environment variables are added to the job's
    #[arg(long, value_name = "JSON", value_parser = overrides)]
    overrides: Option<Value>,
    /// Scheduled time for the tasks (RFC 3339, in the past), passed as `ECSS_SCHEDULED_AT` (default: now)
    #[arg(long, value_name = "TIME")]
    scheduled_at: Option<String>,
    /// Wait until tasks are started or refused, at most as long as the job's `retry.launch.maxAge`
    #[arg(long)]
    wait: bool,
}

pub(super) fn key(text: &str) -> Result<String, String> {
    if is_key(text) { Ok(text.to_owned()) } else { Err(KEY_RULE.to_owned()) }
}

fn overrides(text: &str) -> Result<Value, String> {
    let parsed = crate::json::parse(text.as_bytes()).map_err(|error| format!("not JSON: {error}"))?;
    if parsed.is_array() {
        Ok(parsed)
    } else {
        Err("not a list, such as [{\"containerName\": \"main\", \"command\": [\"a\"]}]".to_owned())
    }
}

/// Returns the body of the request: the options that were given.
fn body(args: &FireArgs) -> Value {
    let given = [
        ("tasks", args.tasks.map(|tasks| json!(tasks))),
        ("overrides", args.overrides.clone()),
        ("scheduledAt", args.scheduled_at.as_ref().map(|at| json!(at))),
    ];
    given
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect::<Map<_, _>>()
        .into()
}

/// Fires a job and reports the result.
///
/// # Errors
///
/// Fails when the server cannot be reached or refuses, and when nothing was launched.
pub(super) async fn run(args: &FireArgs, client: &Client, as_json: bool) -> Result<String, CommandError> {
    let name = header::HeaderName::from_static("idempotency-key");
    let key: Vec<_> = args.idempotency_key.iter().map(|key| (name.clone(), key.as_str())).collect();
    let place = path(&args.id, "/firings");
    let mut answer = client.send(Method::POST, &place, Some(&body(args)), &key).await?.body;
    let mut failures = 0;
    while args.wait && is_open(&answer) {
        tokio::time::sleep(POLL_INTERVAL).await;
        match poll_firing(&answer, client).await {
            Ok(newer) => (answer, failures) = (newer, 0),
            Err(_) if failures < MAX_POLL_FAILURES => failures += 1,
            Err(error) => return Err(error),
        }
    }
    match describe_result(&answer) {
        Ok(text) => Ok(if as_json { show::json(&answer) } else { text }),
        Err(error) => {
            if as_json {
                print(&show::json(&answer));
            }
            Err(error)
        }
    }
}

/// Tells whether the launch of a firing is still in progress.
fn is_open(answer: &Value) -> bool {
    matches!(answer["state"].as_str(), Some("planned" | "launching"))
}

async fn poll_firing(firing: &Value, client: &Client) -> Result<Value, CommandError> {
    let id = cell(&firing["id"]);
    client.get(&format!("/firings/{id}")).await.map_err(|error| {
        let why = error.lines().join("\n");
        let message = format!("could not read firing {id}, which may have started tasks: {why}");
        CommandError::failed(message)
    })
}

/// Describes the result: a decision not to launch, or the state of the firing.
fn describe_result(answer: &Value) -> Result<String, CommandError> {
    let (job, explanation) = (cell(&answer["job"]), cell(&answer["explanation"]));
    let refused = |message| Err(CommandError::Refused { message });
    let Some(state) = answer["state"].as_str() else {
        return refused(format!(
            "job {job} launched nothing: {explanation} (outcome {})",
            cell(&answer["outcome"])
        ));
    };
    let (requested, started) =
        (answer["requested"].as_u64().unwrap_or(0), answer["started"].as_u64().unwrap_or(0));
    let noun = if requested == 1 { "task" } else { "tasks" };
    let id = cell(&answer["id"]);
    let ended = format!("firing {id} is {state}{}", reason(answer));
    match state {
        "planned" | "launching" => {
            Ok(format!("fired {job}: {requested} {noun} to start ({explanation}); firing {id}\n"))
        }
        "unknown" => Err(CommandError::failed(format!(
            "it is not known whether job {job} launched {requested} {noun}: {ended}"
        ))),
        _ if started == 0 => refused(format!("job {job} launched nothing: {ended}")),
        _ if started < requested => {
            Ok(format!("fired {job}: {started} of {requested} {noun} started ({explanation}); {ended}\n"))
        }
        _ => Ok(format!("fired {job}: {started} {noun} started ({explanation}); firing {id}\n")),
    }
}

/// Returns the reason why a firing did not launch as requested: its note, else the answer of the newest failed call.
fn reason(firing: &Value) -> String {
    let of_attempt = |attempt: &Value| {
        let answer = &attempt["answer"];
        let refusal = &answer["refused"][0];
        let found = [&answer["failed"], &answer["lost"], &refusal["detail"], &refusal["reason"]];
        found.into_iter().find(|text| text.is_string()).map(cell)
    };
    let attempts = firing["attempts"].as_array().map_or(&[][..], Vec::as_slice);
    let said = firing["note"].is_string().then(|| cell(&firing["note"]));
    let said = said.or_else(|| attempts.iter().rev().find_map(of_attempt));
    said.map(|text| format!(": {text}")).unwrap_or_default()
}
