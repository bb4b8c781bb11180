//! ECS Scheduler with the triggers `folder` and `backlog` beside the built-in ones.

use std::process::ExitCode;

use ecs_scheduler::{ConfigError, Server};
use folder_scheduler::{Backlog, Broker, Folder};

fn main() -> Result<ExitCode, ConfigError> {
    let setting = |name| std::env::var(name).unwrap_or_default();
    let broker = Broker::new(setting("BROKER_ADDRESS"), setting("BROKER_TOKEN"));
    Ok(Server::builder().standard()?.trigger(Folder).trigger(Backlog::new(broker)).run())
}
