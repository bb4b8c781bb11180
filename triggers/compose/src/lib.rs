//! The composed triggers of ECS Scheduler: all, any, sum and window.
