//! `ecs-scheduler doctor`: tries everything that the jobs at hand need, by calls that change nothing.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use ecs_scheduler_core::job::Job;
use ecs_scheduler_core::{EvalContext, Examination, Launcher, TaskSpec, Tick, fault};
use futures::StreamExt as _;
use serde_json::json;

use super::error::CommandError;
use super::flags::SettingFlags;
use super::job_selection::{AtHand, AtHandArgs};
use super::printable::json_text;
use super::{print, table};
use crate::config::Config;
use crate::server::ServerBuilder;

/// How many jobs are looked at at once; what they share is read once.
const AT_ONCE: usize = 64;
/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which jobs, and how to print.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    jobs: AtHandArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) settings: SettingFlags,
}

/// Tries everything and prints what came of it; the exit code is 1 when there is a problem.
///
/// # Errors
///
/// Fails when the jobs cannot be read, other than for a store that cannot be opened, which is a problem like others.
pub(crate) async fn run(
    args: &DoctorArgs,
    builder: &ServerBuilder,
    config: &Config,
) -> Result<ExitCode, CommandError> {
    let launcher = builder.launcher(config).await?;
    let found = AtHand::find(&args.jobs, builder, config, &launcher).await?;
    let tasks: Vec<TaskSpec> = found.jobs.iter().map(|job| TaskSpec::clone(&job.task)).collect();
    let mut seen: Vec<Examination> = found.store.into_iter().collect();
    let of_store = builder.examine_store(config).await;
    match found.unopened {
        None => seen.push(Examination::fine(format!("{} valid jobs", found.jobs.len()))),
        // The store's own look says it as well, where it has one.
        Some(_) if of_store.iter().any(|look| look.problem.is_some()) => {}
        Some(error) => seen.push(Examination::problem("store", error.lines().join("; "))),
    }
    seen.extend(
        found
            .invalid
            .into_iter()
            .map(|(name, problems)| Examination::problem(format!("job {name}"), problems)),
    );
    seen.extend(of_store);
    seen.extend(launcher.examine(&tasks).await);
    let now = builder.clock().now();
    let tick = Tick { nominal: now, observed: now };
    let looks = found.jobs.iter().map(|job| examine(job, &launcher, tick));
    let looks: Vec<_> = futures::stream::iter(looks).buffered(AT_ONCE).collect().await;
    seen.extend(looks.into_iter().flatten());
    print(&if args.json { as_json(&seen) } else { as_table(&seen) });
    let healthy = seen.iter().all(|look| look.problem.is_none());
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Looks at what one job starts, and reads what it measures.
async fn examine(job: &Job, launcher: &Arc<dyn Launcher>, tick: Tick) -> Vec<Examination> {
    let mut seen = Vec::new();
    let task = format!("job {}: task {}", job.id, job.task.definition);
    match within(launcher.preflight(&job.task)).await {
        None => seen.push(unanswered(task)),
        Some(Err(error)) => seen.push(Examination::problem(task, fault::chain(&error))),
        Some(Ok(findings)) if findings.is_empty() => seen.push(Examination::fine(task)),
        Some(Ok(findings)) => seen.extend(findings.into_iter().map(|finding| {
            Examination::problem(task.clone(), format!("{}: {}", finding.pointer, finding.message))
        })),
    }
    if let Some(trigger) = &job.trigger {
        let what = format!("job {}: trigger", job.id);
        let cx = EvalContext { job: &job.id, tick, scaling: job.scaling };
        seen.push(match within(trigger.evaluate(&cx)).await {
            None => unanswered(what),
            Some(Err(error)) => Examination::problem(what, fault::chain(&error)),
            Some(Ok(evaluation)) => Examination::fine(format!("{what}: {}", evaluation.because)),
        });
    }
    seen
}

async fn within<T>(look: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(PATIENCE, look).await.ok()
}

fn unanswered(what: String) -> Examination {
    Examination::problem(what, format!("no answer within {} s", PATIENCE.as_secs()))
}

fn as_table(seen: &[Examination]) -> String {
    let row = |look: &Examination| {
        let word = if look.problem.is_some() { "PROBLEM" } else { "ok" };
        vec![word.to_owned(), look.what.clone(), look.problem.clone().unwrap_or_default()]
    };
    let problems = seen.iter().filter(|look| look.problem.is_some()).count();
    let verdict = match problems {
        0 => "no problem found".to_owned(),
        1 => "1 problem".to_owned(),
        more => format!("{more} problems"),
    };
    format!(
        "{}{verdict}\n",
        table::table(&["", "WHAT", "WHAT IS WRONG AND WHAT TO DO"], seen.iter().map(row))
    )
}

fn as_json(seen: &[Examination]) -> String {
    let look = |look: &Examination| json!({ "what": look.what, "ok": look.problem.is_none(), "problem": look.problem });
    json_text(&json!({ "examinations": seen.iter().map(look).collect::<Vec<_>>() }))
}
