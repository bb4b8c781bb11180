//! `ecs-scheduler token`: the access tokens of a server.

use std::collections::HashSet;
use std::path::Path;

use clap::{Args, Subcommand};
use ecs_scheduler_core::Timestamp;
use jiff::{SignedDuration, Span, SpanRelativeTo};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::jobs::show::{self, list};
use crate::access::{BootstrapFile, Scope};
use crate::client::{Client, escape};
use crate::config::setting::DATA_DIR;
use crate::config::values::Values;
use crate::error::CommandError;
use crate::output::print_error;
use crate::output::table::{cell, table};

/// Commands for access tokens.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum TokenCommand {
    /// Create a token; it is printed once, and stored nowhere
    Create(CreateArgs),
    /// List the tokens without their secrets (the default)
    List,
    /// Revoke a token; every replica refuses it within a second
    Revoke {
        /// The token's id, as `token list` shows it
        id: String,
    },
}

/// The token to create.
#[derive(Debug, Clone, Args)]
pub(crate) struct CreateArgs {
    /// Purpose of the token; with `--bootstrap`, `admin` by default
    #[arg(long, required_unless_present = "bootstrap")]
    name: Option<String>,
    /// Scopes: jobs:read, jobs:write, jobs:fire, history:read, logs:read, admin; with `--bootstrap`, `admin` by default
    #[arg(long, value_name = "SCOPE", value_delimiter = ',', value_parser = scope, required_unless_present = "bootstrap")]
    scopes: Vec<Scope>,
    /// Only for jobs that have all of these labels
    #[arg(long, value_name = "NAME=VALUE", value_delimiter = ',', value_parser = label)]
    labels: Vec<(String, String)>,
    /// The time after which it is refused: 90d, 12h (default: never)
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    expires: Option<SignedDuration>,
    /// Ask the server on this machine, by a file in its `ECSS_DATA_DIR`; needs no token
    #[arg(long)]
    bootstrap: bool,
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::find(text).ok_or_else(|| format!("it must be one of {}", Scope::names()))
}

fn label(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = parts.ok_or("it must be a name, =, and a value: team=media")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn lifetime(text: &str) -> Result<SignedDuration, String> {
    let wrong = || "it must be a time such as 90d or 12h".to_owned();
    let span: Span = text.parse().map_err(|_| wrong())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    if duration.is_positive() { Ok(duration) } else { Err("it must be more than nothing".to_owned()) }
}

/// Runs a command at the moment `now` and returns its output.
///
/// # Errors
///
/// Fails when the server cannot be reached or refuses, and when the file for `--bootstrap` cannot be read.
pub(super) async fn run(
    command: Option<&TokenCommand>,
    client: &Client,
    as_json: bool,
    values: &Values,
    now: Timestamp,
) -> Result<String, CommandError> {
    match command {
        Some(TokenCommand::Create(args)) => create(args, client, as_json, values, now).await,
        None | Some(TokenCommand::List) => {
            let answer = client.get("/tokens").await?;
            Ok(if as_json { show::json(&answer) } else { tokens(&answer) })
        }
        Some(TokenCommand::Revoke { id }) => {
            // A whole token is accepted: its secret is not sent, because a path is logged.
            let id = id.strip_prefix("ecss_").and_then(|token| token.split('_').next()).unwrap_or(id);
            let path = format!("/tokens/{}", escape(id));
            let answer = client.send(Method::DELETE, &path, None, &[]).await?.body;
            let text = || format!("revoked token {}\n", cell(&answer["id"]));
            Ok(if as_json { show::json(&answer) } else { text() })
        }
    }
}

async fn create(
    args: &CreateArgs,
    client: &Client,
    as_json: bool,
    values: &Values,
    now: Timestamp,
) -> Result<String, CommandError> {
    let local = if args.bootstrap { Some(local_client(values)?) } else { None };
    let (client, body) = (local.as_ref().unwrap_or(client), body(args, now)?);
    let answer = client.send(Method::POST, "/tokens", Some(&body), &[]).await?.body;
    if as_json {
        return Ok(show::json(&answer));
    }
    print_error(&format!(
        "created token {} with {}; it is shown only now:\n",
        cell(&answer["id"]),
        words(&answer["scopes"])
    ));
    Ok(format!("{}\n", cell(&answer["token"])))
}

/// Makes a client of the server on this machine.
fn local_client(values: &Values) -> Result<Client, CommandError> {
    let data_dir = Path::new(values.text_or_default(&DATA_DIR));
    let file = BootstrapFile::read(data_dir).map_err(|error| {
        let path = BootstrapFile::path(data_dir);
        let message = format!(
            "could not read \"{}\"; run the command on the machine of a server with ECSS_AUTH=tokens, as the server's user \
             and with its ECSS_DATA_DIR",
            path.display()
        );
        CommandError::caused(message, error)
    })?;
    Client::new(&file.server)?.with_token(Some(&file.token))
}

fn body(args: &CreateArgs, now: Timestamp) -> Result<Value, CommandError> {
    let mut names = HashSet::new();
    if let Some((name, _)) = args.labels.iter().find(|(name, _)| !names.insert(name)) {
        let problem = format!("the label \"{name}\" is there twice; give each label once");
        return Err(CommandError::failed(problem));
    }
    let scopes = if args.scopes.is_empty() { vec![Scope::Admin] } else { args.scopes.clone() };
    let mut body = Map::new();
    body.insert("name".to_owned(), args.name.as_deref().unwrap_or(Scope::Admin.as_str()).into());
    body.insert("scopes".to_owned(), json!(scopes));
    if !args.labels.is_empty() {
        let labels = args.labels.iter().map(|(name, value)| (name.clone(), Value::from(value.clone())));
        body.insert("labels".to_owned(), Value::Object(labels.collect()));
    }
    if let Some(lifetime) = args.expires {
        let expires = now
            .checked_add(lifetime)
            .map_err(|error| CommandError::caused("could not compute the expiry", error))?;
        body.insert("expires".to_owned(), expires.to_string().into());
    }
    Ok(body.into())
}

fn words(values: &Value) -> String {
    let words: Vec<String> = values.as_array().into_iter().flatten().map(cell).collect();
    words.join(" ")
}

fn tokens(answer: &Value) -> String {
    let tokens = list(answer, "tokens");
    if tokens.is_empty() {
        return "no token yet\n".to_owned();
    }
    let row = |token: &Value| {
        let labels = token["labels"].as_object().into_iter().flatten();
        let labels: Vec<String> = labels.map(|(name, value)| format!("{name}={}", cell(value))).collect();
        vec![
            cell(&token["id"]),
            cell(&token["name"]),
            words(&token["scopes"]),
            if labels.is_empty() { "all jobs".to_owned() } else { labels.join(" ") },
            cell(&token["created"]),
            cell(&token["expires"]),
            cell(&token["lastUsed"]),
        ]
    };
    let header = ["ID", "NAME", "SCOPES", "JOBS", "CREATED", "EXPIRES", "LAST USED"];
    table(&header, tokens.iter().map(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_positive_times() {
        assert_eq!(lifetime("90d").unwrap(), SignedDuration::from_hours(90 * 24));
        assert_eq!(lifetime("12h").unwrap(), SignedDuration::from_hours(12));
        for wrong in ["", "90", "-1d", "0h", "1 year", "soon"] {
            assert!(lifetime(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn labels_are_names_and_values() {
        assert_eq!(label("team=a=b").unwrap(), ("team".to_owned(), "a=b".to_owned()));
        assert!(label("team").is_err() && label("=x").is_err());
    }
}
