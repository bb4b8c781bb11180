//! `ecs-scheduler jobs bulk`: one action on many jobs.

use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::show::{self, list};
use crate::client::Client;
use crate::error::CommandError;
use crate::output::print;
use crate::output::table::cell;

#[cfg(test)]
mod tests;

/// The action, and the jobs.
#[derive(Debug, Clone, Args)]
pub(crate) struct BulkArgs {
    /// The action
    #[arg(value_parser = ["suspend", "resume", "fire", "delete", "label"])]
    action: String,
    /// The jobs; without names, the filters select them
    #[arg(conflicts_with_all = ["search", "label", "trigger", "state"])]
    ids: Vec<String>,
    /// Only jobs whose name, description or labels contain these words; a word with `-` in front must not be there
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
    search: Option<String>,
    /// Only jobs with this label: a name, or name=value
    #[arg(long)]
    label: Option<String>,
    /// Only jobs with this kind of trigger; `noop` for none
    #[arg(long)]
    trigger: Option<String>,
    /// Only jobs in this state
    #[arg(long)]
    state: Option<String>,
    /// Reason
    #[arg(long)]
    reason: Option<String>,
    /// End of a suspension (RFC 3339)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// A label to set with the action `label`; without `=`, the label is removed. Can be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// The number of jobs that must be selected; filters need it
    #[arg(long, value_name = "N", required_unless_present_any = ["ids", "dry_run"])]
    expect: Option<usize>,
    /// Change nothing; show the selected jobs
    #[arg(long)]
    dry_run: bool,
}

/// Returns the body of the request.
fn body(args: &BulkArgs) -> Value {
    let select = if args.ids.is_empty() {
        let given =
            [("q", &args.search), ("label", &args.label), ("trigger", &args.trigger), ("state", &args.state)];
        let given =
            given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?))));
        json!({"query": given.collect::<Map<_, _>>()})
    } else {
        json!({"ids": args.ids})
    };
    let labels = args.set.iter().map(|label| match label.split_once('=') {
        Some((name, value)) => (name.to_owned(), json!(value)),
        None => (label.clone(), Value::Null),
    });
    let given = [
        ("select", Some(select)),
        ("do", Some(json!(args.action))),
        ("reason", args.reason.as_ref().map(|reason| json!(reason))),
        ("until", args.until.as_ref().map(|until| json!(until))),
        ("labels", (!args.set.is_empty()).then(|| labels.collect::<Map<_, _>>().into())),
        ("expect", args.expect.map(|expect| json!(expect))),
        ("dryRun", args.dry_run.then_some(json!(true))),
    ];
    let given = given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    given.collect::<Map<_, _>>().into()
}

/// Sends the action, and shows its results.
///
/// # Errors
///
/// Fails when the server cannot be reached or refuses, and when it refuses some of the jobs.
pub(super) async fn run(args: &BulkArgs, client: &Client, as_json: bool) -> Result<String, CommandError> {
    let answer = client.send(Method::POST, "/jobs/bulk", Some(&body(args)), &[]).await?.body;
    let text = if as_json { show::json(&answer) } else { done(args, &answer) };
    let refused: Vec<String> = list(&answer, "results").iter().filter_map(refusal).collect();
    if refused.is_empty() {
        return Ok(text);
    }
    print(&text);
    Err(CommandError::Refused { message: refused.join("\n") })
}

/// Shows the jobs that were changed, or would be.
fn done(args: &BulkArgs, answer: &Value) -> String {
    let changed = list(answer, "results").iter().filter(|result| result["problem"].is_null());
    let names: Vec<String> = changed.map(|result| format!("  {}\n", cell(&result["id"]))).collect();
    let would = if args.dry_run { "would " } else { "" };
    format!(
        "{would}{}: {} of {} jobs\n{}",
        args.action,
        names.len(),
        cell(&answer["selected"]),
        names.concat()
    )
}

/// Returns why the action was refused for a job.
fn refusal(result: &Value) -> Option<String> {
    let detail = result["problem"]["detail"].as_str()?;
    Some(format!("{}: {} {detail}", cell(&result["id"]), cell(&result["status"])))
}
