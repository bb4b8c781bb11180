//! ECS Scheduler with the launcher `spool` and the store `mounted-postgres` beside the built-in ones.

use std::process::ExitCode;

use ecs_scheduler::{ConfigError, Server};
use spool_scheduler::{MountedPostgres, SpoolProvider};

fn main() -> Result<ExitCode, ConfigError> {
    Ok(Server::builder().standard()?.launcher(SpoolProvider).store(MountedPostgres).run())
}
