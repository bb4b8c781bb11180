//! The `ecs-scheduler` program.

use std::process::ExitCode;

use ecs_scheduler::{ConfigError, Server};

fn main() -> Result<ExitCode, ConfigError> {
    Ok(Server::builder().standard()?.run())
}
