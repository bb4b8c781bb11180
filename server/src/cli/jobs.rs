//! `ecs-scheduler jobs …`: commands for the jobs of a running server.

mod backfill;
mod bulk;
pub(super) mod create;
mod dry_run;
mod fire;
mod logs;
pub(super) mod show;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ecs_scheduler_core::Timestamp;
use reqwest::{Method, header};
use serde_json::{Value, json};

use self::backfill::BackfillArgs;
use self::bulk::BulkArgs;
use self::fire::FireArgs;
use self::logs::LogsArgs;
use super::history::{self, HistoryFilter};
use crate::client::{Client, escape, job_path as path};
use crate::error::CommandError;
use crate::input::read_document;

/// Commands for jobs.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum JobsCommand {
    /// List all jobs, or those that pass all of the filters
    List(JobFilter),
    /// Print a job's document
    Get {
        /// The job
        id: String,
    },
    /// Create a job from a JSON document, or all jobs of an array of documents
    Create {
        /// The document, or an array as `import keda` prints it; `-` reads standard input
        file: PathBuf,
        /// Also check the AWS resources of each job before it is written: its task definition and the sources of its trigger
        #[arg(long, value_name = "WHAT", value_parser = ["aws"])]
        validate: Option<String>,
        /// Write nothing; show each job that would be created, its next ticks and the decision about a tick that is due now
        #[arg(long)]
        dry_run: bool,
    },
    /// Change fields of a job: fields in the document are replaced, null removes a field, other fields stay
    Edit {
        /// The job
        id: String,
        /// The document with the changed fields; `-` reads standard input
        file: PathBuf,
        /// Also check the AWS resources of the changed job before it is written
        #[arg(long, value_name = "WHAT", value_parser = ["aws"])]
        validate: Option<String>,
        /// Write nothing; show the differences, the next ticks and the decision about a tick that is due now
        #[arg(long)]
        dry_run: bool,
    },
    /// Delete a job; running tasks continue
    Delete {
        /// The job
        id: String,
    },
    /// Fire a job now; its schedule does not change. The exit code is 5 if nothing was launched: see `--wait`
    Fire(FireArgs),
    /// Fire past ticks of a job, oldest first, by its present schedule; or show or stop its backfill
    Backfill(BackfillArgs),
    /// Suspend, resume, fire, label or delete many jobs. The exit code is 5 if some of them are refused
    Bulk(BulkArgs),
    /// Suspend a job
    Suspend {
        /// The job
        id: String,
        /// Reason
        #[arg(long)]
        reason: Option<String>,
        /// End of the suspension (RFC 3339)
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
    },
    /// Resume a job; missed ticks are not run
    Resume {
        /// The job
        id: String,
    },
    /// Show a job's next ticks
    Next {
        /// The job
        id: String,
        /// Number of ticks
        #[arg(long, default_value_t = 10)]
        count: u32,
    },
    /// Explain the newest decisions about a job, step by step
    Explain {
        /// The job
        id: String,
        /// Number of decisions
        #[arg(long, default_value_t = 3)]
        limit: u32,
        #[command(flatten)]
        filter: HistoryFilter,
    },
    /// List the newest firings of a job and the results of their tasks
    History {
        /// The job
        id: String,
        /// Number of firings
        #[arg(long, default_value_t = 20)]
        limit: u32,
        /// Only firings in this state: planned, launching, launched, finished, refused, unknown, expired or cancelled
        #[arg(long)]
        state: Option<String>,
        #[command(flatten)]
        filter: HistoryFilter,
    },
    /// Print what a task wrote to its standard output and standard error
    Logs(LogsArgs),
}

/// The filters and the order of a list of jobs.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct JobFilter {
    /// Only jobs in this state: ok, failing, retrying, late, suspended or invalid
    #[arg(long)]
    state: Option<String>,
    /// Only jobs whose name, description or labels contain these words; a word with `-` in front must not be there
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
    search: Option<String>,
    /// Only jobs with this label: a name, or name=value
    #[arg(long)]
    label: Option<String>,
    /// Only jobs with this kind of trigger; `noop` for none
    #[arg(long)]
    trigger: Option<String>,
    /// Only jobs whose newest outcome is this one
    #[arg(long)]
    outcome: Option<String>,
    /// Order: created, id or next; reversed with `-` in front
    #[arg(long, allow_hyphen_values = true)]
    sort: Option<String>,
}

impl JobFilter {
    /// Returns the parameters of the request, each with `&` in front.
    fn query(&self) -> String {
        let given = [
            ("state", &self.state),
            ("q", &self.search),
            ("label", &self.label),
            ("trigger", &self.trigger),
            ("outcome", &self.outcome),
            ("sort", &self.sort),
        ];
        let given = given.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        given.map(|(name, value)| format!("&{name}={}", escape(value))).collect()
    }
}

