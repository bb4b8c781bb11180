//! `ecs-scheduler jobs backfill`: fires past ticks of a job, shows how far that is, and stops it.

use clap::Args;
use reqwest::{Method, header};
use serde_json::{Map, Value, json};

use super::fire::key as idempotency_key;
use super::show::{self, list};
use crate::client::{Client, job_path as path};
use crate::error::CommandError;
use crate::output::table::{cell, table};

#[cfg(test)]
mod tests;

/// The job, and the range or the question about its backfill.
#[derive(Debug, Clone, Args)]
pub(crate) struct BackfillArgs {
    /// The job
    id: String,
    /// The start of the range, RFC 3339, inclusive
    #[arg(long, value_name = "TIME", required_unless_present_any = ["status", "stop"])]
    from: Option<String>,
    /// The end of the range, RFC 3339, exclusive, not in the future
    #[arg(long, value_name = "TIME", required_unless_present_any = ["status", "stop"])]
    to: Option<String>,
    /// The maximum number of ticks, up to 10000; a range with more is refused (default: 100)
    #[arg(long, value_name = "N")]
    max: Option<u32>,
    /// How many of its firings may be unfinished at once, up to 100 (default: 1)
    #[arg(long, value_name = "N")]
    overlap: Option<u32>,
    /// Reason
    #[arg(long)]
    reason: Option<String>,
    /// The person or program that starts it
    #[arg(long)]
    actor: Option<String>,
    /// Idempotency key: repeated requests start only one backfill
    #[arg(long, value_name = "KEY", value_parser = idempotency_key)]
    idempotency_key: Option<String>,
    /// Only show the ticks, and what each would do
    #[arg(long)]
    dry_run: bool,
    /// Show the job's backfill
    #[arg(long, conflicts_with_all = ["from", "to", "max", "overlap", "reason", "actor", "idempotency_key", "dry_run", "stop"])]
    status: bool,
    /// Stop the job's backfill: no further firing begins, running tasks continue
    #[arg(long, conflicts_with_all = ["from", "to", "max", "overlap", "reason", "actor", "idempotency_key", "dry_run"])]
    stop: bool,
}

/// Returns the body of the request: the options that were given.
fn body(args: &BackfillArgs) -> Value {
    let text = |text: &Option<String>| text.as_ref().map(|text| json!(text));
    let given = [
        ("from", text(&args.from)),
        ("to", text(&args.to)),
        ("max", args.max.map(|max| json!(max))),
        ("overlap", args.overlap.map(|overlap| json!(overlap))),
        ("reason", text(&args.reason)),
        ("actor", text(&args.actor)),
        ("dryRun", args.dry_run.then_some(json!(true))),
    ];
    given
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect::<Map<_, _>>()
        .into()
}

/// Starts, previews, shows or stops a backfill.
///
/// # Errors
///
/// Fails when the server cannot be reached or refuses.
pub(super) async fn run(args: &BackfillArgs, client: &Client, as_json: bool) -> Result<String, CommandError> {
    let place = path(&args.id, "/backfill");
    let answer = if args.status {
        client.get(&place).await?
    } else if args.stop {
        client.send(Method::DELETE, &place, None, &[]).await?.body
    } else {
        let name = header::HeaderName::from_static("idempotency-key");
        let key: Vec<_> = args.idempotency_key.iter().map(|key| (name.clone(), key.as_str())).collect();
        client.send(Method::POST, &place, Some(&body(args)), &key).await?.body
    };
    Ok(match (as_json, args.dry_run) {
        (true, _) => show::json(&answer),
        (false, true) => preview(&answer),
        (false, false) => describe(&answer),
    })
}

/// Describes the ticks of a dry run.
fn preview(answer: &Value) -> String {
    let row =
        |tick: &Value| ["tick", "outcome", "tasks", "explanation"].map(|name| cell(&tick[name])).to_vec();
    let mut text = table(&["TICK", "OUTCOME", "TASKS", "WHY"], list(answer, "ticks").iter().map(row));
    text.push_str(&format!(
        "{} ticks, {} tasks; nothing was started\n",
        cell(&answer["total"]),
        cell(&answer["tasks"])
    ));
    if answer["waiting"].is_string() {
        text.push_str(&format!("a backfill would wait now: {}\n", cell(&answer["waiting"])));
    }
    text
}

/// Describes a backfill.
fn describe(answer: &Value) -> String {
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let done = answer["done"].as_object();
    let outcomes: Vec<(&String, u64)> = done
        .into_iter()
        .flatten()
        .map(|(name, count)| (name, number(count)))
        .filter(|(_, count)| *count > 0)
        .collect();
    let total_done: u64 = outcomes.iter().map(|(_, count)| count).sum();
    let by_outcome: Vec<String> = outcomes.iter().map(|(name, count)| format!("{count} {name}")).collect();
    let mut text = format!(
        "backfill of {} from {} to {}: {}, {total_done} of {} ticks done",
        cell(&answer["job"]),
        cell(&answer["from"]),
        cell(&answer["to"]),
        cell(&answer["state"]),
        cell(&answer["total"]),
    );
    if !by_outcome.is_empty() {
        text.push_str(&format!(" ({})", by_outcome.join(", ")));
    }
    text.push('\n');
    let mut started = format!("started {}", cell(&answer["started"]));
    for (name, word) in [("actor", " by "), ("reason", ": ")] {
        if answer[name].is_string() {
            started.push_str(&format!("{word}{}", cell(&answer[name])));
        }
    }
    text.push_str(&format!("{started}\n"));
    for unfinished in list(answer, "unfinished") {
        text.push_str(&format!(
            "unfinished: tick {}, firing {}\n",
            cell(&unfinished["tick"]),
            cell(&unfinished["firing"])
        ));
    }
    if answer["nextTick"].is_string() {
        text.push_str(&format!("next tick: {}\n", cell(&answer["nextTick"])));
    }
    if answer["waiting"].is_object() {
        let (since, reason) = (cell(&answer["waiting"]["since"]), cell(&answer["waiting"]["reason"]));
        text.push_str(&format!("waiting since {since}: {reason}\n"));
    }
    if answer["lastFailure"].is_object() {
        let [tick, firing, reason] =
            ["tick", "firing", "reason"].map(|name| cell(&answer["lastFailure"][name]));
        text.push_str(&format!("last failure: tick {tick}, firing {firing}: {reason}\n"));
    }
    if answer["ended"].is_string() {
        text.push_str(&format!("ended {}\n", cell(&answer["ended"])));
    }
    text
}
