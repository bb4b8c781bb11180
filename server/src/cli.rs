//! The command line: one file per group of commands. Each command returns its output.

pub mod backup;
pub mod doctor;
pub mod evaluate;
pub mod export;
pub mod flags;
pub mod health;
mod history;
pub mod iam_policy;
pub mod import;
pub mod job_selection;
pub mod jobs;
pub mod migrate;
mod notifications;
mod offline_launcher;
mod progress;
pub mod reference;
pub mod schedule;
pub mod server_commands;
mod token;

use std::process::ExitCode;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use clap_complete::Shell;
use ecs_scheduler_core::DEFAULT_MAX_TASKS;

use self::backup::{BackupArgs, RestoreArgs};
use self::doctor::DoctorArgs;
use self::evaluate::EvaluateArgs;
use self::export::ExportArgs;
use self::flags::{SettingFlags, add_setting_flags};
use self::iam_policy::PolicyArgs;
use self::import::ImportArgs;
use self::migrate::MigrateArgs;
use self::schedule::NextArgs;
use self::server_commands::ServerCommand;
use crate::config::values::{self, Flags, Values};
use crate::config::{self, Config, ConfigRejected};
use crate::demo::{self, DemoArgs};
use crate::error::CommandError;
use crate::output::table::table;
use crate::output::{json_text, print, print_error};
use crate::server::{ServerBuilder, serve};
use crate::shutdown::handle_file_size_signal;
use crate::{allocator, api, telemetry};

/// Starts ECS tasks on a schedule or a condition
#[derive(Debug, Parser)]
#[command(name = "ecs-scheduler", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: SettingFlags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API and run jobs (the default)
    Serve(SettingFlags),
    /// Serve with local tasks and four example jobs, to try things out
    Demo(DemoArgs),
    #[command(flatten)]
    Server(ServerCommand),
    /// Inspect a schedule offline
    Schedule {
        #[command(subcommand)]
        command: ScheduleCommand,
    },
    /// Dry-run the decision for job documents offline, with the configured settings
    Evaluate(EvaluateArgs),
    /// Inspect the configuration
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Check permissions and resources with read-only calls, and suggest fixes
    Doctor(DoctorArgs),
    /// Probe the configured server (for container health checks)
    Health,
    /// Print the minimal IAM policy for the selected jobs
    IamPolicy(PolicyArgs),
    /// Export the jobs, the history and the brake of a store to a file
    Export(ExportArgs),
    /// Import a dump into a store, or convert jobs of another scheduler
    Import(ImportArgs),
    /// Copy the jobs, the history and the brake of a store to another store
    Migrate(MigrateArgs),
    /// Back up a SQLite store to a file; a scheduler may be running
    Backup(BackupArgs),
    /// Restore a backup of a SQLite store, or verify it
    Restore(RestoreArgs),
    /// Print the OpenAPI document of the API
    Openapi,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print a generated page of the documentation
    #[command(hide = true)]
    Reference {
        /// The page
        page: ReferencePage,
    },
}

