//! The `ecs-scheduler` program.

fn main() -> std::process::ExitCode {
    ecs_scheduler::cli::run()
}
