//! `ecs-scheduler jobs create`: one job, or all jobs of an array.

use std::path::Path;

use reqwest::Method;
use serde_json::Value;

use super::show;
use crate::client::Client;
use crate::error::CommandError;
use crate::input::{InputDocuments, read_documents};
use crate::output::print;

/// The answers of a server to several documents.
#[derive(Debug, Default)]
pub(in crate::cli) struct CreateResults {
    /// The responses for the accepted documents, in order.
    pub(in crate::cli) answers: Vec<Value>,
    /// The reasons for refused documents.
    refused: Vec<String>,
    /// The reason why the remaining documents were not sent.
    unreachable: Option<CommandError>,
}

impl CreateResults {
    /// Returns the output for the created jobs; if others failed, prints it and fails.
    ///
    /// # Errors
    ///
    /// Fails with the reason for each of the others.
    pub(in crate::cli) fn into_output(self, text: String) -> Result<String, CommandError> {
        if self.unreachable.is_none() && self.refused.is_empty() {
            return Ok(text);
        }
        print(&text);
        Err(self.unreachable.unwrap_or_else(|| CommandError::Refused { message: self.refused.join("\n") }))
    }
}

/// Creates the jobs of a file, and shows each answer for people by `show`. `query` is that of each request.
///
/// # Errors
///
/// Fails when the file cannot be read, and when the server cannot be reached or refuses a job.
pub(super) async fn run(
    file: &Path,
    query: &str,
    show: fn(&Value) -> String,
    client: &Client,
    as_json: bool,
) -> Result<String, CommandError> {
    let InputDocuments { mut items, many } = read_documents(file)?;
    if !many {
        // The server's message is enough for a single document.
        items.iter_mut().for_each(|(name, _)| name.clear());
    }
    let created = create_all(&items, query, client).await;
    let text = match (as_json, many) {
        (false, _) => created.answers.iter().map(show).collect(),
        (true, true) => show::json(&created.answers.clone().into()),
        (true, false) => created.answers.first().map(show::json).unwrap_or_default(),
    };
    created.into_output(text)
}

/// Creates jobs one after the other, each with its name in messages. A refused job does not stop the others.
pub(in crate::cli) async fn create_all(
    jobs: &[(String, Value)],
    query: &str,
    client: &Client,
) -> CreateResults {
    let path = format!("/jobs{query}");
    let mut created = CreateResults::default();
    for (name, job) in jobs {
        match client.send(Method::POST, &path, Some(job), &[]).await {
            Ok(answer) => created.answers.push(answer.body),
            Err(error @ CommandError::Unreachable { .. }) => {
                created.unreachable = Some(error);
                break;
            }
            Err(error) if name.is_empty() => created.refused.extend(error.lines()),
            Err(error) => created.refused.push(format!("{name}: {}", error.lines().join("\n"))),
        }
    }
    created
}