#[derive(Debug, Subcommand)]
enum ScheduleCommand {
    /// Describe a schedule and list its next ticks
    Next(NextArgs),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Show effective settings, their sources, and errors
    Check(CheckArgs),
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingFlags,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum ReferencePage {
    Configuration,
    Cli,
}

impl ServerBuilder {
    /// Runs the command line of this process, and returns its exit code. Errors go to standard error.
    #[must_use]
    pub fn run(self) -> ExitCode {
        allocator::use_small_pages();
        let cli = Cli::from_arg_matches(&command(&self).get_matches()).unwrap_or_else(|error| error.exit());
        let command = cli.command.unwrap_or(Command::Serve(cli.settings));
        match execute(command, self) {
            Ok(code) => code,
            Err(error) => {
                for line in error.lines() {
                    print_error(&format!("error: {line}\n"));
                }
                error.exit_code()
            }
        }
    }
}

/// Returns the definition of the command line, with the flags of all installed settings.
fn command(builder: &ServerBuilder) -> clap::Command {
    add_setting_flags(Cli::command(), builder.providers().settings())
}

fn execute(command: Command, builder: ServerBuilder) -> Result<ExitCode, CommandError> {
    // A program whose plugins contradict each other does nothing.
    builder.registry()?;
    let text = match command {
        Command::Serve(settings) => return run_server(builder, &settings.0),
        Command::Demo(args) => return block_on(demo::run(builder, args)),
        Command::Server(command) => {
            let values = gather(&builder, &Flags::new())?;
            block_on(server_commands::run(&command, &values, builder.clock().now()))?
        }
        Command::Schedule { command: ScheduleCommand::Next(args) } => {
            schedule::next(&args, builder.clock().as_ref())?
        }
        Command::Evaluate(args) => {
            let config = config::resolve_offline(&gather(&builder, &args.settings.0)?)?;
            block_on(evaluate::run(&args, &builder, &config))?
        }
        Command::Config { command: ConfigCommand::Check(args) } => return check(&builder, &args),
        Command::Doctor(args) => {
            let config = Config::resolve(&gather(&builder, &args.settings.0)?)?;
            show_warnings()?;
            return block_on(doctor::run(&args, &builder, &config));
        }
        Command::Health => block_on(health::run(&gather(&builder, &Flags::new())?))?,
        Command::IamPolicy(args) => {
            let config = Config::resolve(&gather(&builder, &args.settings.0)?)?;
            show_warnings()?;
            block_on(iam_policy::run(&args, &builder, &config))?
        }
        Command::Export(args) => {
            block_on(export::run(&args, &builder, &gather(&builder, &args.settings.0)?))?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Import(args) => {
            block_on(import::run(&args, &builder, &gather(&builder, &args.settings.0)?))?
        }
        Command::Migrate(args) => {
            block_on(migrate::run(&args, &builder, &gather(&builder, &args.settings.0)?))?
        }
        Command::Backup(args) => {
            let values = gather(&builder, &args.settings.0)?;
            block_on(backup::run(args, &values))?
        }
        Command::Restore(args) => {
            let values = gather(&builder, &args.settings.0)?;
            block_on(backup::restore(args, &values, builder.clock().as_ref()))?
        }
        Command::Openapi => json_text(&api::openapi(&*builder.registry()?, DEFAULT_MAX_TASKS)),
        Command::Completions { shell } => completions(shell, &builder)?,
        Command::Reference { page: ReferencePage::Configuration } => {
            config::reference::page(builder.providers().settings())
        }
        Command::Reference { page: ReferencePage::Cli } => reference::page(self::command(&builder)),
    };
    print(&text);
    Ok(ExitCode::SUCCESS)
}

/// Serves until a signal ends the program.
fn run_server(builder: ServerBuilder, flags: &Flags) -> Result<ExitCode, CommandError> {
    let (config, warnings) = config::resolve_of_server(&gather(&builder, flags)?)?;
    telemetry::init(&config.log).map_err(|error| CommandError::opening("could not start", error))?;
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    block_on(serve(builder, config, async |_| Ok(())))
}

/// Shows warnings while a command runs.
fn show_warnings() -> Result<(), CommandError> {
    telemetry::init_warnings().map_err(|error| CommandError::caused("could not start", error))
}

/// Makes the script that completes command lines in a shell.
fn completions(shell: Shell, builder: &ServerBuilder) -> Result<String, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(builder), "ecs-scheduler", &mut script);
    String::from_utf8(script).map_err(|error| CommandError::caused("could not make the script", error))
}

fn block_on<T>(work: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::caused("could not start the runtime", error))?;
    runtime.block_on(async {
        handle_file_size_signal()
            .map_err(|error| CommandError::caused("could not listen for signals", error))?;
        work.await
    })
}

fn gather(builder: &ServerBuilder, flags: &Flags) -> Result<Values, ConfigRejected> {
    values::environment()
        .and_then(|environment| Values::gather(builder.providers(), flags, &environment))
        .map_err(ConfigRejected)
}

/// Prints the effective configuration, also if it is invalid.
fn check(builder: &ServerBuilder, args: &CheckArgs) -> Result<ExitCode, CommandError> {
    let values = gather(builder, &args.settings.0)?;
    let settings = config::report::effective(&values);
    let resolved = config::resolve_of_server(&values);
    let warnings = resolved.as_ref().map_or(&values.warnings, |(_, warnings)| warnings);
    if args.json {
        print(&json_text(&serde_json::json!({ "settings": settings, "warnings": warnings })));
    } else {
        let row = |setting: config::report::SettingRow| {
            vec![setting.name.to_owned(), setting.value, setting.origin]
        };
        print(&table(&["SETTING", "VALUE", "FROM"], settings.into_iter().map(row)));
        for warning in warnings {
            print(&format!("warning: {warning}\n"));
        }
    }
    resolved?;
    Ok(ExitCode::SUCCESS)
}
