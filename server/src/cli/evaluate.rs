//! `ecs-scheduler evaluate`: a decision about a job document, made by the API of this process.
//!
//! The same handler answers as for `POST /evaluate`, over an empty store and without a launcher, so that the text is
//! the same to the letter and there is no second way to decide.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use clap::Args;
use ecs_scheduler_core::{
    FaultKind, JobId, LaunchError, LaunchLimits, LaunchReport, LaunchRequest, Launcher, Population, TaskId,
    TaskSpec, TaskState,
};
use serde_json::{Map, Value, json};
use std::num::NonZeroU32;
use std::time::Duration;
use tower::ServiceExt as _;

use super::client::refusal;
use super::error::CommandError;
use super::jobs::{document, show};
use crate::api;
use crate::config::{AwsConfig, Config, LauncherConfig, LogConfig, LogLevel, ReplicaConfig, StoreConfig};
use crate::server::{Parts, ServerBuilder, assemble};

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// A job document, and what to assume.
#[derive(Debug, Clone, Args)]
pub struct EvaluateArgs {
    /// The job's document; `-` reads standard input
    file: PathBuf,
    /// What to assume instead of reading it, once or more, or separated by commas: `visible=40,inFlight=8`, the
    /// messages of the queue; `demand=12`, how many tasks the trigger asks for; `busy=4`, how many tasks are pending
    /// or running (without it: none)
    #[arg(long, value_name = "NAME=COUNT", value_delimiter = ',', value_parser = assumption)]
    given: Vec<Assumption>,
    /// The bound of every job, as `ECSS_MAX_TASKS` sets it for a server
    #[arg(long, value_name = "COUNT", default_value = "50")]
    max_tasks: NonZeroU32,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// A number of which the API takes the word.
#[derive(Debug, Clone)]
struct Assumption {
    name: &'static str,
    count: u32,
}

/// What can be given: as it is, and of the queue.
const NUMBERS: [&str; 2] = ["demand", "busy"];
const OF_THE_QUEUE: [&str; 2] = ["visible", "inFlight"];

fn assumption(text: &str) -> Result<Assumption, String> {
    let (name, count) = text.split_once('=').ok_or("write NAME=COUNT, for example demand=12")?;
    let known = NUMBERS.into_iter().chain(OF_THE_QUEUE).find(|known| *known == name);
    let name =
        known.ok_or_else(|| format!("\"{name}\" cannot be given; demand, busy, visible and inFlight can"))?;
    let count = count.parse().map_err(|_| format!("\"{count}\" is not a count"))?;
    Ok(Assumption { name, count })
}

/// Spells assumptions as the API does. Without `busy` nothing is.
fn given(assumptions: &[Assumption]) -> Value {
    let (mut given, mut observations) = (Map::new(), Map::new());
    given.insert("busy".to_owned(), 0.into());
    for Assumption { name, count } in assumptions {
        let members = if OF_THE_QUEUE.contains(name) { &mut observations } else { &mut given };
        members.insert((*name).to_owned(), (*count).into());
    }
    if !observations.is_empty() {
        given.insert("observations".to_owned(), observations.into());
    }
    given.into()
}

/// Decides, and returns the decision as people or programs read it.
///
/// # Errors
///
/// Fails when the document cannot be read or is not a valid job.
pub async fn run(args: &EvaluateArgs, builder: &ServerBuilder) -> Result<String, CommandError> {
    let answer = answer(args, builder).await?;
    Ok(if args.json { show::json(&answer) } else { show::decision(&answer) })
}

async fn answer(args: &EvaluateArgs, builder: &ServerBuilder) -> Result<Value, CommandError> {
    let body = json!({ "job": document(&args.file)?, "given": given(&args.given) });
    let config = nowhere(args.max_tasks);
    let failed = |error| CommandError::caused("could not make an empty store", error);
    let parts = Parts {
        registry: builder.registry()?,
        store: builder.store_to_read(&config).await.map_err(failed)?,
        launcher: Arc::new(NoLauncher),
        clock: Arc::clone(builder.clock()),
        aws: None,
    };
    let (engine, state) = assemble(parts, &config, config.listen).await?;
    let request = Request::post("/evaluate")
        .header(header::HOST, "127.0.0.1")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .expect("the parts of the request are constants");
    let Ok(response) = api::router(state).oneshot(request).await;
    let status = response.status();
    let bytes = to_bytes(response.into_body(), MAX_ANSWER)
        .await
        .map_err(|error| CommandError::caused("could not read the decision", error))?;
    engine.stop(Duration::from_secs(1)).await;
    let answer: Value = serde_json::from_slice(&bytes)
        .map_err(|error| CommandError::caused("could not read the decision", error))?;
    if status.is_success() {
        return Ok(answer);
    }
    let attempt = format!("could not evaluate \"{}\"", args.file.display());
    Err(CommandError::failed(refusal(&attempt, status, &answer, "")))
}

/// A configuration without anything outside the process.
pub(super) fn nowhere(max_tasks: NonZeroU32) -> Config {
    Config {
        name: "evaluate".to_owned(),
        listen: ([127, 0, 0, 1], 0).into(),
        allowed_hosts: Vec::new(),
        max_tasks,
        history_days: NonZeroU32::MIN,
        data_dir: PathBuf::new(),
        log: LogConfig { level: LogLevel::Error, folder: None },
        store: StoreConfig::Memory,
        launcher: LauncherConfig::Local { definitions: PathBuf::new() },
        aws: AwsConfig::default(),
        replica: ReplicaConfig::default(),
    }
}

/// Stands where a launcher would. The population is always given, so nothing asks it.
#[derive(Debug)]
struct NoLauncher;

impl NoLauncher {
    fn refuse<T>() -> Result<T, LaunchError> {
        Err(LaunchError::new(FaultKind::Config, "there is no launcher without a server"))
    }
}

#[async_trait]
impl Launcher for NoLauncher {
    fn limits(&self) -> LaunchLimits {
        LaunchLimits {
            per_call: NonZeroU32::MIN,
            per_observation: 1,
            observe_every: Duration::from_secs(60),
            token_life: Duration::from_secs(60),
        }
    }

    async fn population(&self, _: &JobId, _: &TaskSpec) -> Result<Population, LaunchError> {
        Self::refuse()
    }

    async fn launch(&self, _: &LaunchRequest) -> Result<LaunchReport, LaunchError> {
        Self::refuse()
    }

    async fn observe(&self, _: &[TaskId]) -> Result<Vec<TaskState>, LaunchError> {
        Self::refuse()
    }

    async fn stop(&self, _: &TaskId, _: &str) -> Result<(), LaunchError> {
        Self::refuse()
    }
}