/// Runs a command at the moment `now` and returns its output.
///
/// # Errors
///
/// Fails when the server cannot be reached or refuses, when a document cannot be read, or when nothing was launched.
pub(crate) async fn run(
    command: &JobsCommand,
    client: &Client,
    as_json: bool,
    now: Timestamp,
) -> Result<String, CommandError> {
    let (answer, people): (Value, Renderer) = match command {
        JobsCommand::List(filter) => {
            let query = filter.query();
            let answer = list_jobs(client, &query).await?;
            let people = || show::jobs(&answer, !query.is_empty(), filter.state.as_deref(), now);
            return Ok(if as_json { show::json(&answer) } else { people() });
        }
        JobsCommand::Get { id } => (client.get(&path(id, "")).await?, show::json),
        JobsCommand::Create { file, validate, dry_run } => {
            let query = write_query(validate.as_deref(), *dry_run);
            let show = if *dry_run { dry_run::describe } else { show::created };
            return create::run(file, &query, show, client, as_json).await;
        }
        JobsCommand::Edit { id, file, validate, dry_run } => {
            let change = read_document(file)?;
            let query = write_query(validate.as_deref(), *dry_run);
            let show = if *dry_run { dry_run::describe } else { show::changed };
            let etag = client.send(Method::GET, &path(id, ""), None, &[]).await?.etag;
            let seen: Vec<_> = etag.iter().map(|etag| (header::IF_MATCH, etag.as_str())).collect();
            (client.send(Method::PUT, &path(id, &query), Some(&change), &seen).await?.body, show)
        }
        JobsCommand::Delete { id } => {
            (client.send(Method::DELETE, &path(id, ""), None, &[]).await?.body, show::deleted)
        }
        JobsCommand::Fire(args) => return fire::run(args, client, as_json).await,
        JobsCommand::Backfill(args) => return backfill::run(args, client, as_json).await,
        JobsCommand::Bulk(args) => return bulk::run(args, client, as_json).await,
        JobsCommand::Logs(args) => return logs::run(args, client, as_json).await,
        JobsCommand::Suspend { id, reason, until } => {
            let body = suspension(reason.as_deref(), until.as_deref());
            (client.send(Method::POST, &path(id, "/suspend"), Some(&body), &[]).await?.body, show::suspended)
        }
        JobsCommand::Resume { id } => (
            client.send(Method::POST, &path(id, "/resume"), Some(&json!({})), &[]).await?.body,
            show::resumed,
        ),
        JobsCommand::Next { id, count } => {
            (client.get(&path(id, &format!("/next?count={count}"))).await?, show::preview)
        }
        JobsCommand::Explain { id, limit, filter } => {
            (explain(client, id, *limit, filter).await?, show::decisions)
        }
        JobsCommand::History { id, limit, state, filter } => {
            let more = [("state", state.as_deref())];
            let place = path(id, "/firings");
            (history::read(client, &place, "firings", *limit, filter, &more).await?, show::firings)
        }
    };
    Ok(if as_json { show::json(&answer) } else { people(&answer) })
}

/// Returns the body of a request that suspends a job.
fn suspension(reason: Option<&str>, until: Option<&str>) -> Value {
    let mut body = json!({});
    for (name, value) in [("reason", reason), ("until", until)] {
        if let Some(value) = value {
            body[name] = value.into();
        }
    }
    body
}

/// Returns the query of a request that writes a job.
fn write_query(validate: Option<&str>, dry_run: bool) -> String {
    let validate = validate.map(|how| format!("validate={how}"));
    let parts: Vec<String> = validate.into_iter().chain(dry_run.then(|| "dryRun=true".to_owned())).collect();
    if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
}

/// Reads decisions about a job, how it fails, and the firings that belong to the decisions.
async fn explain(
    client: &Client,
    id: &str,
    limit: u32,
    filter: &HistoryFilter,
) -> Result<Value, CommandError> {
    let mut answer = history::read(client, &path(id, "/decisions"), "decisions", limit, filter, &[]).await?;
    // The history of a removed job can be read, too.
    if let Ok(job) = client.get(&path(id, "")).await {
        for name in ["state", "retrying", "failing", "failingTasks", "breakerState", "settledUntil"] {
            if let Some(trouble) = job.get(name) {
                answer[name] = trouble.clone();
            }
        }
    }
    // The newest decisions belong to none but the newest firings, unless some decisions are left out.
    answer["firings"] = if filter.is_set() {
        let named =
            show::list(&answer, "decisions").iter().filter_map(|decision| decision["firing"].as_str());
        let mut firings = Vec::new();
        for firing in named {
            // The history of a firing may have been pruned since.
            firings.extend(client.get(&format!("/firings/{}", escape(firing))).await.ok());
        }
        firings.into()
    } else {
        client.get(&path(id, &format!("/firings?limit={limit}"))).await?["firings"].take()
    };
    Ok(answer)
}

/// Renders a response for people.
type Renderer = fn(&Value) -> String;

/// Reads every page of the list of jobs with these further parameters.
pub(super) async fn list_jobs(client: &Client, filter: &str) -> Result<Value, CommandError> {
    let (mut jobs, mut next) = (Vec::new(), Some(format!("/jobs?count=1000{filter}")));
    while let Some(path) = next {
        let mut page = client.get(&path).await?;
        jobs.append(page["jobs"].as_array_mut().unwrap_or(&mut Vec::new()));
        next = page["next"].as_str().map(str::to_owned);
    }
    Ok(json!({ "jobs": jobs }))
}
