//! The conformance suites on two third-party emulators: `noida-db`, which reports Elasticsearch 8.15, and `osmem-server`,
//! which reports OpenSearch 3.8.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_backend_elasticsearch::Cluster;
use ecs_scheduler_core::{Store, async_trait};
use ecs_scheduler_testing::store_suite::StoreFixture;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::fixture::options;

/// The command that installs the emulators.
const INSTALL_COMMAND: &str = "make emulators";
/// How long an emulator may take to start on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The emulator to start.
#[derive(Debug, Clone, Copy)]
enum EmulatorKind {
    Noida,
    Osmem,
}

/// The process of an emulator. It ends with the test, even when the test is killed.
struct Emulator {
    address: String,
    _data: TempDir,
    _process: Child,
}

impl Emulator {
    async fn start(kind: EmulatorKind) -> Self {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate is two folders deep");
        let python = root.join(".tools/emulators/bin/python");
        assert!(
            python.is_file(),
            "{} is not there; install the emulators with `{INSTALL_COMMAND}`",
            python.display()
        );
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port().to_string();
        drop(free);
        let name = match kind {
            EmulatorKind::Noida => "noida",
            EmulatorKind::Osmem => "osmem",
        };
        let data = tempfile::tempdir().unwrap();
        let process = Command::new(python)
            .arg(root.join("scripts/emulators.py"))
            .args([name, &port])
            .current_dir(data.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let address = format!("127.0.0.1:{port}");
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(&address).await.is_err() {
            assert!(Instant::now() < deadline, "{name} did not start; `{INSTALL_COMMAND}` installs it");
            sleep(Duration::from_millis(20)).await;
        }
        Self { address, _data: data, _process: process }
    }
}

/// An index of its own in an emulator of its own.
struct EmulatorIndex {
    kind: EmulatorKind,
    index: String,
    emulator: OnceCell<Emulator>,
}

impl EmulatorIndex {
    fn new(kind: EmulatorKind) -> Self {
        Self { kind, index: format!("jobs-{}", Uuid::new_v4().simple()), emulator: OnceCell::new() }
    }
}

#[async_trait]
impl StoreFixture for EmulatorIndex {
    async fn open(&self) -> Arc<dyn Store> {
        let emulator = self.emulator.get_or_init(|| Emulator::start(self.kind)).await;
        let nodes = Cluster::nodes(&emulator.address).unwrap();
        let options = options(Cluster { nodes, ..Cluster::default() }, &self.index);
        Arc::new(options.open().await.expect("the store opens"))
    }
}

mod elasticsearch_look_alike {
    mod behaviour {
        ecs_scheduler_testing::store_suite!(super::super::EmulatorIndex::new(
            super::super::EmulatorKind::Noida
        ));
    }
    mod durability {
        ecs_scheduler_testing::store_durability_suite!(super::super::EmulatorIndex::new(
            super::super::EmulatorKind::Noida
        ));
    }
}

mod opensearch_look_alike {
    mod behaviour {
        ecs_scheduler_testing::store_suite!(super::super::EmulatorIndex::new(
            super::super::EmulatorKind::Osmem
        ));
    }
    mod durability {
        ecs_scheduler_testing::store_durability_suite!(super::super::EmulatorIndex::new(
            super::super::EmulatorKind::Osmem
        ));
    }
}
