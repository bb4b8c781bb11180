//! The `ecs-scheduler` program.

fn main() {}
