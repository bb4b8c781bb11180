//! The task definitions of a folder: read at the start, and reloaded when a file changes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::definition::{DefinitionProblem, LocalDefinition, parse};

#[cfg(test)]
mod tests;

/// Minimum time between two checks of the folder for changes.
const RELOAD_INTERVAL: Duration = Duration::from_millis(500);

/// Maximum size of a file in bytes; ECS accepts definitions of up to 64 KiB.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Modification time and length of a file when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FileStamp {
    modified: Option<SystemTime>,
    length: u64,
}

/// The task definitions of one folder.
#[derive(Debug, Clone, Default)]
pub struct Definitions {
    folder: PathBuf,
    stamps: BTreeMap<PathBuf, FileStamp>,
    by_name: BTreeMap<(String, u32), Arc<LocalDefinition>>,
    problems: Vec<DefinitionProblem>,
}

impl Definitions {
    /// Reads every `*.json` of a folder; an invalid file becomes a problem, and the other files stay usable.
    ///
    /// # Errors
    ///
    /// Fails when the folder itself cannot be read.
    pub fn read(folder: &Path) -> std::io::Result<Self> {
        let stamps = read_stamps(folder)?;
        let mut this = Self { folder: folder.to_owned(), stamps, ..Self::default() };
        for file in this.stamps.keys() {
            let file_problem =
                |message| DefinitionProblem { file: file.clone(), field: String::new(), message };
            let read = read_limited(file).map_err(file_problem).and_then(|text| parse(file, &text));
            let definition = match read {
                Ok(definition) => definition,
                Err(problem) => {
                    this.problems.push(problem);
                    continue;
                }
            };
            let key = (definition.family.clone(), definition.revision);
            if let Some(first) = this.by_name.get(&key) {
                this.problems.push(DefinitionProblem {
                    file: file.clone(),
                    field: "revision".to_owned(),
                    message: format!("{} is already defined in {}", first.name(), first.file.display()),
                });
                continue;
            }
            this.by_name.insert(key, Arc::new(definition));
        }
        Ok(this)
    }

    /// Returns every usable definition, by family and revision.
    pub fn all(&self) -> impl Iterator<Item = &Arc<LocalDefinition>> {
        self.by_name.values()
    }

    /// Returns the problems of files in the folder.
    #[must_use]
    pub fn problems(&self) -> &[DefinitionProblem] {
        &self.problems
    }

    /// Finds a definition by family (the newest revision), by `family:revision`, or by an ARN that ends in either.
    ///
    /// # Errors
    ///
    /// Fails with the folder, the definitions in it and the files that could not be used.
    pub fn find(&self, name: &str) -> Result<Arc<LocalDefinition>, String> {
        let short = name.rsplit_once('/').map_or(name, |(_, last)| last);
        let (family, revision) = match short.split_once(':') {
            Some((family, revision)) => (family, Some(revision.parse::<u32>())),
            None => (short, None),
        };
        let revisions = (family.to_owned(), 0)..=(family.to_owned(), u32::MAX);
        let found = match revision {
            None => self.by_name.range(revisions).next_back().map(|(_, definition)| definition),
            Some(Ok(revision)) => self.by_name.get(&(family.to_owned(), revision)),
            Some(Err(_)) => None,
        };
        found.cloned().ok_or_else(|| self.describe_missing(name))
    }

    fn describe_missing(&self, name: &str) -> String {
        let known: Vec<String> = self.by_name.values().map(|definition| definition.name()).collect();
        let folder = self.folder.display();
        let known = if known.is_empty() {
            "the folder has none".to_owned()
        } else {
            format!("the folder has {}", known.join(", "))
        };
        let mut text = format!("no task definition \"{name}\" in {folder}; {known}");
        for problem in &self.problems {
            text.push_str(&format!("; not usable: {problem}"));
        }
        text
    }
}

fn read_limited(file: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = File::open(file).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text));
    match read {
        // This case comes first: in a file that is too long, the limit may cut a character and so fail the read.
        Ok(_) | Err(_) if fs::metadata(file).is_ok_and(|meta| meta.len() > MAX_FILE_BYTES) => {
            Err(format!("is longer than {MAX_FILE_BYTES} bytes, the maximum of a task definition file"))
        }
        Ok(_) => Ok(text),
        Err(error) => Err(format!("could not be read: {error}")),
    }
}

fn read_stamps(folder: &Path) -> std::io::Result<BTreeMap<PathBuf, FileStamp>> {
    let mut stamps = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            // A file that was removed since the listing is skipped.
            if let Ok(meta) = fs::metadata(&path)
                && meta.is_file()
            {
                stamps.insert(path, FileStamp { modified: meta.modified().ok(), length: meta.len() });
            }
        }
    }
    Ok(stamps)
}

/// The current task definitions of a folder.
#[derive(Debug)]
pub(crate) struct DefinitionStore {
    path: PathBuf,
    definitions: Arc<Definitions>,
    checked_at: tokio::time::Instant,
}

impl DefinitionStore {
    pub(crate) fn open(path: PathBuf) -> std::io::Result<Self> {
        let definitions = Definitions::read(&path)?;
        let this = Self { path, definitions: Arc::new(definitions), checked_at: tokio::time::Instant::now() };
        this.log_changes(&Definitions::default());
        Ok(this)
    }

    /// Returns the definitions; reloads them when a file changed. While the folder is unreadable, the last ones stay.
    pub(crate) fn current(&mut self) -> Arc<Definitions> {
        if self.checked_at.elapsed() >= RELOAD_INTERVAL {
            self.reload();
        }
        self.definitions.clone()
    }

    /// Finds a definition; checks the files again before it refuses a name.
    pub(crate) fn find(&mut self, name: &str) -> Result<Arc<LocalDefinition>, String> {
        let found = self.current().find(name);
        if found.is_ok() || self.checked_at.elapsed().is_zero() {
            return found;
        }
        self.reload();
        self.definitions.find(name)
    }

    fn reload(&mut self) {
        self.checked_at = tokio::time::Instant::now();
        let read = match read_stamps(&self.path) {
            Ok(stamps) if stamps == self.definitions.stamps => return,
            Ok(_) => Definitions::read(&self.path),
            Err(error) => Err(error),
        };
        match read {
            Ok(definitions) => {
                let before = std::mem::replace(&mut self.definitions, Arc::new(definitions));
                self.log_changes(&before);
            }
            Err(error) => {
                tracing::warn!(folder = %self.path.display(), %error, "could not read the folder of task definitions");
            }
        }
    }

    /// Logs problems and ignored fields, once for each change of a definition.
    fn log_changes(&self, before: &Definitions) {
        for problem in self.definitions.problems.iter().filter(|problem| !before.problems.contains(problem)) {
            tracing::warn!(%problem, "a task definition cannot be used");
        }
        for (key, definition) in &self.definitions.by_name {
            let same = before.by_name.get(key).is_some_and(|old| old.ignored == definition.ignored);
            if !same && !definition.ignored.is_empty() {
                let (name, fields) = (definition.name(), definition.ignored.join(", "));
                tracing::warn!(
                    definition = name,
                    fields,
                    "a local process cannot honour these fields; they are ignored"
                );
            }
        }
    }
}
