//! When to look: schedules, their spellings and their ticks.
