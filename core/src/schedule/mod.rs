//! When to look: schedules, their spellings and their ticks.

/// When to look.
#[derive(Debug, Clone)]
pub struct Schedule;
