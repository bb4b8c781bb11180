//! `ecs-scheduler import keda` and `import eventbridge`: jobs made of what other schedulers were told.

use std::io::Write as _;
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::super::client::Client;
use super::super::error::CommandError;
use super::super::evaluate::nowhere;
use super::super::table::table;
use crate::config::setting::SERVER;
use crate::config::values::Values;
use crate::config::{Config, LauncherConfig};
use crate::convert::{Checks, Converted, Kind, check, eventbridge, keda};
use crate::server::ServerBuilder;

/// Which scheduler the files are of.
#[derive(Debug, Clone, Subcommand)]
pub enum Foreign {
    /// Make jobs of KEDA's ScaledJobs
    Keda(ForeignArgs),
    /// Make jobs of EventBridge's schedules and rules, as the AWS CLI prints them
    Eventbridge(ForeignArgs),
}

/// What to convert, and what to do with it.
#[derive(Debug, Clone, Args)]
pub struct ForeignArgs {
    /// The files: YAML of ScaledJobs, or JSON that `aws scheduler` and `aws events` printed
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Create the jobs on the running server. Without it they are printed, and nothing else happens
    #[arg(long)]
    apply: bool,
    /// The server's URL; else `ECSS_SERVER`, else `http://127.0.0.1:5000`
    #[arg(long, value_name = "URL", requires = "apply")]
    server: Option<String>,
    /// The bound of every job, as `ECSS_MAX_TASKS` sets it for a server
    #[arg(long, value_name = "COUNT", default_value = "50")]
    max_tasks: NonZeroU32,
    /// Print each object with its job and what does not map, as JSON
    #[arg(long)]
    json: bool,
}

/// Converts, checks, and prints or creates the jobs. What does not map goes to standard error, unless it is in the JSON.
///
/// # Errors
///
/// Fails when nothing in the files gives a job, and when the server refuses one.
pub(crate) async fn run(
    foreign: &Foreign,
    builder: &ServerBuilder,
    values: &Values,
) -> Result<String, CommandError> {
    let (Foreign::Keda(args) | Foreign::Eventbridge(args)) = foreign;
    let mut converted = convert(foreign, args, builder);
    let launcher = builder.launcher(&on_ecs(args.max_tasks)).await.ok();
    let registry = builder.registry()?;
    let checks = Checks {
        registry: &registry,
        max_tasks: args.max_tasks,
        launcher: launcher.as_deref(),
        now: builder.clock().now(),
    };
    check(&mut converted, &checks);
    if converted.iter().all(|one| one.job.is_none()) {
        if args.json {
            super::super::print(&format!("{:#}\n", json!({ "objects": converted })));
        } else {
            tell(&remarks(&converted));
        }
        return Err(CommandError::failed("nothing in these files gives a job"));
    }
    let server = args.server.as_deref().unwrap_or_else(|| values.text_or_default(&SERVER));
    let created = if args.apply { Some(create(&converted, &Client::new(server)?).await) } else { None };
    if !args.json {
        tell(&remarks(&converted));
    }
    match created {
        None if args.json => Ok(format!("{:#}\n", json!({ "objects": converted }))),
        None => Ok(format!("{:#}\n", Value::from_iter(converted.into_iter().filter_map(|one| one.job)))),
        Some(created) => applied(&created, &converted, args.json),
    }
}

/// Converts the files that can be read; the others are listed.
fn convert(foreign: &Foreign, args: &ForeignArgs, builder: &ServerBuilder) -> Vec<Converted> {
    let (mut converted, mut texts) = (Vec::new(), Vec::new());
    for file in &args.files {
        match std::fs::read_to_string(file) {
            Ok(text) => texts.push((file, text)),
            Err(error) => converted.push(Converted::unreadable(file.display(), error.to_string())),
        }
    }
    converted.extend(match foreign {
        Foreign::Keda(_) => {
            let circumstances =
                keda::Circumstances { max_tasks: args.max_tasks.get(), now: builder.clock().now() };
            let objects = |(file, text): &(&PathBuf, String)| {
                keda::convert(&file.display().to_string(), text, &circumstances)
            };
            texts.iter().flat_map(objects).collect::<Vec<_>>()
        }
        Foreign::Eventbridge(_) => {
            let stem = |file: &PathBuf| file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let printed: Vec<_> = texts
                .into_iter()
                .map(|(file, text)| eventbridge::Printed { stem: stem(file), text })
                .collect();
            eventbridge::convert(&printed)
        }
    });
    converted
}

/// A configuration by which the ECS launcher checks `launch`, without asking AWS.
fn on_ecs(max_tasks: NonZeroU32) -> Config {
    let launcher = LauncherConfig::Ecs { cluster: "default".to_owned(), tags: true, events_queue: None };
    Config { launcher, ..nowhere(max_tasks) }
}

/// Creates the jobs; each with what the server said, where it refused.
async fn create(converted: &[Converted], client: &Client) -> Vec<(String, Option<CommandError>)> {
    let mut created = Vec::new();
    for job in converted.iter().filter_map(|one| one.job.as_ref()) {
        let name = job["id"].as_str().unwrap_or_default().to_owned();
        created.push((name, client.send(Method::POST, "/jobs", Some(job), &[]).await.err()));
    }
    created
}

fn applied(
    created: &[(String, Option<CommandError>)],
    converted: &[Converted],
    as_json: bool,
) -> Result<String, CommandError> {
    let refused: Vec<String> =
        created.iter().filter_map(|(_, error)| error.as_ref()).flat_map(CommandError::lines).collect();
    let made = created.iter().filter(|(_, error)| error.is_none()).map(|(name, _)| name);
    let text = if as_json {
        format!("{:#}\n", json!({ "created": made.collect::<Vec<_>>(), "objects": converted }))
    } else {
        made.map(|name| format!("created {name}\n")).collect()
    };
    if refused.is_empty() {
        return Ok(text);
    }
    super::super::print(&text);
    Err(CommandError::Refused { message: refused.join("\n") })
}

fn remarks(converted: &[Converted]) -> String {
    let rows = converted.iter().flat_map(|one| {
        one.remarks.iter().map(|remark| {
            vec![
                one.source.clone(),
                remark.kind.as_str().to_owned(),
                remark.field.clone(),
                remark.text.clone(),
            ]
        })
    });
    let count =
        |kind| converted.iter().flat_map(|one| &one.remarks).filter(|remark| remark.kind == kind).count();
    let jobs = converted.iter().filter(|one| one.job.is_some()).count();
    format!(
        "{}{jobs} jobs of {} objects; {} fields lost, {} changed, {} to do\n",
        table(&["OBJECT", "", "FIELD", "WHAT TO KNOW"], rows),
        converted.len(),
        count(Kind::Lost),
        count(Kind::Changed),
        count(Kind::ToDo)
    )
}

/// Prints for people, beside the result.
fn tell(text: &str) {
    // Nothing is left to do when standard error is closed.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
