//! Emulators of services that others wrote, as processes. `scripts/emulators.py` runs them.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::free_port::free_port;
use crate::run_address::RunAddress;

/// The command that installs the emulators.
const INSTALL_COMMAND: &str = "make emulators";

/// How long an emulator may take to start on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The interval of the readiness checks.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// An emulator that `make emulators` installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmulatorKind {
    /// ministack: ECS, SQS, CloudWatch, S3 and DynamoDB, with the tokens of transactions.
    Ministack,
    /// moto, the best known emulator of AWS. It ignores tokens, and does not isolate concurrent requests.
    Moto,
    /// dynoxide: DynamoDB, compared with AWS by its authors.
    Dynoxide,
    /// noida-db, which reports Elasticsearch 8.15.
    Noida,
    /// osmem-server, which reports OpenSearch 3.8.
    Osmem,
}

impl EmulatorKind {
    /// Returns its name in `scripts/emulators.py`, and the path that is answered with success once it is ready.
    const fn name_and_ready_path(self) -> (&'static str, &'static str) {
        match self {
            Self::Ministack => ("ministack", "/_localstack/health"),
            Self::Moto => ("moto", "/moto-api/data.json"),
            Self::Dynoxide => ("dynoxide", "/"),
            Self::Noida => ("noida", "/"),
            Self::Osmem => ("osmem", "/"),
        }
    }
}

/// A running emulator, in a process group of its own: it ends with its owner however that ends.
#[derive(Debug)]
pub struct Emulator {
    address: String,
    /// Absent if another process started it.
    _process: Option<Child>,
    /// Its working folder.
    _folder: Option<TempDir>,
}

impl Emulator {
    /// Starts an emulator, and waits until it is ready. It ends when the value is dropped, and with this process.
    ///
    /// # Panics
    ///
    /// Panics when the emulator is not installed, ends, or does not answer within a minute.
    pub async fn start(kind: EmulatorKind) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder is made");
        let mut command = command(kind);
        command.current_dir(folder.path()).stdin(Stdio::piped()).kill_on_drop(true);
        let (address, process) = spawn(kind, command, None).await;
        Self { address, _process: Some(process), _folder: Some(folder) }
    }

    /// Returns the emulator that the processes of one test binary share in one run of nextest. The first of them starts it;
    /// it ends with nextest. Without nextest this is [`Emulator::start`], so that a test binary calls it once for each kind.
    ///
    /// # Panics
    ///
    /// Panics as [`Emulator::start`] does.
    pub async fn shared(kind: EmulatorKind) -> Self {
        let Some(mut shared) = RunAddress::lock(kind.name_and_ready_path().0) else {
            return Self::start(kind).await;
        };
        if let Some(address) = shared.read() {
            return Self { address, _process: None, _folder: None };
        }
        let mut command = command(kind);
        command.stdin(Stdio::null());
        let (address, process) = spawn(kind, command, Some(shared.owner())).await;
        shared.write(&address);
        Self { address, _process: Some(process), _folder: None }
    }

    /// Returns the address, `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the URL, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn command(kind: EmulatorKind) -> Command {
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the crate is two folders deep")
        .into();
    let python = root.join(".tools/emulators/bin/python");
    assert!(
        python.is_file(),
        "{} is not there; install the emulators with `{INSTALL_COMMAND}`",
        python.display()
    );
    let mut command = Command::new(python);
    command.arg(root.join("scripts/emulators.py")).arg(kind.name_and_ready_path().0);
    command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    command
}

/// Starts the process on a free port, and waits until it is ready.
async fn spawn(kind: EmulatorKind, mut command: Command, owner: Option<u32>) -> (String, Child) {
    let (name, path) = kind.name_and_ready_path();
    let port = free_port();
    command.arg(port.to_string()).args(owner.map(|owner| owner.to_string()));
    let mut process = command.spawn().expect("the emulator starts");
    let address = format!("127.0.0.1:{port}");
    let deadline = Instant::now() + START_TIMEOUT;
    while !is_ready(&address, path).await.is_ok_and(|ready| ready) {
        let ended: Option<ExitStatus> = process.try_wait().expect("the process is a child");
        assert!(ended.is_none(), "{name} ended: {ended:?}; install the emulators with `{INSTALL_COMMAND}`");
        assert!(Instant::now() < deadline, "{name} does not answer; `{INSTALL_COMMAND}` installs it");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    (address, process)
}

/// Returns whether a GET of this path succeeds.
async fn is_ready(address: &str, path: &str) -> io::Result<bool> {
    let mut connection = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut status_line = [0; "HTTP/1.1 200".len()];
    connection.read_exact(&mut status_line).await?;
    Ok(status_line[.."HTTP/1.1 ".len()].starts_with(b"HTTP/1.") && status_line[9] == b'2')
}
