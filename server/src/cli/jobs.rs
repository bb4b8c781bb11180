//! `ecs-scheduler jobs …`: what a person does with jobs on a running server.

pub(super) mod create;
mod fire;
pub(super) mod show;

use std::path::PathBuf;

use clap::Subcommand;
use reqwest::{Method, header};
use serde_json::{Value, json};

use self::fire::FireArgs;
use super::client::Client;
use super::error::CommandError;
use super::input::document;

/// What to do with jobs.
#[derive(Debug, Clone, Subcommand)]
pub enum JobsCommand {
    /// List all jobs
    List,
    /// Print a job's document
    Get {
        /// The job
        id: String,
    },
    /// Create a job from a JSON document, or all jobs of an array of documents
    Create {
        /// The document, or an array as `import keda` prints it; `-` reads standard input
        file: PathBuf,
        /// Also look at what each job names on AWS before it is written: its task definition, the sources of its trigger
        #[arg(long, value_name = "WHAT", value_parser = ["aws"])]
        validate: Option<String>,
    },
    /// Change fields of a job: what the document names is replaced, null removes, the rest stays
    Edit {
        /// The job
        id: String,
        /// The document with the changed fields; `-` reads standard input
        file: PathBuf,
        /// Also look at what the changed job names on AWS before it is written
        #[arg(long, value_name = "WHAT", value_parser = ["aws"])]
        validate: Option<String>,
    },
    /// Delete a job; its running tasks go on
    Delete {
        /// The job
        id: String,
    },
    /// Fire a job now; its schedule is not touched. The exit code is 5 when it is known that nothing was launched: see `--wait`
    Fire(FireArgs),
    /// Stop looking at a job
    Suspend {
        /// The job
        id: String,
        /// Why
        #[arg(long)]
        reason: Option<String>,
        /// When it ends by itself (RFC 3339)
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
    },
    /// Look at a suspended job again; what it missed is not made up for
    Resume {
        /// The job
        id: String,
    },
    /// Show a job's next ticks
    Next {
        /// The job
        id: String,
        /// How many
        #[arg(long, default_value_t = 10)]
        count: u32,
    },
    /// Say how the newest ticks of a job ended and why, step by step
    Explain {
        /// The job
        id: String,
        /// How many decisions
        #[arg(long, default_value_t = 3)]
        limit: u32,
        /// Only decisions with this outcome
        #[arg(long)]
        outcome: Option<String>,
    },
    /// List the newest firings of a job and what became of their tasks
    History {
        /// The job
        id: String,
        /// How many firings
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
}

/// Carries out a command and returns what it prints.
///
/// # Errors
///
/// Fails when the server cannot be reached or refuses, when a document cannot be read, or when nothing was launched.
pub async fn run(command: &JobsCommand, client: &Client, as_json: bool) -> Result<String, CommandError> {
    let (answer, people): (Value, Show) = match command {
        JobsCommand::List => (list(client).await?, show::jobs),
        JobsCommand::Get { id } => (client.get(&path(id, "")).await?, show::json),
        JobsCommand::Create { file, validate } => {
            return create::run(file, validate.as_deref(), client, as_json).await;
        }
        JobsCommand::Edit { id, file, validate } => {
            let change = document(file)?;
            let query = validate.as_ref().map(|how| format!("?validate={how}")).unwrap_or_default();
            let etag = client.send(Method::GET, &path(id, ""), None, &[]).await?.etag;
            let seen: Vec<_> = etag.iter().map(|etag| (header::IF_MATCH, etag.as_str())).collect();
            (client.send(Method::PUT, &path(id, &query), Some(&change), &seen).await?.body, show::changed)
        }
        JobsCommand::Delete { id } => {
            (client.send(Method::DELETE, &path(id, ""), None, &[]).await?.body, show::deleted)
        }
        JobsCommand::Fire(args) => return fire::run(args, client, as_json).await,
        JobsCommand::Suspend { id, reason, until } => {
            let mut body = json!({});
            for (name, value) in [("reason", reason), ("until", until)] {
                if let Some(value) = value {
                    body[name] = value.as_str().into();
                }
            }
            (client.send(Method::POST, &path(id, "/suspend"), Some(&body), &[]).await?.body, show::suspended)
        }
        JobsCommand::Resume { id } => (
            client.send(Method::POST, &path(id, "/resume"), Some(&json!({})), &[]).await?.body,
            show::resumed,
        ),
        JobsCommand::Next { id, count } => {
            (client.get(&path(id, &format!("/next?count={count}"))).await?, show::preview)
        }
        JobsCommand::Explain { id, limit, outcome } => {
            let outcome = outcome.as_ref().map(|outcome| format!("&outcome={}", escape(outcome)));
            let query = format!("/decisions?limit={limit}{}", outcome.unwrap_or_default());
            let mut answer = client.get(&path(id, &query)).await?;
            // The history of a removed job can be read, too.
            if let Ok(job) = client.get(&path(id, "")).await {
                for name in ["retrying", "failing", "settledUntil"] {
                    if let Some(trouble) = job.get(name) {
                        answer[name] = trouble.clone();
                    }
                }
            }
            (answer, show::decisions)
        }
        JobsCommand::History { id, limit } => {
            (client.get(&path(id, &format!("/firings?limit={limit}"))).await?, show::firings)
        }
    };
    Ok(if as_json { show::json(&answer) } else { people(&answer) })
}

/// How an answer is shown to people.
type Show = fn(&Value) -> String;

/// Reads every page of the list.
pub(super) async fn list(client: &Client) -> Result<Value, CommandError> {
    let mut jobs = Vec::new();
    loop {
        let mut page = client.get(&format!("/jobs?skip={}&count=1000", jobs.len())).await?;
        let Some(found) = page["jobs"].as_array_mut().filter(|found| !found.is_empty()) else { break };
        jobs.append(found);
        if page["next"].is_null() {
            break;
        }
    }
    Ok(json!({ "jobs": jobs }))
}

fn path(id: &str, rest: &str) -> String {
    format!("/jobs/{}{rest}", escape(id))
}

/// Escapes everything that may mean something in a URL; a job's id never needs it, a typing error may.
pub(super) fn escape(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut escaped, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
        escaped
    })
}
