//! A real server for each run of nextest, else for each test process. It stops when nextest or the process ends.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, OnceLock};

use ecs_scheduler_test_support::{RunAddress, free_port};

/// The supervisor: it runs until its owner ends, or without an owner until its standard input is closed.
const SCRIPT: &str = include_str!("server.sh");
pub(crate) const PASSWORD: &str = "s3cr&t/";
const ENCODED: &str = "s3cr%26t%2F";
/// How many ports are tried: another process may have taken a port that was free.
const MAX_START_ATTEMPTS: usize = 5;

/// A server that accepts connections.
pub(crate) struct Server {
    pub(crate) port: u16,
    /// The folder with `server.crt`.
    pub(crate) folder: PathBuf,
    /// Dropping this stops a server without an owner. Absent if another process started it.
    _supervisor: Option<Child>,
}

/// Returns the server, which the first call of the run starts. Its other users are tests at the same time.
pub(crate) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let Some(mut shared) = RunAddress::lock("postgresql") else { return start(None) };
        let running = shared.read();
        if let Some((port, folder)) = running.as_ref().and_then(|address| address.split_once(' ')) {
            let port = port.parse().expect("the address begins with the port");
            return Server { port, folder: folder.into(), _supervisor: None };
        }
        let server = start(Some(shared.owner()));
        shared.write(&format!("{} {}", server.port, server.folder.display()));
        server
    })
}

/// Starts a server that ends with the owner, or without an owner with this process.
fn start(owner: Option<u32>) -> Server {
    let programs = programs();
    let mut log = String::new();
    for _ in 0..MAX_START_ATTEMPTS {
        match Server::start(&programs, owner) {
            Ok(server) => return server,
            Err(output) => log = output,
        }
    }
    panic!("the PostgreSQL server does not start:\n{log}");
}

/// Finds the folder of the server's programs: that of Debian's package, or one in PATH.
fn programs() -> PathBuf {
    let debian_versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = debian_versions.map(|version| version.path().join("bin")).collect();
    let in_path = Command::new("sh").args(["-c", "command -v initdb"]).output().expect("a shell starts");
    folders.extend(Path::new(String::from_utf8_lossy(&in_path.stdout).trim()).parent().map(Path::to_owned));
    let complete = |folder: &PathBuf| folder.join("initdb").exists() && folder.join("postgres").exists();
    let found = folders.into_iter().find(complete);
    found.expect("there is no PostgreSQL server; run scripts/postgres.sh, which installs one")
}

impl Server {
    fn start(programs: &Path, owner: Option<u32>) -> Result<Self, String> {
        let port = free_port();
        let mut supervisor = unprivileged()
            .args(["-c", SCRIPT, "server"])
            .arg(programs)
            .args([&port.to_string(), PASSWORD])
            .args(owner.map(|owner| owner.to_string()))
            .current_dir("/")
            // A signal to the group of a test does not end a server that others use.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("a shell starts");
        let mut lines = BufReader::new(supervisor.stdout.take().expect("it is piped")).lines();
        let mut output: Vec<String> = Vec::new();
        while let Some(Ok(line)) = lines.next() {
            if line == "ready" {
                return Ok(Self { port, folder: output.remove(0).into(), _supervisor: Some(supervisor) });
            }
            output.push(line);
        }
        drop(supervisor.stdin.take());
        supervisor.wait().expect("the shell ends");
        Err(output.join("\n"))
    }

    /// Returns the URL of the database that initdb creates.
    pub(crate) fn url(&self) -> String {
        self.url_at(self.port, "scheduler", ENCODED)
    }

    /// Returns the URL of that database for a user and a port.
    pub(crate) fn url_at(&self, port: u16, user: &str, password: &str) -> String {
        format!("postgres://{user}:{password}@127.0.0.1:{port}/postgres")
    }

    /// Returns the URL of a schema.
    pub(crate) fn url_of(&self, schema: &str) -> String {
        in_schema(&self.url(), schema)
    }
}

pub(crate) fn in_schema(url: &str, schema: &str) -> String {
    format!("{url}?options=-c%20search_path%3D{schema}")
}

/// Returns a name that no other schema, user or database of this server has.
pub(crate) fn unique_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());
    format!("test_{:x}_{}", *PROCESS, COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Returns a shell that does not run as root, which the server refuses.
pub(crate) fn unprivileged() -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new("sh");
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = if users.lines().any(|line| line.starts_with("postgres:")) { "postgres" } else { "nobody" };
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={user}"), "--clear-groups", "sh"]);
    command
}
