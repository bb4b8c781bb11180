//! Emulators of S3 as processes: moto for everything, ministack as a second opinion.

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

/// An emulator, in a process group of its own. It ends when its input does, so also when the tests are killed.
#[derive(Debug)]
struct Emulator {
    address: String,
    _process: Child,
}

/// Returns the address of moto, which all tests share; each uses a bucket of its own.
pub(crate) async fn moto() -> &'static str {
    static MOTO: OnceCell<Emulator> = OnceCell::const_new();
    &MOTO.get_or_init(|| start("moto")).await.address
}

/// Returns the address of ministack.
pub(crate) async fn ministack() -> &'static str {
    static MINISTACK: OnceCell<Emulator> = OnceCell::const_new();
    &MINISTACK.get_or_init(|| start("ministack")).await.address
}

async fn start(name: &str) -> Emulator {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let python = root.join(".tools/emulators/bin/python");
    assert!(python.is_file(), "{} is not there; install the emulators by `{INSTALL}`", python.display());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let process = Command::new(python)
        .arg(root.join("scripts/emulators.py"))
        .args([name, &port.to_string()])
        .stdin(Stdio::piped())
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
    Emulator { address, _process: process }
}

/// Sends a request, and waits for the first byte of the answer.
async fn is_ready(address: &str) -> std::io::Result<u8> {
    let mut connection = TcpStream::connect(address).await?;
    connection.write_all(b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n").await?;
    connection.read_u8().await
}
