//! The limit of open files and connections of this process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The requested soft limit. A higher one would slow down programs of the local launcher that close all possible descriptors.
const WANTED_DESCRIPTORS: u64 = 8_192;

/// Raises the soft limit as far as it is useful and allowed, and returns how many descriptors the process may have.
pub fn raise_limit() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let current = current.unwrap_or(WANTED_DESCRIPTORS);
    let wanted = maximum.unwrap_or(WANTED_DESCRIPTORS).min(WANTED_DESCRIPTORS);
    if current >= wanted {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
        Ok(()) => wanted,
        Err(error) => {
            tracing::warn!(%error, current, "could not raise the limit of open files");
            current
        }
    }
}
