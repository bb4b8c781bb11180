//! `ecs-scheduler doctor`: checks the permissions and resources of the selected jobs with read-only calls.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use ecs_scheduler_core::job::Job;
use ecs_scheduler_core::{Budget, CheckResult, EvalContext, JobId, Launcher, TaskSpec, Tick, fault};
use futures::StreamExt as _;
use serde_json::json;

use super::flags::SettingFlags;
use super::job_selection::{JobSelection, JobSelectionArgs};
use super::offline_launcher;
use crate::budgets::find_uncounted;
use crate::config::Config;
use crate::error::CommandError;
use crate::notify::Channels;
use crate::output::table::table;
use crate::output::{json_text, print};
use crate::server::ServerBuilder;

/// How many jobs are checked concurrently; shared sources are read once.
const MAX_CONCURRENT_CHECKS: usize = 64;
/// The time limit of one check.
const CHECK_TIMEOUT: Duration = Duration::from_secs(30);

/// The selection of jobs, and the form of the output.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    jobs: JobSelectionArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) settings: SettingFlags,
}

/// Runs all checks and prints the results; the exit code is 1 if there is a problem.
///
/// # Errors
///
/// Fails when the jobs cannot be read, other than for a store that cannot be opened, which is a problem like others.
pub(crate) async fn run(
    args: &DoctorArgs,
    builder: &ServerBuilder,
    config: &Config,
) -> Result<ExitCode, CommandError> {
    let launcher = offline_launcher::open_to_check(builder, config).await?;
    let found = JobSelection::load(&args.jobs, builder, config, &launcher).await?;
    let tasks: Vec<TaskSpec> = found.jobs.iter().map(|job| TaskSpec::clone(&job.task)).collect();
    let mut seen: Vec<CheckResult> = found.store.into_iter().collect();
    let of_store = builder.diagnose_store(config).await;
    match found.open_error {
        None => seen.push(CheckResult::passed(format!("{} valid jobs", found.jobs.len()))),
        // The store's own check reports it as well, if it has one.
        Some(_) if of_store.iter().any(|look| look.problem.is_some()) => {}
        Some(error) => seen.push(CheckResult::failed("store", error.lines().join("; "))),
    }
    seen.extend(
        found
            .invalid
            .into_iter()
            .map(|(name, problems)| CheckResult::failed(format!("job {name}"), problems)),
    );
    seen.extend(found.moved.iter().map(changed_days));
    seen.extend(of_store);
    if config.launcher.provider.is_exclusive() {
        let kind = config.launcher.kind;
        let text = "its files and task definitions are not checked, because a scheduler may be using them";
        seen.push(CheckResult::passed(format!("launcher {kind}: {text}")));
    }
    seen.extend(launcher.diagnose(&tasks).await);
    let topics = builder.plugin_context().topics();
    seen.extend(Channels::diagnose(&config.notify, &config.name, builder.clock(), topics).await);
    let channels = config.notify.channel_names();
    seen.extend(found.jobs.iter().flat_map(|job| unknown_channels(job, &channels)));
    seen.extend(config.budgets.iter().map(|budget| {
        let jobs = found.jobs.iter().filter(|job| budget.selects(&job.labels)).count();
        CheckResult::passed(format!("budget {}: {jobs} jobs", budget.name))
    }));
    let now = builder.clock().now();
    let of_job = |job: &Job| {
        let id = job.id.clone();
        job.warnings(now).into_iter().map(move |text| (id.clone(), text))
    };
    let warnings: Vec<(JobId, String)> = found.jobs.iter().flat_map(of_job).collect();
    if !args.json {
        for (job, warning) in &warnings {
            tracing::warn!("job {job}: {warning}");
        }
    }
    let tick = Tick::at(now);
    let budgets: &[Budget] = if config.launcher.provider.is_exclusive() { &[] } else { &config.budgets };
    let looks = found.jobs.iter().map(|job| check_job(job, &launcher, tick, budgets));
    let looks: Vec<_> = futures::stream::iter(looks).buffered(MAX_CONCURRENT_CHECKS).collect().await;
    seen.extend(looks.into_iter().flatten());
    print(&if args.json { as_json(&seen, &warnings) } else { as_table(&seen) });
    let healthy = seen.iter().all(|look| look.problem.is_none());
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Reports a job whose days have changed if an older version stored it.
fn changed_days((job, change): &(JobId, String)) -> CheckResult {
    let problem = format!(
        "{change}, if an older version stored the job; check the days, then edit the job, for example with names of weekdays"
    );
    CheckResult::failed(format!("job {job}: days of its schedule"), problem)
}

/// Finds the channels of a job that are not configured, perhaps any more.
fn unknown_channels(job: &Job, channels: &[String]) -> Vec<CheckResult> {
    let rules = job.policy.notify.iter().flatten().filter(|rule| !channels.contains(&rule.to));
    let results = rules.map(|rule| {
        let problem = "is not configured: add it under notify.channels in the file of ECSS_CONFIG_FILE";
        CheckResult::failed(format!("job {}: channel {}", job.id, rule.to), problem)
    });
    results.collect()
}

/// Checks a job's task definition, whether its budgets can count it, and reads its trigger's source.
async fn check_job(
    job: &Job,
    launcher: &Arc<dyn Launcher>,
    tick: Tick,
    budgets: &[Budget],
) -> Vec<CheckResult> {
    let mut seen = Vec::new();
    let what = || format!("job {}: budgets", job.id);
    match with_timeout(find_uncounted(budgets, job, &**launcher)).await {
        None => seen.push(timed_out(what())),
        Some(Err(error)) => seen.push(CheckResult::failed(what(), fault::chain(&error))),
        Some(Ok(texts)) => seen.extend(texts.into_iter().map(|text| CheckResult::failed(what(), text))),
    }
    let task = format!("job {}: task {}", job.id, job.task.definition);
    match with_timeout(launcher.preflight(&job.task)).await {
        None => seen.push(timed_out(task)),
        Some(Err(error)) => seen.push(CheckResult::failed(task, fault::chain(&error))),
        Some(Ok(findings)) if findings.is_empty() => seen.push(CheckResult::passed(task)),
        Some(Ok(findings)) => seen.extend(findings.into_iter().map(|finding| {
            CheckResult::failed(task.clone(), format!("{}: {}", finding.pointer, finding.message))
        })),
    }
    if let Some(trigger) = &job.trigger {
        let what = format!("job {}: trigger", job.id);
        let cx = EvalContext::new(&job.id, tick, job.scaling);
        seen.push(match with_timeout(trigger.evaluate(&cx)).await {
            None => timed_out(what),
            Some(Err(error)) => CheckResult::failed(what, fault::chain(&error)),
            Some(Ok(evaluation)) => CheckResult::passed(format!("{what}: {}", evaluation.reason)),
        });
    }
    seen
}

async fn with_timeout<T>(look: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(CHECK_TIMEOUT, look).await.ok()
}

fn timed_out(what: String) -> CheckResult {
    CheckResult::failed(what, format!("no answer within {} s", CHECK_TIMEOUT.as_secs()))
}

fn as_table(seen: &[CheckResult]) -> String {
    let row = |look: &CheckResult| {
        let word = if look.problem.is_some() { "PROBLEM" } else { "ok" };
        vec![word.to_owned(), look.what.clone(), look.problem.clone().unwrap_or_default()]
    };
    let problems = seen.iter().filter(|look| look.problem.is_some()).count();
    let verdict = match problems {
        0 => "no problem found".to_owned(),
        1 => "1 problem".to_owned(),
        more => format!("{more} problems"),
    };
    format!("{}{verdict}\n", table(&["", "WHAT", "PROBLEM AND REMEDY"], seen.iter().map(row)))
}

fn as_json(seen: &[CheckResult], warnings: &[(JobId, String)]) -> String {
    let look = |look: &CheckResult| json!({ "what": look.what, "ok": look.problem.is_none(), "problem": look.problem });
    let warning = |(job, text): &(JobId, String)| json!({ "job": job.as_str(), "warning": text });
    json_text(&json!({
        "examinations": seen.iter().map(look).collect::<Vec<_>>(),
        "warnings": warnings.iter().map(warning).collect::<Vec<_>>(),
    }))
}
