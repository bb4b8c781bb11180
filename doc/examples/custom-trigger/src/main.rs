//! ECS Scheduler with the `folder` trigger beside the built-in ones.

use std::process::ExitCode;

use ecs_scheduler_core::ConfigError;
use folder_scheduler::Folder;

fn main() -> Result<ExitCode, ConfigError> {
    Ok(ecs_scheduler::Server::builder().standard()?.trigger(Folder).run())
}
