//! The file by which commands on the machine of a server reach it without a token of their own.
//!
//! The server makes a token at its start that only its memory and this file have. Its user alone may read the file, and that user can
//! read the credentials of the store as well.

use std::fs::{self, DirBuilder};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

/// The name of the file in the data folder.
const FILE: &str = "bootstrap-token.json";

/// The content of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BootstrapFile {
    /// The URL of the server on its own machine.
    pub(crate) server: String,
    /// The token.
    pub(crate) token: String,
}

impl BootstrapFile {
    /// Returns the path of the file in a data folder.
    pub(crate) fn path(data_dir: &Path) -> PathBuf {
        data_dir.join(FILE)
    }

    /// Writes the file, for its user only, in the place of an older one.
    ///
    /// # Errors
    ///
    /// Fails when the folder cannot be created or written.
    pub(crate) fn write(&self, data_dir: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(data_dir)?;
        // A temporary file is readable by its user only.
        let mut file = NamedTempFile::new_in(data_dir)?;
        serde_json::to_writer(&mut file, self)?;
        file.flush()?;
        file.persist(Self::path(data_dir))?;
        Ok(())
    }

    /// Reads the file.
    ///
    /// # Errors
    ///
    /// Fails when it does not exist, may not be read, or has another content.
    pub(crate) fn read(data_dir: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(Self::path(data_dir))?)?)
    }

    /// Removes the file, unless another process has replaced it.
    pub(crate) fn remove(&self, data_dir: &Path) {
        if Self::read(data_dir).is_ok_and(|found| found == *self) {
            // A file that stays is harmless: its token is worth nothing any more.
            let _ = fs::remove_file(Self::path(data_dir));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn file(token: &str) -> BootstrapFile {
        BootstrapFile { server: "http://127.0.0.1:5000".to_owned(), token: token.to_owned() }
    }

    #[test]
    fn only_its_user_may_read_the_file_and_a_later_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        file("one").write(&data).unwrap();
        let mode = fs::metadata(BootstrapFile::path(&data)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        file("two").write(&data).unwrap();
        file("one").remove(&data);
        assert_eq!(BootstrapFile::read(&data).unwrap(), file("two"));
        file("two").remove(&data);
        assert_eq!(BootstrapFile::read(&data).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
