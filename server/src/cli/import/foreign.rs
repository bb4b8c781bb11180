//! `ecs-scheduler import keda` and `import eventbridge`: converts jobs of other schedulers.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::super::jobs::{create, show};
use super::super::offline_launcher;
use crate::client::Client;
use crate::config::setting::SERVER;
use crate::config::values::Values;
use crate::config::{ConfigRejected, resolve_offline_on_ecs, resolve_token};
use crate::convert::{Checks, Converted, RemarkKind, check, eventbridge, keda};
use crate::error::CommandError;
use crate::input;
use crate::output::table::table;
use crate::output::{json_text, print, print_error};
use crate::server::ServerBuilder;

/// The scheduler that the files come from.
#[derive(Debug, Clone, Subcommand)]
pub enum ForeignSource {
    /// Convert KEDA ScaledJobs to jobs
    Keda(ForeignArgs),
    /// Convert EventBridge schedules and rules, as printed by the AWS CLI, to jobs
    Eventbridge(ForeignArgs),
}

/// The files to convert, and whether to create the jobs.
#[derive(Debug, Clone, Args)]
pub struct ForeignArgs {
    /// The files: YAML of ScaledJobs, or JSON that `aws scheduler` and `aws events` printed
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Create the jobs on the running server; without this flag they are only printed
    #[arg(long)]
    apply: bool,
    /// Server URL; default `ECSS_SERVER`, then `http://127.0.0.1:5000`
    #[arg(long, value_name = "URL", requires = "apply")]
    server: Option<String>,
    /// Maximum tasks of each job; default `ECSS_MAX_TASKS`, then 50
    #[arg(long, value_name = "COUNT")]
    max_tasks: Option<NonZeroU32>,
    /// Print each object with its job and its unmapped fields, as JSON
    #[arg(long)]
    json: bool,
}

/// Converts, checks, and prints or creates the jobs. Unmapped fields go to standard error, unless they are in the JSON.
///
/// # Errors
///
/// Fails if no object in the files becomes a job, and if the server refuses one.
pub(crate) async fn run(
    foreign: &ForeignSource,
    builder: &ServerBuilder,
    values: &Values,
) -> Result<String, CommandError> {
    let (ForeignSource::Keda(args) | ForeignSource::Eventbridge(args)) = foreign;
    let config = resolve_offline_on_ecs(values)?;
    let max_tasks = args.max_tasks.unwrap_or(config.max_tasks);
    let mut converted = convert(foreign, args, max_tasks, builder);
    let launcher = offline_launcher::open_to_check(builder, &config).await.ok();
    let registry = builder.registry()?;
    let checks =
        Checks { registry: &registry, max_tasks, launcher: launcher.as_deref(), now: builder.clock().now() };
    check(&mut converted, &checks);
    if args.json {
        print_error(&unreadable(&converted));
    }
    if converted.iter().all(|one| one.job.is_none()) {
        if args.json {
            print(&json_text(&json!({ "objects": converted })));
        } else {
            print_error(&remarks(&converted));
        }
        return Err(CommandError::failed("no object in these files becomes a job"));
    }
    let server = args.server.as_deref().unwrap_or_else(|| values.text_or_default(&SERVER));
    let jobs: Vec<(String, Value)> = converted.iter().filter_map(named_job).collect();
    let created = if args.apply {
        let token = resolve_token(values, None).map_err(|problem| ConfigRejected(vec![problem]))?;
        let client = Client::new(server)?.with_token(token.as_deref())?;
        Some(create::create_all(&jobs, "", &client).await)
    } else {
        None
    };
    if !args.json {
        print_error(&remarks(&converted));
    }
    match created {
        None if args.json => Ok(json_text(&json!({ "objects": converted }))),
        None => Ok(json_text(&Value::from_iter(jobs.into_iter().map(|(_, job)| job)))),
        Some(created) if args.json => {
            let made = created.answers.iter().map(|answer| answer["id"].clone());
            let answer = json!({ "created": made.collect::<Vec<_>>(), "objects": converted });
            created.into_output(json_text(&answer))
        }
        Some(created) => {
            let text = created.answers.iter().map(show::created).collect();
            created.into_output(text)
        }
    }
}

/// Converts the files that can be read; the others are listed.
fn convert(
    foreign: &ForeignSource,
    args: &ForeignArgs,
    max_tasks: NonZeroU32,
    builder: &ServerBuilder,
) -> Vec<Converted> {
    let (mut converted, mut texts) = (Vec::new(), Vec::new());
    for file in &args.files {
        match input::read_text(file) {
            Ok(text) => texts.push((file, text)),
            Err(error) => converted.push(Converted::unreadable(file.display(), error.to_string())),
        }
    }
    converted.extend(match foreign {
        ForeignSource::Keda(_) => {
            let context = keda::ConversionContext { max_tasks: max_tasks.get(), now: builder.clock().now() };
            let objects = |(file, text): &(&PathBuf, String)| {
                keda::convert(&file.display().to_string(), text, &context)
            };
            texts.iter().flat_map(objects).collect::<Vec<_>>()
        }
        ForeignSource::Eventbridge(_) => {
            let stem = |file: &PathBuf| file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let printed: Vec<_> = texts
                .into_iter()
                .map(|(file, text)| eventbridge::CliOutput { stem: stem(file), text })
                .collect();
            eventbridge::convert(&printed)
        }
    });
    converted
}

fn named_job(one: &Converted) -> Option<(String, Value)> {
    let job = one.job.clone()?;
    Some((one.source.clone(), job))
}

/// Returns a warning for each file that cannot be read, or only in part.
fn unreadable(converted: &[Converted]) -> String {
    let warning = |one: &Converted| {
        let reasons: Vec<&str> = one.remarks.iter().map(|remark| remark.text.as_str()).collect();
        format!("warning: {}: {}\n", one.source, reasons.join("; "))
    };
    converted.iter().filter(|one| one.is_unreadable()).map(warning).collect()
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
        table(&["OBJECT", "", "FIELD", "REMARK"], rows),
        converted.len(),
        count(RemarkKind::Lost),
        count(RemarkKind::Changed),
        count(RemarkKind::ToDo)
    )
}
