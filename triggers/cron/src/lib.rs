//! The cron trigger of ECS Scheduler: brings its own ticks.
