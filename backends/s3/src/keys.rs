//! The keys of documents and of the log.

use ecs_scheduler_core::JobId;

/// The folder of the log, below the prefix. The Python version reads only `<name>.json` directly below the prefix.
const LOG_FOLDER: &str = ".ecs-scheduler/";

/// The suffix of the keys of documents.
const JSON_SUFFIX: &str = ".json";

/// The layout of the keys below a prefix.
#[derive(Debug, Clone)]
pub(crate) struct KeyLayout {
    /// Empty, or ends with a slash.
    folder: String,
}

impl KeyLayout {
    /// Makes the layout below a prefix, which may end with a slash or be empty.
    pub(crate) fn new(prefix: &str) -> Self {
        let prefix = prefix.trim_end_matches('/');
        Self { folder: if prefix.is_empty() { String::new() } else { format!("{prefix}/") } }
    }

    /// Returns the prefix of the keys of documents.
    pub(crate) fn documents(&self) -> &str {
        &self.folder
    }

    /// Returns the prefix of the keys of the log.
    pub(crate) fn log(&self) -> String {
        format!("{}{LOG_FOLDER}", self.folder)
    }

    /// Returns the key of a job's document.
    pub(crate) fn document(&self, id: &JobId) -> String {
        format!("{}{id}{JSON_SUFFIX}", self.folder)
    }

    /// Returns the job of a document's key: `None` for a key of another kind, `Err` with the name if it is not a valid job name.
    pub(crate) fn job<'k>(&self, key: &'k str) -> Option<Result<JobId, &'k str>> {
        let name = key.strip_prefix(&self.folder)?.strip_suffix(JSON_SUFFIX)?;
        if name.contains('/') {
            return None;
        }
        Some(JobId::new(name).map_err(|_| name))
    }
}

#[cfg(test)]
mod tests;
