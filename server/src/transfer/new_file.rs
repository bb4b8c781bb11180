//! New files that appear complete or not at all, and never overwrite another file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::error::{CommandError, ConfigRejected};

#[cfg(test)]
mod tests;

/// A file that is written beside its target. It is removed if it is dropped before it is [published](Self::publish).
#[derive(Debug)]
pub struct NewFile {
    target: PathBuf,
    temporary: PathBuf,
}

impl NewFile {
    /// Reserves a name beside `target`, which must not exist.
    ///
    /// # Errors
    ///
    /// Fails when `target` exists, or when its folder cannot be written.
    pub fn beside(target: &Path) -> Result<Self, CommandError> {
        if target.symlink_metadata().is_ok() {
            return Err(exists(target));
        }
        let mut name = target.file_name().map(ToOwned::to_owned).ok_or_else(|| {
            CommandError::failed(format!("could not write {}: it does not name a file", target.display()))
        })?;
        name.push(format!(".partial-{}", std::process::id()));
        let temporary = target.with_file_name(name);
        private().open(&temporary).map_err(|error| {
            let message =
                format!("could not create {}: check that its folder is writable", temporary.display());
            if error.kind() == ErrorKind::NotFound {
                return ConfigRejected(vec![format!("{message}: {error}")]).into();
            }
            CommandError::opening(message, error)
        })?;
        Ok(Self { target: target.to_owned(), temporary })
    }

    /// Returns the file to write to.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.temporary
    }

    /// Makes the file durable, and gives it its name.
    ///
    /// # Errors
    ///
    /// Fails if another file of the name was created meanwhile, or if the disk fails.
    pub fn publish(self) -> Result<(), CommandError> {
        let published = File::open(&self.temporary)
            .and_then(|file| file.sync_all())
            .and_then(|()| name(&self.temporary, &self.target))
            .and_then(|()| sync_folder(&self.target));
        published.map_err(|error| {
            if error.kind() == ErrorKind::AlreadyExists {
                return exists(&self.target);
            }
            CommandError::caused(format!("could not write {}", self.target.display()), error)
        })
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // After `publish` only the target name is left; otherwise the caller reports its own error.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Gives a file its name, unless another file has it: a rename would replace that one.
fn name(temporary: &Path, target: &Path) -> io::Result<()> {
    match fs::hard_link(temporary, target) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
        // On a file system without hard links, an empty file reserves the name first.
        Err(_) => private().open(target).and_then(|_| fs::rename(temporary, target)),
    }
}

/// Makes a new file for this user alone: jobs may hold secrets.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options
}

fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn exists(target: &Path) -> CommandError {
    let remedy = "name another file, or move it away";
    CommandError::failed(format!("{} exists already, and nothing is overwritten; {remedy}", target.display()))
}
