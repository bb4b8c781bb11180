//! The emulators of DynamoDB, each started once for all tests of a process.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use ecs_scheduler_fake_aws::{Fake, FakeOptions};
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// The command that installs the emulators.
const INSTALL: &str = "make emulators";
/// How long an emulator may take to start.
const DEADLINE: Duration = Duration::from_secs(60);

/// The emulators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EmulatorKind {
    /// The stricter one: it supports the tokens of transactions, and words its errors as DynamoDB does.
    Ministack,
    /// The best known one. It ignores tokens, and does not isolate concurrent requests.
    Moto,
    /// A third-party emulator in Rust, whose authors compare its answers with those of AWS.
    Dynoxide,
    /// The strict fake of this repository: it refuses the requests that DynamoDB refuses.
    Fake,
}

/// A running emulator. It ends with this process, because its standard input is closed then.
#[derive(Debug)]
pub(crate) struct Emulator {
    pub(crate) url: String,
    /// Absent for the fake, which runs in this process.
    _process: Option<Child>,
}

static MINISTACK: OnceCell<Emulator> = OnceCell::const_new();
static MOTO: OnceCell<Emulator> = OnceCell::const_new();
static DYNOXIDE: OnceCell<Emulator> = OnceCell::const_new();
static FAKE: OnceCell<Emulator> = OnceCell::const_new();

impl EmulatorKind {
    /// Returns the emulator; the first call starts it.
    pub(crate) async fn running(self) -> &'static Emulator {
        match self {
            Self::Ministack => {
                MINISTACK.get_or_init(|| Emulator::start("ministack", "/_localstack/health")).await
            }
            Self::Moto => MOTO.get_or_init(|| Emulator::start("moto", "/moto-api/data.json")).await,
            Self::Dynoxide => DYNOXIDE.get_or_init(|| Emulator::start("dynoxide", "/")).await,
            Self::Fake => FAKE.get_or_init(async || Emulator::fake()).await,
        }
    }
}

impl Emulator {
    /// Starts the fake on a thread that outlives the runtime of each test.
    fn fake() -> Self {
        let (started, url) = sync_channel(1);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let fake = Fake::start(FakeOptions::default()).await.unwrap();
                started.send(fake.url()).unwrap();
                std::future::pending::<()>().await;
            });
        });
        Self { url: url.recv().expect("the thread sends its address or fails"), _process: None }
    }

    async fn start(name: &str, ready: &str) -> Self {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate is two folders down");
        let python = root.join(".tools/emulators/bin/python");
        assert!(python.is_file(), "{} is not there; install the emulators by `{INSTALL}`", python.display());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut process = Command::new(python)
            .arg(root.join("scripts/emulators.py"))
            .args([name, &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let asked = format!("{url}{ready}");
        let deadline = Instant::now() + DEADLINE;
        while !http.get(&asked).send().await.is_ok_and(|answer| answer.status().is_success()) {
            let ended = process.try_wait().unwrap();
            assert!(ended.is_none(), "{name} ended: {ended:?}; install the emulators by `{INSTALL}`");
            assert!(Instant::now() < deadline, "{name} does not answer (`{INSTALL}` installs it)");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Self { url, _process: Some(process) }
    }
}
