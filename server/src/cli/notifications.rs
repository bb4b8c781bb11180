//! `ecs-scheduler notifications`: the channels of a running server, their deliveries, and a test.

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::jobs::show::{self, list};
use crate::client::Client;
use crate::error::CommandError;
use crate::output::print;
use crate::output::table::{cell, table};

#[cfg(test)]
mod tests;

/// Commands for notifications.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum NotificationsCommand {
    /// List the channels, the notifications that wait, and those that were given up (the default)
    List {
        /// Only this channel
        #[arg(long)]
        channel: Option<String>,
    },
    /// Send a test to a channel; the exit code is 1 if its receiver does not confirm it
    Test {
        /// The channel
        channel: String,
    },
}

/// Runs a command and returns its output.
///
/// # Errors
///
/// Fails when the server cannot be reached or refuses, and when a test is not delivered.
pub(super) async fn run(
    command: Option<&NotificationsCommand>,
    client: &Client,
    as_json: bool,
) -> Result<String, CommandError> {
    match command {
        None => deliveries(client, None, as_json).await,
        Some(NotificationsCommand::List { channel }) => deliveries(client, channel.as_deref(), as_json).await,
        Some(NotificationsCommand::Test { channel }) => test(client, channel, as_json).await,
    }
}

async fn deliveries(client: &Client, channel: Option<&str>, as_json: bool) -> Result<String, CommandError> {
    let mut answer = client.get("/notifications").await?;
    if let Some(channel) = channel {
        for (part, name) in [("channels", "name"), ("pending", "channel"), ("failed", "channel")] {
            if let Some(entries) = answer[part].as_array_mut() {
                entries.retain(|entry| entry[name] == channel);
            }
        }
        let is_known = ["channels", "failed"].iter().any(|part| !list(&answer, part).is_empty());
        if !is_known {
            return Err(CommandError::failed(format!("there is no channel \"{channel}\"")));
        }
    }
    Ok(if as_json { show::json(&answer) } else { shown(&answer) })
}

async fn test(client: &Client, channel: &str, as_json: bool) -> Result<String, CommandError> {
    let body = json!({ "channel": channel });
    let answer = client.send(Method::POST, "/notifications/test", Some(&body), &[]).await?.body;
    let text = if as_json { show::json(&answer) } else { String::new() };
    if answer["delivered"] == true {
        return Ok(if as_json { text } else { format!("channel {channel} has confirmed the test\n") });
    }
    print(&text);
    Err(CommandError::failed(format!(
        "channel {channel} did not confirm the test: {}",
        cell(&answer["error"])
    )))
}

/// Shows the channels, then what waits and what was given up.
fn shown(answer: &Value) -> String {
    let channels = list(answer, "channels");
    if channels.is_empty() && list(answer, "failed").is_empty() {
        return "no channel is configured: see notify.channels in the documentation\n".to_owned();
    }
    let channel = |channel: &Value| {
        let configured = if channel["configured"] == true { "yes" } else { "no" };
        let mut row = vec![cell(&channel["name"]), configured.to_owned()];
        row.extend(["pending", "oldest", "error"].map(|name| cell(&channel[name])));
        row
    };
    let mut text =
        table(&["CHANNEL", "CONFIGURED", "PENDING", "OLDEST", "LAST ERROR"], channels.iter().map(channel));
    let parts = [
        ("pending", "WAITING", &["channel", "at", "attempts", "nextAttempt", "summary", "error"][..]),
        ("failed", "GIVEN UP", &["channel", "at", "attempts", "summary", "error"]),
    ];
    for (part, title, names) in parts {
        let entries = list(answer, part);
        if entries.is_empty() {
            continue;
        }
        let header = names.iter().map(|name| match *name {
            "channel" => title,
            "at" => "AT",
            "attempts" => "ATTEMPTS",
            "nextAttempt" => "NEXT ATTEMPT",
            "summary" => "NOTIFICATION",
            _ => "ERROR",
        });
        let header: Vec<&str> = header.collect();
        let row = |entry: &Value| names.iter().map(|name| cell(&entry[*name])).collect();
        text.push('\n');
        text.push_str(&table(&header, entries.iter().map(row)));
    }
    text
}
