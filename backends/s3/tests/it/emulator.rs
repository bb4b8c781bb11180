//! Emulators of S3 as processes: moto for everything, ministack as a second opinion.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;

/// The command that installs the emulators.
const INSTALL: &str = "make emulators";

/// How long an emulator may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The interval of the readiness checks.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// An emulator, in a process group of its own. It ends with the test run: with nextest, or with this process when its standard input
/// is closed.
#[derive(Debug)]
struct Emulator {
    address: String,
    /// Absent for an emulator that another process started.
    _process: Option<Child>,
}

/// Returns the address of moto, which all tests of a run share. Each test uses a bucket of its own.
pub(crate) async fn moto() -> &'static str {
    static MOTO: OnceCell<Emulator> = OnceCell::const_new();
    &MOTO.get_or_init(|| start("moto")).await.address
}

/// Returns the address of ministack.
pub(crate) async fn ministack() -> &'static str {
    static MINISTACK: OnceCell<Emulator> = OnceCell::const_new();
    &MINISTACK.get_or_init(|| start("ministack")).await.address
}

/// Starts an emulator. The processes of one nextest run share it: the first one starts it, and writes its address to a file.
async fn start(name: &str) -> Emulator {
    #[expect(clippy::disallowed_methods, reason = "only nextest tells a test which run it belongs to")]
    let Ok(run) = std::env::var("NEXTEST_RUN_ID") else { return spawn(name, None).await };
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("s3-{name}.address"));
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap();
    file.lock().unwrap();
    let mut content = String::new();
    file.read_to_string(&mut content).unwrap();
    if let Some((_, address)) = content.split_once(' ').filter(|(other, _)| *other == run) {
        return Emulator { address: address.to_owned(), _process: None };
    }
    let nextest = std::os::unix::process::parent_id();
    let emulator = spawn(name, Some(nextest)).await;
    file.set_len(0).unwrap();
    file.rewind().unwrap();
    write!(file, "{run} {}", emulator.address).unwrap();
    emulator
}

/// Starts a process, which ends with its owner; without an owner, it ends with this process.
async fn spawn(name: &str, owner: Option<u32>) -> Emulator {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let python = root.join(".tools/emulators/bin/python");
    assert!(python.is_file(), "{} is not there; install the emulators by `{INSTALL}`", python.display());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let process = Command::new(python)
        .arg(root.join("scripts/emulators.py"))
        .args([name, &port.to_string()])
        .args(owner.map(|owner| owner.to_string()))
        .stdin(if owner.is_some() { Stdio::null() } else { Stdio::piped() })
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let address = format!("127.0.0.1:{port}");
    let answering = async {
        while is_ready(&address).await.is_err() {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    let answered = tokio::time::timeout(START_TIMEOUT, answering).await;
    assert!(answered.is_ok(), "{name} does not answer (`{INSTALL}` installs it)");
    Emulator { address, _process: Some(process) }
}

/// Sends a request, and waits for the first byte of the answer.
async fn is_ready(address: &str) -> std::io::Result<u8> {
    let mut connection = TcpStream::connect(address).await?;
    connection.write_all(b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n").await?;
    connection.read_u8().await
}
