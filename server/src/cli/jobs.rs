//! `ecs-scheduler jobs …`: what a person does with jobs on a running server.

pub(super) mod show;

use std::io::Read as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::{Method, header};
use serde_json::{Value, json};

use super::client::Client;
use super::error::CommandError;

/// Where the server is and how to print.
#[derive(Debug, Clone, Args)]
pub struct ClientArgs {
    /// The server's URL; else `ECSS_SERVER`, else `http://127.0.0.1:5000`
    #[arg(long, value_name = "URL", global = true)]
    pub server: Option<String>,
    /// Print the server's JSON instead of a table
    #[arg(long, global = true)]
    pub json: bool,
}

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
    /// Create a job from a JSON document
    Create {
        /// The document; `-` reads standard input
        file: PathBuf,
    },
    /// Change fields of a job: what the document names is replaced, null removes, the rest stays
    Edit {
        /// The job
        id: String,
        /// The document with the changed fields; `-` reads standard input
        file: PathBuf,
    },
    /// Delete a job; its running tasks go on
    Delete {
        /// The job
        id: String,
    },
    /// Fire a job now; its schedule is not touched
    Fire {
        /// The job
        id: String,
        /// Repeats of a request with the same key fire once
        #[arg(long, value_name = "KEY")]
        idempotency_key: Option<String>,
    },
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
/// Fails when the server cannot be reached or refuses, or when a document cannot be read.
pub async fn run(command: &JobsCommand, client: &Client, json: bool) -> Result<String, CommandError> {
    let (answer, people) = call(command, client).await?;
    Ok(if json { show::json(&answer) } else { people(&answer) })
}

/// How an answer is shown to people.
type Show = fn(&Value) -> String;

async fn call(command: &JobsCommand, client: &Client) -> Result<(Value, Show), CommandError> {
    Ok(match command {
        JobsCommand::List => (list(client).await?, show::jobs),
        JobsCommand::Get { id } => (client.get(&path(id, "")).await?, show::json),
        JobsCommand::Create { file } => {
            let answer = client.send(Method::POST, "/jobs", Some(&document(file)?), &[]).await?;
            (answer.body, show::created)
        }
        JobsCommand::Edit { id, file } => {
            let change = document(file)?;
            let etag = client.send(Method::GET, &path(id, ""), None, &[]).await?.etag;
            let seen: Vec<_> = etag.iter().map(|etag| (header::IF_MATCH, etag.as_str())).collect();
            let answer = client.send(Method::PUT, &path(id, ""), Some(&change), &seen).await?;
            (answer.body, show::changed)
        }
        JobsCommand::Delete { id } => {
            (client.send(Method::DELETE, &path(id, ""), None, &[]).await?.body, show::deleted)
        }
        JobsCommand::Fire { id, idempotency_key } => {
            let name = header::HeaderName::from_static("idempotency-key");
            let key: Vec<_> = idempotency_key.iter().map(|key| (name.clone(), key.as_str())).collect();
            (
                client.send(Method::POST, &path(id, "/firings"), Some(&json!({})), &key).await?.body,
                show::fired,
            )
        }
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
    })
}

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
fn escape(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut escaped, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
        escaped
    })
}

/// Reads a JSON document from a file or standard input.
///
/// # Errors
///
/// Fails when it cannot be read or is not JSON.
pub(super) fn document(file: &PathBuf) -> Result<Value, CommandError> {
    let (text, name) = if file.as_os_str() == "-" {
        let mut text = String::new();
        (std::io::stdin().read_to_string(&mut text).map(|_| text), "standard input".to_owned())
    } else {
        (std::fs::read_to_string(file), format!("\"{}\"", file.display()))
    };
    let text = text.map_err(|error| CommandError::caused(format!("could not read {name}"), error))?;
    serde_json::from_str(&text)
        .map_err(|error| CommandError::caused(format!("could not read {name} as JSON"), error))
}
