//! Emulators of S3 as processes: moto for everything, ministack as a second opinion.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// What installs them.
const INSTALL: &str = "make emulators";

/// How long one may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// An emulator, in a process group of its own. It ends when its input does, so also when the tests are killed.
#[derive(Debug)]
struct Emulator {
    address: String,
    _process: Child,
}

/// Returns the address of moto, which all tests share; each uses a bucket of its own.
pub(crate) fn moto() -> &'static str {
    static MOTO: OnceLock<Emulator> = OnceLock::new();
    &MOTO.get_or_init(|| start("moto")).address
}

/// Returns the address of ministack.
pub(crate) fn ministack() -> &'static str {
    static MINISTACK: OnceLock<Emulator> = OnceLock::new();
    &MINISTACK.get_or_init(|| start("ministack")).address
}

fn start(name: &str) -> Emulator {
    use std::os::unix::process::CommandExt as _;
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate lies two folders deep");
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
    let begun = Instant::now();
    while !answers(&address) {
        assert!(begun.elapsed() < PATIENCE, "{name} does not answer (`{INSTALL}` installs it)");
        std::thread::yield_now();
    }
    Emulator { address, _process: process }
}

/// Tells whether an HTTP server answers at an address.
fn answers(address: &str) -> bool {
    use std::io::{Read as _, Write as _};
    let Ok(mut connection) = std::net::TcpStream::connect(address) else { return false };
    let _ = connection.set_read_timeout(Some(Duration::from_secs(5)));
    let asked = connection.write_all(b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
    asked.is_ok() && matches!(connection.read(&mut [0; 16]), Ok(read) if read > 0)
}
