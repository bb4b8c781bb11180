//! The folder of task definitions: read once, and again when a file in it changes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::definition::{Definition, DefinitionProblem, parse};

#[cfg(test)]
mod tests;

/// How long the folder is taken as unchanged after a look at it.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The most bytes of a file: ECS takes definitions of 64 KiB.
const MAX_FILE: u64 = 1024 * 1024;

/// What one file looked like when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

/// The task definitions of one folder.
#[derive(Debug, Clone, Default)]
pub struct Definitions {
    folder: PathBuf,
    stamps: BTreeMap<PathBuf, Stamp>,
    by_name: BTreeMap<(String, u32), Arc<Definition>>,
    problems: Vec<DefinitionProblem>,
}

impl Definitions {
    /// Reads every `*.json` of a folder; a file that is wrong becomes a problem and the others keep working.
    ///
    /// # Errors
    ///
    /// Fails when the folder itself cannot be read.
    pub fn read(folder: &Path) -> std::io::Result<Self> {
        let stamps = stamps(folder)?;
        let mut this = Self { folder: folder.to_owned(), stamps, ..Self::default() };
        for file in this.stamps.keys() {
            let whole = |message| DefinitionProblem { file: file.clone(), field: String::new(), message };
            let read = text_of(file).map_err(whole).and_then(|text| parse(file, &text));
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
                    message: format!("{} stands in {} already", first.name(), first.file.display()),
                });
                continue;
            }
            this.by_name.insert(key, Arc::new(definition));
        }
        Ok(this)
    }

    /// Returns every usable definition, by family and revision.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.by_name.values()
    }

    /// Returns what is wrong with files of the folder.
    #[must_use]
    pub fn problems(&self) -> &[DefinitionProblem] {
        &self.problems
    }

    /// Finds a definition by family (the newest revision), `family:revision` or an ARN that ends so.
    ///
    /// # Errors
    ///
    /// Fails with the folder, the families in it and the files that could not be used.
    pub fn find(&self, name: &str) -> Result<Arc<Definition>, String> {
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
        found.cloned().ok_or_else(|| self.missing(name))
    }

    fn missing(&self, name: &str) -> String {
        let known: Vec<String> = self.by_name.values().map(|definition| definition.name()).collect();
        let folder = self.folder.display();
        let known = if known.is_empty() {
            "it has none".to_owned()
        } else {
            format!("known are {}", known.join(", "))
        };
        let mut text = format!("no task definition \"{name}\" in {folder}; {known}");
        for problem in &self.problems {
            text.push_str(&format!("; not usable: {problem}"));
        }
        text
    }
}

fn text_of(file: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = File::open(file).and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text));
    match read {
        // A character that is cut in two would hide that the file is too long.
        Ok(_) | Err(_) if fs::metadata(file).is_ok_and(|meta| meta.len() > MAX_FILE) => {
            Err(format!("is longer than {MAX_FILE} bytes, which no task definition is"))
        }
        Ok(_) => Ok(text),
        Err(error) => Err(format!("could not be read: {error}")),
    }
}

fn stamps(folder: &Path) -> std::io::Result<BTreeMap<PathBuf, Stamp>> {
    let mut stamps = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            // A file that vanished since the listing is left out, as if it had vanished before.
            if let Ok(meta) = fs::metadata(&path)
                && meta.is_file()
            {
                stamps.insert(path, Stamp { modified: meta.modified().ok(), length: meta.len() });
            }
        }
    }
    Ok(stamps)
}

/// A folder of definitions that follows the files.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    definitions: Arc<Definitions>,
    looked: tokio::time::Instant,
}

impl Folder {
    pub(crate) fn open(path: PathBuf) -> std::io::Result<Self> {
        let definitions = Definitions::read(&path)?;
        let this = Self { path, definitions: Arc::new(definitions), looked: tokio::time::Instant::now() };
        this.report(&Definitions::default());
        Ok(this)
    }

    /// Returns the definitions, read again when a file changed. While the folder cannot be read, the last ones stay.
    pub(crate) fn current(&mut self) -> Arc<Definitions> {
        if self.looked.elapsed() >= LOOK_EVERY {
            self.look();
        }
        self.definitions.clone()
    }

    /// Finds a definition; a name that is not known gets a look at the files first.
    pub(crate) fn find(&mut self, name: &str) -> Result<Arc<Definition>, String> {
        let found = self.current().find(name);
        if found.is_ok() || self.looked.elapsed().is_zero() {
            return found;
        }
        self.look();
        self.definitions.find(name)
    }

    fn look(&mut self) {
        self.looked = tokio::time::Instant::now();
        let read = match stamps(&self.path) {
            Ok(stamps) if stamps == self.definitions.stamps => return,
            Ok(_) => Definitions::read(&self.path),
            Err(error) => Err(error),
        };
        match read {
            Ok(definitions) => {
                let before = std::mem::replace(&mut self.definitions, Arc::new(definitions));
                self.report(&before);
            }
            Err(error) => {
                tracing::warn!(folder = %self.path.display(), %error, "could not read the folder of task definitions");
            }
        }
    }

    /// Logs what is wrong or ignored, once for each change of a definition.
    fn report(&self, before: &Definitions) {
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
