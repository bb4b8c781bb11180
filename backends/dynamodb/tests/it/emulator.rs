//! The emulators of DynamoDB, each started once for all tests of a run.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
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

/// A running emulator. It ends with the test run: with nextest, or with this process when its standard input is closed.
#[derive(Debug)]
pub(crate) struct Emulator {
    pub(crate) url: String,
    /// Absent for the fake, which runs in this process, and for an emulator that another process started.
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

    /// Starts an emulator. The processes of one nextest run share it: the first one starts it, and writes its address to a file.
    async fn start(name: &str, ready: &str) -> Self {
        #[expect(clippy::disallowed_methods, reason = "only nextest tells a test which run it belongs to")]
        let Ok(run) = std::env::var("NEXTEST_RUN_ID") else { return Self::spawn(name, ready, None).await };
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("dynamodb-{name}.address"));
        let mut file =
            File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap();
        file.lock().unwrap();
        let mut content = String::new();
        file.read_to_string(&mut content).unwrap();
        if let Some((_, url)) = content.split_once(' ').filter(|(other, _)| *other == run) {
            return Self { url: url.to_owned(), _process: None };
        }
        let nextest = std::os::unix::process::parent_id();
        let emulator = Self::spawn(name, ready, Some(nextest)).await;
        file.set_len(0).unwrap();
        file.rewind().unwrap();
        write!(file, "{run} {}", emulator.url).unwrap();
        emulator
    }

    /// Starts a process, which ends with its owner; without an owner, it ends with this process.
    async fn spawn(name: &str, ready: &str, owner: Option<u32>) -> Self {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate is two folders down");
        let python = root.join(".tools/emulators/bin/python");
        assert!(python.is_file(), "{} is not there; install the emulators by `{INSTALL}`", python.display());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut process = Command::new(python)
            .arg(root.join("scripts/emulators.py"))
            .args([name, &port.to_string()])
            .args(owner.map(|owner| owner.to_string()))
            .stdin(if owner.is_some() { Stdio::null() } else { Stdio::piped() })
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
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
