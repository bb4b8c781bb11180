#![doc = include_str!("../README.md")]

mod causes;
mod clients;
mod cluster_faults;
mod cluster_poller;
mod context;
mod definitions;
mod describe;
mod diagnose;
mod event_health;
mod events;
mod events_queue;
mod launcher;
mod log_destination;
mod log_stream;
mod logs;
mod lost_launch;
mod measure;
pub mod options;
mod permissions;
mod preflight;
mod provider;
mod queue_policy;
mod refused_names;
mod request;
mod run_task_response;
mod sizes;
mod task_exit;
mod task_location;
mod task_snapshot;
mod task_state_cache;

pub use context::EcsOptions;
pub use launcher::EcsLauncher;
pub use options::LaunchOptions;
pub use provider::EcsProvider;

use context::LauncherContext;
