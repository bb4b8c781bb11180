//! Both triggers against the suite for triggers, what is their own, and the page that shows them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroU32;
use std::path::PathBuf;

use ecs_scheduler_core::{
    BuildContext, Demand, EvalContext, Evaluation, FaultKind, JobId, Scaling, Tick, Timestamp, TriggerError,
    TriggerRegistry,
};
use ecs_scheduler_testing::trigger_suite::{Example, InvalidConfig, TriggerFixture};
use folder_scheduler::{Backlog, Broker, Folder};
use serde_json::{Value, json};
use tempfile::TempDir;

const NOW: &str = "2026-11-22T12:00:00Z";

/// A folder with three files, one of them CSV, and a folder in it.
struct Inbox(TempDir);

impl Inbox {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        for name in ["a.csv", "b.txt", "c.txt"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        std::fs::create_dir(folder.path().join("done.csv")).unwrap();
        Self(folder)
    }

    fn config(&self, fields: Value) -> Value {
        let mut config = json!({"path": self.0.path()});
        for (name, value) in fields.as_object().unwrap() {
            config[name] = value.clone();
        }
        config
    }
}

impl TriggerFixture for Inbox {
    fn kind(&self) -> &'static str {
        "folder"
    }

    fn install(&self, registry: &mut TriggerRegistry) {
        registry.add(Folder).unwrap();
    }

    fn examples(&self) -> Vec<Example> {
        let two = Demand::Tasks(NonZeroU32::new(2).unwrap());
        vec![
            Example::new(self.config(json!({})), NOW, Demand::Floor),
            Example::new(self.config(json!({"suffix": ".log"})), NOW, Demand::Idle),
            Example::new(self.config(json!({"valuePerTask": 2})), NOW, two),
        ]
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        vec![
            InvalidConfig { config: json!({}), pointer: "" },
            InvalidConfig { config: json!({"path": "inbox"}), pointer: "/path" },
            InvalidConfig { config: self.config(json!({"valuePerTask": 0})), pointer: "/valuePerTask" },
        ]
    }
}

mod folder {
    use super::Inbox;

    ecs_scheduler_testing::trigger_suite!(Inbox::new());
}

/// A broker with one queue that holds messages and one that holds none, on a port of its own.
struct Queues(String);

impl Queues {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                // The other side may be gone already.
                let _ = connection.and_then(answer);
            }
        });
        Self(address)
    }
}

fn answer(mut connection: TcpStream) -> std::io::Result<()> {
    let mut line = String::new();
    BufReader::new(&connection).read_line(&mut line)?;
    let Some(queues) = line.trim().strip_prefix("secret ") else { return Ok(()) };
    let depth = |queue| match queue {
        "orders" => "12 ",
        "mails" => "0 ",
        _ => "- ",
    };
    writeln!(connection, "{}", queues.split(' ').map(depth).collect::<String>())
}

impl TriggerFixture for Queues {
    fn kind(&self) -> &'static str {
        "backlog"
    }

    fn install(&self, registry: &mut TriggerRegistry) {
        registry.add(Backlog::new(Broker::new(self.0.clone(), "secret".to_owned()))).unwrap();
    }

    fn examples(&self) -> Vec<Example> {
        let three = Demand::Tasks(NonZeroU32::new(3).unwrap());
        vec![
            Example::new(json!({"queue": "orders", "valuePerTask": 5}), NOW, three),
            Example::new(json!({"queue": "mails"}), NOW, Demand::Idle),
        ]
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        vec![InvalidConfig { config: json!({"queue": "two words"}), pointer: "/queue" }]
    }
}

mod backlog {
    use super::Queues;

    ecs_scheduler_testing::trigger_suite!(Queues::open());
}

async fn evaluate(subject: &dyn TriggerFixture, mut spec: Value) -> Result<Evaluation, TriggerError> {
    let mut registry = TriggerRegistry::new();
    subject.install(&mut registry);
    spec["type"] = json!(subject.kind());
    let trigger = registry.build(&spec, &BuildContext::new(&registry, "UTC", Scaling::default())).unwrap();
    let now: Timestamp = NOW.parse().unwrap();
    let job = JobId::new("import").unwrap();
    let cx = EvalContext::new(&job, Tick::at(now), Scaling::default());
    trigger.evaluate(&cx).await
}

#[tokio::test]
async fn reason_has_the_counts() {
    let inbox = Inbox::new();
    let config = inbox.config(json!({"suffix": ".csv", "valuePerTask": 5}));
    let evaluation = evaluate(&inbox, config).await.unwrap();
    assert_eq!(evaluation.reason, "1 files ÷ 5 per task, rounded up");
    assert_eq!(evaluation.observations[0].value, 1.0);
}

#[tokio::test]
async fn a_folder_that_is_missing_is_an_error_and_not_empty() {
    let error = evaluate(&Inbox::new(), json!({"path": "/nowhere/at/all"})).await.unwrap_err();
    assert_eq!(error.kind(), FaultKind::NotFound);
    assert_eq!(error.to_string(), "could not list folder \"/nowhere/at/all\"");
}

#[tokio::test]
async fn a_broker_that_does_not_answer_and_a_queue_that_it_does_not_have_are_errors() {
    let unknown = evaluate(&Queues::open(), json!({"queue": "order"})).await.unwrap_err();
    assert_eq!((unknown.kind(), unknown.is_transient()), (FaultKind::NotFound, false));
    let nobody = Queues("127.0.0.1:1".to_owned());
    let silent = evaluate(&nobody, json!({"queue": "orders"})).await.unwrap_err();
    assert_eq!((silent.kind(), silent.is_transient()), (FaultKind::Unavailable, true));
}

/// The text of a fragment without what differs by its place: indentation, and lines that say nothing.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

#[test]
fn every_fragment_of_the_page_is_a_piece_of_these_files() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(folder.join(path)).unwrap();
    let files = [read("src/lib.rs"), read("src/main.rs"), read("tests/it/main.rs")];
    let page = read("../../custom-triggers.md");
    let fragments: Vec<&str> =
        page.split("```rust,ignore\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(fragments.len() >= 8, "the page has {} fragments", fragments.len());
    for fragment in fragments {
        let wanted = lines(fragment);
        let found = |file: &String| lines(file).windows(wanted.len()).any(|piece| piece == wanted);
        assert!(files.iter().any(found), "this is in none of the files:\n{fragment}");
    }
}
