//! The `ecs-scheduler` program.

use std::process::ExitCode;

use ecs_scheduler::{ConfigError, Server};
use mimalloc::MiMalloc;

/// Rounds allocate on one thread and free on another, which is slower with the system's allocator.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> Result<ExitCode, ConfigError> {
    Ok(Server::builder().standard()?.run())
}
