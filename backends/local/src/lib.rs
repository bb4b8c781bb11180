//! The local launcher of ECS Scheduler: task definitions as processes of this machine.
