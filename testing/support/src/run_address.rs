//! Addresses of servers that the processes of one test binary share in one run of nextest.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

/// The address of a shared server, locked. The first process of a run starts the server and writes its address, the others
/// read it.
#[derive(Debug)]
pub struct RunAddress {
    file: File,
    run: String,
}

impl RunAddress {
    /// Waits until no other process of this test binary has the address of the server with this name, and locks it until
    /// the value is dropped. Returns `None` without nextest: then the binary is one process.
    ///
    /// # Panics
    ///
    /// Panics when the folder of the test binary cannot be written.
    #[must_use]
    pub fn lock(server: &str) -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "only nextest tells a test which run it belongs to")]
        let run = std::env::var("NEXTEST_RUN_ID").ok()?;
        let binary = std::env::current_exe().expect("the test binary has a path");
        let path = binary.with_extension(format!("{server}.address"));
        Some(Self::lock_file(&path, run).expect("the folder of the test binary can be written"))
    }

    /// Locks the file for a run.
    fn lock_file(path: &Path, run: String) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        file.lock()?;
        Ok(Self { file, run })
    }

    /// Returns the id of the process that a shared server ends with: nextest, the parent of each test process.
    #[must_use]
    pub fn owner(&self) -> u32 {
        std::os::unix::process::parent_id()
    }

    /// Returns the address that a process of this run wrote.
    ///
    /// # Panics
    ///
    /// Panics when the file cannot be read.
    #[must_use]
    pub fn read(&mut self) -> Option<String> {
        let mut content = String::new();
        self.file.rewind().expect("a file can be rewound");
        self.file.read_to_string(&mut content).expect("the address is read");
        content.split_once(' ').filter(|(run, _)| *run == self.run).map(|(_, address)| address.to_owned())
    }

    /// Writes the address for the other processes of this run.
    ///
    /// # Panics
    ///
    /// Panics when the file cannot be written.
    pub fn write(&mut self, address: &str) {
        self.file.set_len(0).and_then(|()| self.file.rewind()).expect("an old address is removed");
        write!(self.file, "{} {address}", self.run).expect("the address is written");
    }
}

#[cfg(test)]
mod tests {
    use super::RunAddress;

    #[test]
    fn an_address_is_read_only_in_the_run_that_wrote_it() {
        let folder = tempfile::tempdir().expect("a temporary folder is made");
        let path = folder.path().join("it.server.address");
        let lock = |run: &str| RunAddress::lock_file(&path, run.to_owned()).expect("the file is locked");
        let mut first = lock("first");
        assert_eq!(first.read(), None);
        first.write("127.0.0.1:5432 /tmp/some folder");
        assert_eq!(first.read().as_deref(), Some("127.0.0.1:5432 /tmp/some folder"));
        drop(first);
        assert_eq!(lock("first").read().as_deref(), Some("127.0.0.1:5432 /tmp/some folder"));
        let mut second = lock("second");
        assert_eq!(second.read(), None);
        second.write("127.0.0.1:1");
        assert_eq!(second.read().as_deref(), Some("127.0.0.1:1"));
    }

    #[test]
    fn an_address_is_locked_until_it_is_dropped() {
        let folder = tempfile::tempdir().expect("a temporary folder is made");
        let path = folder.path().join("it.server.address");
        let first = RunAddress::lock_file(&path, "run".to_owned()).expect("the file is locked");
        let other = std::fs::File::open(&path).expect("the file is there");
        assert!(matches!(other.try_lock(), Err(std::fs::TryLockError::WouldBlock)));
        drop(first);
        other.try_lock().expect("nobody has the lock");
    }
}
