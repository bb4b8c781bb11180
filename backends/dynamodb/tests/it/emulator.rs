//! The servers in the place of DynamoDB: three emulators that others wrote, and the strict fake of this repository.

use std::sync::mpsc::sync_channel;

use ecs_scheduler_fake_aws::{Fake, FakeOptions};
use ecs_scheduler_test_support as support;
use tokio::sync::OnceCell;

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

/// A running emulator.
#[derive(Debug)]
pub(crate) struct Emulator {
    pub(crate) url: String,
    /// Absent for the fake, which runs in this process.
    _process: Option<support::Emulator>,
}

static MINISTACK: OnceCell<Emulator> = OnceCell::const_new();
static MOTO: OnceCell<Emulator> = OnceCell::const_new();
static DYNOXIDE: OnceCell<Emulator> = OnceCell::const_new();
static FAKE: OnceCell<Emulator> = OnceCell::const_new();

impl EmulatorKind {
    /// Returns the emulator; the first call starts it.
    pub(crate) async fn running(self) -> &'static Emulator {
        let (cell, kind) = match self {
            Self::Ministack => (&MINISTACK, support::EmulatorKind::Ministack),
            Self::Moto => (&MOTO, support::EmulatorKind::Moto),
            Self::Dynoxide => (&DYNOXIDE, support::EmulatorKind::Dynoxide),
            Self::Fake => return FAKE.get_or_init(async || Emulator::fake()).await,
        };
        cell.get_or_init(|| Emulator::shared(kind)).await
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

    async fn shared(kind: support::EmulatorKind) -> Self {
        let process = support::Emulator::shared(kind).await;
        Self { url: process.url(), _process: Some(process) }
    }
}
