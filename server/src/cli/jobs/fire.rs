//! `ecs-scheduler jobs fire`: a launch by hand, and what came of it.

use std::time::Duration;

use clap::Args;
use reqwest::{Method, header};
use serde_json::{Value, json};

use super::{path, show};
use crate::cli::client::Client;
use crate::cli::error::CommandError;
use crate::cli::print;
use crate::cli::table::cell;

#[cfg(test)]
mod tests;

/// How long to wait between two looks at a firing.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How many looks in a row may fail: a restart or a take-over lasts some seconds.
const MISSES: u32 = 60;

/// Which job, and how to fire it.
#[derive(Debug, Clone, Args)]
pub struct FireArgs {
    /// The job
    id: String,
    /// Repeats of a request with the same key fire once
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Wait until tasks were started or refused. It takes as long as the job's `retry.launch.maxAge` at most
    #[arg(long)]
    wait: bool,
}

/// Fires a job and says what came of it.
///
/// # Errors
///
/// Fails when the server cannot be reached or refuses, and when nothing was launched.
pub(super) async fn run(args: &FireArgs, client: &Client, as_json: bool) -> Result<String, CommandError> {
    let name = header::HeaderName::from_static("idempotency-key");
    let key: Vec<_> = args.idempotency_key.iter().map(|key| (name.clone(), key.as_str())).collect();
    let place = path(&args.id, "/firings");
    let mut answer = client.send(Method::POST, &place, Some(&json!({})), &key).await?.body;
    let mut misses = 0;
    while args.wait && is_open(&answer) {
        tokio::time::sleep(LOOK_EVERY).await;
        match look(&answer, client).await {
            Ok(newer) => (answer, misses) = (newer, 0),
            Err(_) if misses < MISSES => misses += 1,
            Err(error) => return Err(error),
        }
    }
    match verdict(&answer) {
        Ok(text) => Ok(if as_json { show::json(&answer) } else { text }),
        Err(error) => {
            if as_json {
                print(&show::json(&answer));
            }
            Err(error)
        }
    }
}

/// Tells whether it is not known yet how a firing's launch ends.
fn is_open(answer: &Value) -> bool {
    matches!(answer["state"].as_str(), Some("planned" | "launching"))
}

async fn look(firing: &Value, client: &Client) -> Result<Value, CommandError> {
    let id = cell(&firing["id"]);
    client.get(&format!("/firings/{id}")).await.map_err(|error| {
        let why = error.lines().join("\n");
        let message =
            format!("could not learn what became of firing {id}, which may have started tasks: {why}");
        CommandError::failed(message)
    })
}

/// Says what came of it: a decision not to launch, or a firing as far as it has come.
fn verdict(answer: &Value) -> Result<String, CommandError> {
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

/// Says why a firing did not simply launch: its note, else what the newest failed call was answered.
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
