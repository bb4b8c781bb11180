//! Which key is what.

use ecs_scheduler_core::{JobId, Permission};

/// The folder of the log, below the prefix. The Python version takes only `<name>.json` directly below the prefix.
const OURS: &str = ".ecs-scheduler/";

/// What the key of a job's document ends with.
const JSON: &str = ".json";

/// Where in the bucket things are.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// Empty, or ends with a slash.
    folder: String,
}

impl Layout {
    /// Makes the layout below a prefix, which may end with a slash or be empty.
    pub(crate) fn new(prefix: &str) -> Self {
        let prefix = prefix.trim_end_matches('/');
        Self { folder: if prefix.is_empty() { String::new() } else { format!("{prefix}/") } }
    }

    /// Returns what the keys of documents begin with.
    pub(crate) fn documents(&self) -> &str {
        &self.folder
    }

    /// Returns what the keys of the log begin with.
    pub(crate) fn log(&self) -> String {
        format!("{}{OURS}", self.folder)
    }

    /// Returns the key of a job's document.
    pub(crate) fn document(&self, id: &JobId) -> String {
        format!("{}{id}{JSON}", self.folder)
    }

    /// Returns the job whose document a key is: `None` for what is no document, the name where no job can have it.
    pub(crate) fn job<'k>(&self, key: &'k str) -> Option<Result<JobId, &'k str>> {
        let name = key.strip_prefix(&self.folder)?.strip_suffix(JSON)?;
        if name.contains('/') {
            return None;
        }
        Some(JobId::new(name).map_err(|_| name))
    }
}

/// Lists what the store needs to be permitted. `s3:CreateBucket` is needed besides where the bucket is to be created.
#[must_use]
pub fn permissions(bucket: &str, prefix: &str) -> Vec<Permission> {
    let bucket = format!("arn:aws:s3:::{bucket}");
    let objects = format!("{bucket}/{}*", Layout::new(prefix).documents());
    let on_objects = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"];
    let on_objects = on_objects.into_iter().map(|action| Permission::new(action, &objects));
    on_objects.chain([Permission::new("s3:ListBucket", &bucket)]).collect()
}

#[cfg(test)]
mod tests;
