//! The commands that talk to a running server: its jobs, and the server as a whole.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ecs_scheduler_core::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::history::{self, HistoryFilter};
use super::jobs::show::{self, list};
use super::jobs::{self, JobsCommand};
use super::notifications::{self, NotificationsCommand};
use super::token::{self, TokenCommand};
use crate::client::{Client, server_url};
use crate::config::values::Values;
use crate::config::{ConfigRejected, resolve_server, resolve_token};
use crate::error::CommandError;
use crate::output::table::{cell, table};

#[cfg(test)]
mod tests;

/// The server, and the form of the output.
#[derive(Debug, Clone, Args)]
pub(crate) struct ClientArgs {
    /// Server URL; default `ECSS_SERVER`, then `http://127.0.0.1:5000`
    #[arg(long, value_name = "URL", global = true, value_parser = server_url)]
    server: Option<String>,
    /// File with the access token; default `ECSS_TOKEN`
    #[arg(long, value_name = "FILE", global = true)]
    token_file: Option<PathBuf>,
    /// Print the server's JSON instead of a table
    #[arg(long, global = true)]
    json: bool,
}

/// Commands for a running server.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ServerCommand {
    /// Work with the jobs of a running server
    Jobs {
        #[command(flatten)]
        client: ClientArgs,
        #[command(subcommand)]
        command: JobsCommand,
    },
    /// Show, engage or release the brake; while it is on, nothing is launched
    Brake {
        #[command(flatten)]
        client: ClientArgs,
        #[command(subcommand)]
        command: Option<BrakeCommand>,
    },
    /// List the newest decisions about all jobs
    Decisions {
        #[command(flatten)]
        client: ClientArgs,
        /// Number of decisions
        #[arg(long, default_value_t = 20)]
        limit: u32,
        #[command(flatten)]
        filter: HistoryFilter,
    },
    /// List the newest firings of all jobs
    Firings {
        #[command(flatten)]
        client: ClientArgs,
        /// Number of firings
        #[arg(long, default_value_t = 20)]
        limit: u32,
        /// Only firings in this state: planned, launching, launched, finished, refused, unknown, expired or cancelled
        #[arg(long)]
        state: Option<String>,
        #[command(flatten)]
        filter: HistoryFilter,
    },
    /// Show the channels of notifications and their deliveries, or test a channel
    Notifications {
        #[command(flatten)]
        client: ClientArgs,
        #[command(subcommand)]
        command: Option<NotificationsCommand>,
    },
    /// Create, list or revoke access tokens
    Token {
        #[command(flatten)]
        client: ClientArgs,
        #[command(subcommand)]
        command: Option<TokenCommand>,
    },
    /// List the budgets that jobs share, and their use
    Budgets(ClientArgs),
    /// Show the server's calls to AWS and their estimated monthly cost
    Stats(ClientArgs),
    /// List the replicas of the scheduler and the shards of jobs that each owns
    Replicas(ClientArgs),
}

/// The position of the brake.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum BrakeCommand {
    /// Stop all launches at once; running tasks continue
    On {
        /// Reason
        #[arg(long)]
        reason: String,
    },
    /// Allow launches again; missed ticks are not run
    Off,
}

/// Runs a command at the moment `now` and returns its output.
///
/// # Errors
///
/// Fails when the server cannot be reached or refuses.
pub(super) async fn run(
    command: &ServerCommand,
    values: &Values,
    now: Timestamp,
) -> Result<String, CommandError> {
    let (ServerCommand::Jobs { client: args, .. }
    | ServerCommand::Brake { client: args, .. }
    | ServerCommand::Decisions { client: args, .. }
    | ServerCommand::Firings { client: args, .. }
    | ServerCommand::Notifications { client: args, .. }
    | ServerCommand::Token { client: args, .. }
    | ServerCommand::Budgets(args)
    | ServerCommand::Stats(args)
    | ServerCommand::Replicas(args)) = command;
    let server = match &args.server {
        Some(server) => server.clone(),
        None => resolve_server(values).map_err(|problem| ConfigRejected(vec![problem]))?,
    };
    let token = resolve_token(values, args.token_file.as_deref());
    let token = token.map_err(|problem| ConfigRejected(vec![problem]))?;
    let client = &Client::new(&server)?.with_token(token.as_deref())?;
    let (answer, people): (Value, fn(&Value) -> String) = match command {
        ServerCommand::Jobs { command, .. } => return jobs::run(command, client, args.json, now).await,
        ServerCommand::Brake { command, .. } => (change_brake(command.as_ref(), client).await?, brake),
        ServerCommand::Decisions { limit, filter, .. } => {
            (history::read(client, "/decisions", "decisions", *limit, filter, &[]).await?, decisions)
        }
        ServerCommand::Firings { limit, state, filter, .. } => {
            let more = [("state", state.as_deref())];
            (history::read(client, "/firings", "firings", *limit, filter, &more).await?, firings)
        }
        ServerCommand::Notifications { command, .. } => {
            return notifications::run(command.as_ref(), client, args.json).await;
        }
        ServerCommand::Token { command, .. } => {
            return token::run(command.as_ref(), client, args.json, values, now).await;
        }
        ServerCommand::Budgets(_) => (client.get("/budgets").await?, budgets),
        ServerCommand::Stats(_) => (client.get("/stats/aws").await?, stats),
        ServerCommand::Replicas(_) => (client.get("/replicas").await?, replicas),
    };
    Ok(if args.json { show::json(&answer) } else { people(&answer) })
}

