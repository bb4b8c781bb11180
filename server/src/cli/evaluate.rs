//! `ecs-scheduler evaluate`: dry-runs the decision for a job document with the API of this process.
//!
//! The same handler answers as for `POST /evaluate`, over an empty store, so the text is identical and there is no
//! second implementation of the decision. The configured launcher checks the job and starts nothing.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use clap::Args;
use ecs_scheduler_core::replica::SchedulerNode;
use serde_json::{Map, Value, json};
use std::time::Duration;
use tower::ServiceExt as _;

use super::flags::SettingFlags;
use super::jobs::show;
use super::offline_launcher::{self, OfflineLauncher};
use crate::access::AccessControl;
use crate::api::{self, ApiState};
use crate::client::refusal;
use crate::config::Config;
use crate::error::CommandError;
use crate::input::{InputDocuments, read_documents};
use crate::output::{print, printable};
use crate::server::{ServerBuilder, Services, start_services};

/// The maximum size of an answer, in bytes.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Job documents and assumed values.
#[derive(Debug, Clone, Args)]
pub struct EvaluateArgs {
    /// The job's document, or an array of documents as `import keda` prints it; `-` reads standard input
    file: PathBuf,
    /// Assumed values, repeated or separated by commas: `visible=40,inFlight=8`, the messages of the queue;
    /// `demand=12`, the number of tasks that the trigger asks for; `busy=4`, the number of pending and running tasks
    /// (default 0)
    #[arg(long, value_name = "NAME=COUNT", value_delimiter = ',', value_parser = assumption)]
    given: Vec<Assumption>,
    /// Print the answer as JSON; an array when the file is one
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) settings: SettingFlags,
}

/// A value that is assumed instead of read.
#[derive(Debug, Clone)]
struct Assumption {
    name: &'static str,
    count: u32,
}

/// The values that can be assumed: plain ones, and counts of the queue.
const ASSUMABLE: [&str; 2] = ["demand", "busy"];
const QUEUE_COUNTS: [&str; 2] = ["visible", "inFlight"];

fn assumption(text: &str) -> Result<Assumption, String> {
    let (name, count) = text.split_once('=').ok_or("write NAME=COUNT, for example demand=12")?;
    let known = ASSUMABLE.into_iter().chain(QUEUE_COUNTS).find(|known| *known == name);
    let name =
        known.ok_or_else(|| format!("\"{name}\" cannot be given; demand, busy, visible and inFlight can"))?;
    let count = count.parse().map_err(|_| format!("\"{count}\" is not a count"))?;
    Ok(Assumption { name, count })
}

/// Converts assumptions to the JSON of the API; `busy` is 0 by default.
fn given_json(assumptions: &[Assumption]) -> Value {
    let (mut given, mut observations) = (Map::new(), Map::new());
    given.insert("busy".to_owned(), 0.into());
    for Assumption { name, count } in assumptions {
        let members = if QUEUE_COUNTS.contains(name) { &mut observations } else { &mut given };
        members.insert((*name).to_owned(), (*count).into());
    }
    if !observations.is_empty() {
        given.insert("observations".to_owned(), observations.into());
    }
    given.into()
}

/// Makes the decisions and returns them as text or JSON.
///
/// # Errors
///
/// Fails when the file cannot be read or a document in it is not a valid job; the decisions about the others are
/// printed.
pub(crate) async fn run(
    args: &EvaluateArgs,
    builder: &ServerBuilder,
    config: &Config,
) -> Result<String, CommandError> {
    let InputDocuments { items, many } = read_documents(&args.file)?;
    let (engine, state) = start_offline_engine(builder, config).await?;
    let router = api::router(state);
    let (mut answers, mut text, mut refused) = (Vec::new(), String::new(), Vec::new());
    for (name, document) in items {
        let body = json!({ "job": document, "given": given_json(&args.given) });
        match answer(&router, &name, &body).await {
            Ok(answer) => {
                let heading = if many { format!("{}\n", printable(&name)) } else { String::new() };
                text.push_str(&format!("{heading}{}", show::decision(&answer)));
                answers.push(answer);
            }
            Err(error) => refused.extend(error.lines()),
        }
    }
    engine.stop(Duration::from_secs(1)).await;
    let text = match (args.json, many) {
        (false, _) => text,
        (true, true) => show::json(&answers.into()),
        (true, false) => answers.first().map(show::json).unwrap_or_default(),
    };
    if refused.is_empty() {
        return Ok(text);
    }
    print(&text);
    Err(CommandError::failed(refused.join("\n")))
}

/// Starts an engine over an empty store.
async fn start_offline_engine(
    builder: &ServerBuilder,
    config: &Config,
) -> Result<(SchedulerNode, ApiState), CommandError> {
    let failed = |error| CommandError::caused("could not make an empty store", error);
    let checks = offline_launcher::open_to_check(builder, config).await?;
    let services = Services {
        access: AccessControl::default(),
        registry: builder.registry()?,
        providers: Arc::clone(builder.providers()),
        store: builder.open_store_read_only(config).await.map_err(failed)?,
        launcher: Arc::new(OfflineLauncher::with_checks(checks)),
        clock: Arc::clone(builder.clock()),
        aws: None,
        topics: None,
    };
    start_services(services, config, config.listen).await
}

async fn answer(router: &Router, name: &str, body: &Value) -> Result<Value, CommandError> {
    let request = Request::post("/evaluate")
        .header(header::HOST, "127.0.0.1")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .expect("the parts of the request are constants");
    let Ok(response) = router.clone().oneshot(request).await;
    let status = response.status();
    let bytes = to_bytes(response.into_body(), MAX_ANSWER)
        .await
        .map_err(|error| CommandError::caused("could not read the decision", error))?;
    let answer: Value = serde_json::from_slice(&bytes)
        .map_err(|error| CommandError::caused("could not read the decision", error))?;
    if status.is_success() {
        return Ok(answer);
    }
    let attempt = format!("could not evaluate \"{name}\"");
    Err(CommandError::failed(refusal(&attempt, status, &answer, "")))
}
