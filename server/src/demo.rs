//! `ecs-scheduler demo`: the real scheduler, without a cluster. Tasks are processes of this machine.

use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::config::values::{self, Environment, Flags, Values};
use crate::config::{Config, ConfigRejected};
use crate::error::CommandError;
use crate::output::print;
use crate::server::{ServerBuilder, serve};
use crate::telemetry;

/// The data folder and the address of the demo.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// The folder for the database, the task definitions and the tasks' output; `ECSS_DATA_DIR` is not read
    #[arg(long, value_name = "FOLDER", default_value = "./data")]
    data_dir: PathBuf,
    /// Address of the API; loopback only. `ECSS_LISTEN` is not read
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5000")]
    listen: String,
}

/// Writes missing files into the data folder, serves, and creates missing jobs.
///
/// # Errors
///
/// Fails when the folder cannot be written or the server cannot be started.
pub(crate) async fn run(builder: ServerBuilder, args: DemoArgs) -> Result<ExitCode, CommandError> {
    let config = configuration(&builder, &args)?;
    telemetry::init(&config.log).map_err(|error| CommandError::caused("could not start", error))?;
    let environment = values::environment().unwrap_or_default();
    for (variable, flag) in FLAGS.iter().filter(|(variable, _)| environment.contains_key(*variable)) {
        tracing::warn!("the demo reads no settings, so {variable} has no effect; use {flag}");
    }
    write_definitions(&args.data_dir.join("task-definitions"))?;
    serve(builder, config, async |address| {
        create_jobs(address).await?;
        print(&greeting(address, &args.data_dir));
        Ok(())
    })
    .await
}

/// The variables in the place of which the demo has a flag.
const FLAGS: [(&str, &str); 2] = [("ECSS_LISTEN", "--listen"), ("ECSS_DATA_DIR", "--data-dir")];

/// The demo reads nothing but its own arguments, so that it works in any environment.
fn configuration(builder: &ServerBuilder, args: &DemoArgs) -> Result<Config, ConfigRejected> {
    let flags = Flags::from([
        ("name", "demo".to_owned()),
        ("launcher", "local".to_owned()),
        ("listen", args.listen.clone()),
        ("dataDir", args.data_dir.display().to_string()),
    ]);
    let values = Values::gather(builder.providers(), &flags, &Environment::new());
    Config::resolve(&values.map_err(ConfigRejected)?)
}

fn write_definitions(folder: &Path) -> Result<(), CommandError> {
    let failed = |error| {
        CommandError::opening(format!("could not write task definitions to \"{}\"", folder.display()), error)
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    for (family, script) in DEFINITIONS {
        let file = folder.join(format!("{family}.json"));
        if !file.exists() {
            std::fs::write(file, format!("{:#}\n", definition(family, script))).map_err(failed)?;
        }
    }
    Ok(())
}

/// The scripts of the tasks, by family. Each reads something real and ends by itself.
const DEFINITIONS: [(&str, &str); 4] = [
    ("heartbeat", "date; uname -n"),
    ("disk-report", "df -h / && du -sh . 2>/dev/null"),
    (
        "file-count",
        "echo \"$(find /usr/bin -type f | wc -l) programs, $(find /etc -type f 2>/dev/null | wc -l) files in /etc\"",
    ),
    ("load-report", "cat /proc/loadavg 2>/dev/null || uptime; sleep \"${SECONDS_OF_WORK:-2}\""),
];

fn definition(family: &str, script: &str) -> Value {
    json!({
        "family": family,
        "containerDefinitions": [{ "name": "main", "command": ["sh", "-c", script] }],
    })
}

fn jobs() -> [Value; 4] {
    let minutes = |expression: &str| json!({ "type": "cron", "expression": expression });
    [
        json!({
            "id": "heartbeat",
            "description": "Every ten seconds",
            "taskDefinition": "heartbeat",
            "schedule": "*/10",
        }),
        json!({
            "id": "disk-report",
            "description": "Every five minutes from Monday to Friday, on Berlin's clocks",
            "taskDefinition": "disk-report",
            "trigger": { "type": "cron", "expression": "cron(0/5 * ? * MON-FRI *)", "timezone": "Europe/Berlin" },
        }),
        json!({
            "id": "office-hours",
            "description": "Every 30 seconds, but only from eight to six on working days",
            "taskDefinition": "file-count",
            "timezone": "Europe/Berlin",
            "trigger": { "type": "all", "of": [
                { "type": "cron", "expression": "*/30" },
                { "type": "window", "start": "cron(0 8 ? * MON-FRI *)", "duration": "10h" },
            ] },
        }),
        json!({
            "id": "two-rhythms",
            "description": "Fires when either expression says so: up to three tasks, each busy for some seconds",
            "taskDefinition": "load-report",
            "taskCount": 2,
            "maxCount": 3,
            "trigger": { "type": "any", "of": [
                minutes("cron(* * * * ? *)"),
                minutes("cron(0/15 9-17 ? * MON-FRI *)"),
            ] },
            "overrides": [{ "containerName": "main", "environment": { "SECONDS_OF_WORK": "15" } }],
        }),
    ]
}

/// Creates the jobs that are missing by the API, as any client would; jobs that were edited stay as they are.
async fn create_jobs(address: SocketAddr) -> Result<(), CommandError> {
    let client = Client::new(&format!("http://{address}"))?;
    let known = client.get("/jobs?count=1000").await?;
    let known: Vec<&str> =
        known["jobs"].as_array().into_iter().flatten().filter_map(|job| job["id"].as_str()).collect();
    for job in jobs() {
        if !known.iter().any(|id| job["id"] == *id) {
            client.send(Method::POST, "/jobs", Some(&job), &[]).await?;
        }
    }
    Ok(())
}

fn greeting(address: SocketAddr, data_dir: &Path) -> String {
    format!(
        "\n\
        ECS Scheduler is running at http://{address}, and keeps its data in {}.\n\
        It is open to every program of this machine: it does not authenticate clients.\n\
        Four jobs start processes of this machine. Try:\n\n\
        \x20 curl -s http://{address}/jobs\n\
        \x20 curl -s 'http://{address}/jobs/office-hours/decisions?limit=1'\n\
        \x20 curl -s -X POST http://{address}/jobs/two-rhythms/firings\n\n\
        Ctrl-C stops it.\n",
        data_dir.display()
    )
}