async fn change_brake(command: Option<&BrakeCommand>, client: &Client) -> Result<Value, CommandError> {
    match command {
        None => client.get("/brake").await,
        Some(BrakeCommand::On { reason }) => {
            let body = json!({ "reason": reason });
            Ok(client.send(Method::POST, "/brake", Some(&body), &[]).await?.body)
        }
        Some(BrakeCommand::Off) => Ok(client.send(Method::DELETE, "/brake", None, &[]).await?.body),
    }
}

fn brake(answer: &Value) -> String {
    if answer["on"] != true {
        return "the brake is off\n".to_owned();
    }
    format!("the brake is on since {}: {}\n", cell(&answer["since"]), cell(&answer["reason"]))
}

fn decisions(answer: &Value) -> String {
    let decisions = list(answer, "decisions");
    if decisions.is_empty() {
        return "no decision yet\n".to_owned();
    }
    let row = |decision: &Value| {
        let names = ["nominal", "job", "outcome", "ticks", "launch", "explanation"];
        names.iter().map(|name| cell(&decision[*name])).collect()
    };
    table(&["TICK", "JOB", "OUTCOME", "TICKS", "TASKS", "WHY"], decisions.iter().map(row))
}

fn firings(answer: &Value) -> String {
    let firings = list(answer, "firings");
    if firings.is_empty() {
        return "no firing yet\n".to_owned();
    }
    let row = |firing: &Value| {
        let state = if firing["outcome"].is_string() { &firing["outcome"] } else { &firing["state"] };
        vec![
            cell(&firing["nominal"]),
            cell(&firing["job"]),
            cell(state),
            format!("{} of {}", cell(&firing["started"]), cell(&firing["requested"])),
            cell(&firing["id"]),
        ]
    };
    table(&["TICK", "JOB", "STATE", "STARTED", "FIRING"], firings.iter().map(row))
}

fn budgets(answer: &Value) -> String {
    let budgets = list(answer, "budgets");
    if budgets.is_empty() {
        return "no budget is configured\n".to_owned();
    }
    let rows = budgets.iter().flat_map(|budget| {
        list(budget, "limits").iter().map(move |limit| {
            let mut row = vec![cell(&budget["name"]), selector(&budget["selector"])];
            row.extend(["name", "used", "limit", "left"].map(|name| cell(&limit[name])));
            row.extend([cell(&budget["waiting"]["jobs"]), cell(&budget["waiting"]["since"])]);
            row
        })
    });
    table(&["BUDGET", "SELECTOR", "LIMIT OF", "USED", "LIMIT", "LEFT", "WAITING JOBS", "SINCE"], rows)
}

fn selector(labels: &Value) -> String {
    let pairs = labels.as_object().into_iter().flatten();
    let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}={}", cell(value))).collect();
    if pairs.is_empty() { "all jobs".to_owned() } else { pairs.join(" ") }
}

fn stats(answer: &Value) -> String {
    let (operations, jobs) = (list(answer, "operations"), list(answer, "jobs"));
    let since = cell(&answer["since"]);
    if operations.is_empty() {
        return format!("no call to AWS since {since}\n");
    }
    let cost = |line: &Value| format!("{:.2}", line["dollarsPerMonth"].as_f64().unwrap_or(0.0));
    let row = |names: &[&str], line: &Value| {
        names.iter().map(|name| cell(&line[*name])).chain([cost(line)]).collect::<Vec<_>>()
    };
    let mut text = format!("calls to AWS since {since}; costs by list prices, in US dollars\n");
    let of_operation = |line: &Value| row(&["service", "operation", "calls", "throttles", "failures"], line);
    let header = ["SERVICE", "OPERATION", "CALLS", "THROTTLED", "FAILED", "$ A MONTH"];
    text.push_str(&table(&header, operations.iter().map(of_operation)));
    if !jobs.is_empty() {
        let of_job = |line: &Value| row(&["job", "operation", "reads"], line);
        text.push('\n');
        text.push_str(&table(&["JOB", "OPERATION", "READS", "$ A MONTH"], jobs.iter().map(of_job)));
    }
    text
}

fn replicas(answer: &Value) -> String {
    if answer["shared"] != true {
        return "one scheduler: its store does not support replicas\n".to_owned();
    }
    let row = |replica: &Value| {
        let shards: Vec<String> = list(replica, "shards").iter().map(cell).collect();
        let state = cell(&replica["state"]);
        vec![
            cell(&replica["id"]),
            cell(&replica["address"]),
            if replica["here"] == true { format!("{state}, answered") } else { state },
            if shards.is_empty() { "–".to_owned() } else { shards.join(" ") },
            cell(&replica["started"]),
            cell(&replica["lastSeen"]),
        ]
    };
    let header = ["REPLICA", "ADDRESS", "STATE", "SHARDS", "STARTED", "LAST SEEN"];
    table(&header, list(answer, "replicas").iter().map(row))
}
