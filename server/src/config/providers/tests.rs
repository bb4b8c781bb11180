use std::sync::Arc;

use ecs_scheduler_core::{
    ConfigError, FaultKind, LaunchError, Launcher, LauncherProvider, LauncherSetup, MemoryStore, OpenMode,
    ProviderDescriptor, Setting, SettingError, SettingValues, Store, StoreError, StoreProvider, StoreSetup,
    SystemClock, async_trait,
};

use super::{Absent, Providers};
use crate::config::values::{Environment, Flags, Values};
use crate::config::{Config, reference, report, setting};
use crate::server::{Server, ServerBuilder};

const TAPE: Setting =
    Setting::new("ACME_TAPE", "acme.tape", "NAME", "The tape with the jobs").with_default("tape0");
const QUEUE: Setting = Setting::new("ACME_QUEUE", "acme.queue", "NAME", "The queue of tasks").secret();

/// A store that is chosen by its kind.
#[derive(Debug)]
struct Tape;

#[async_trait]
impl StoreProvider for Tape {
    fn descriptor(&self) -> ProviderDescriptor {
        const SETTINGS: &[Setting] = &[TAPE];
        ProviderDescriptor::new("tape", "Keeps jobs on a tape", SETTINGS)
    }

    fn check(&self, settings: &SettingValues) -> Result<(), SettingError> {
        match settings.require(&TAPE)? {
            "torn" => Err(SettingError::new("ACME_TAPE is \"torn\"; name a tape that is not")),
            _ => Ok(()),
        }
    }

    async fn open(&self, _: &StoreSetup<'_>, _: OpenMode) -> Result<Arc<dyn Store>, StoreError> {
        Ok(Arc::new(MemoryStore::default()))
    }
}

/// A launcher that is chosen by its setting.
#[derive(Debug)]
struct Work;

#[async_trait]
impl LauncherProvider for Work {
    fn descriptor(&self) -> ProviderDescriptor {
        const SETTINGS: &[Setting] = &[QUEUE];
        ProviderDescriptor::new("work", "Sends tasks to a queue", SETTINGS).chosen_by(&QUEUE)
    }

    async fn open(&self, _: &LauncherSetup<'_>) -> Result<Arc<dyn Launcher>, LaunchError> {
        Err(LaunchError::new(FaultKind::Unavailable, "the queue is closed"))
    }
}

fn values(builder: &ServerBuilder, pairs: &[(&str, &str)]) -> Values {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let environment: Environment = pairs.iter().map(pair).collect();
    Values::gather(builder.providers(), &Flags::new(), &environment).unwrap()
}

fn problems(pairs: &[(&str, &str)]) -> Vec<String> {
    let builder = Server::builder().store(Tape).launcher(Work);
    Config::resolve(&values(&builder, pairs)).unwrap_err().0
}

#[test]
fn outside_store_is_chosen_by_kind_and_outside_launcher_by_its_setting() {
    let builder = Server::builder().store(Tape).launcher(Work);
    let values = values(&builder, &[("ECSS_STORE", "tape"), ("ACME_QUEUE", "orders")]);
    let config = Config::resolve(&values).unwrap();
    assert_eq!((config.store.kind, config.store.settings.get(&TAPE)), ("tape", Some("tape0")));
    assert_eq!((config.launcher.kind, config.launcher.settings.get(&QUEUE)), ("work", Some("orders")));
}

#[test]
fn messages_name_outside_providers_and_their_settings() {
    let work = ("ACME_QUEUE", "orders");
    let torn = problems(&[("ECSS_STORE", "tape"), ("ACME_TAPE", "torn"), work]);
    assert_eq!(torn, ["ACME_TAPE is \"torn\"; name a tape that is not"]);
    let unknown = problems(&[("ECSS_STORE", "disc"), work]);
    assert!(unknown[0].contains("known are sqlite, memory and tape; choose"), "{unknown:?}");
    let nothing = problems(&[]);
    assert!(nothing[0].ends_with(", or ACME_QUEUE"), "{nothing:?}");
}

#[test]
fn outside_settings_are_reported_documented_and_read_from_files() {
    let builder = Server::builder().store(Tape).launcher(Work);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.yaml");
    std::fs::write(&file, "acme:\n  tape: tape7\n  queue: orders\n").unwrap();
    let values = values(&builder, &[("ECSS_CONFIG_FILE", file.to_str().unwrap())]);
    let rows = report::effective(&values);
    let row = |name| rows.iter().find(|row| row.name == name).unwrap().value.clone();
    assert_eq!((row("ACME_TAPE"), row("ACME_QUEUE")), ("tape7".to_owned(), "(hidden)".to_owned()));
    let page = reference::page(builder.providers().settings());
    let (store, launcher) = (page.find("### `ACME_TAPE`").unwrap(), page.find("### `ACME_QUEUE`").unwrap());
    assert!(page.find("## Store").unwrap() < store && store < page.find("## Launcher").unwrap());
    assert!(page.find("## Launcher").unwrap() < launcher && page.contains("| `NAME` | tape0 |"), "{page}");
}

#[test]
fn a_kind_or_setting_that_exists_is_refused() {
    let twice = Server::builder().store(Tape).store(Tape).registry().unwrap_err();
    assert_eq!(twice.to_string(), "store \"tape\" is installed twice");
    let twice = Server::builder().launcher(Work).launcher(Work).registry().unwrap_err();
    assert_eq!(twice.to_string(), "launcher \"work\" is installed twice");
    let mut providers = Providers::default();
    providers.add_settings(setting::GENERAL);
    let absent = |settings| Absent { kind: "disc", what: "disc store", remedy: "unset it", settings };
    let wrong: [&[Setting]; 3] = [
        const { &[Setting::new("ACME_NAME", "name", "NAME", "A key that exists")] },
        const { &[Setting::new("ECSS_NAME", "acme.name", "NAME", "A variable that exists")] },
        const { &[Setting::new("ECSS_LOG_LEVEL", "acme.level", "NAME", "A flag that exists")] },
    ];
    for settings in wrong {
        let ConfigError { message, .. } = providers.add_absent_store(absent(settings)).unwrap_err();
        assert!(message.contains("of store \"disc\" exists already"), "{message}");
    }
}

#[tokio::test]
async fn absent_providers_are_not_listed_and_cannot_be_opened() {
    const SETTINGS: &[Setting] = &[QUEUE];
    let absent = Absent { kind: "disc", what: "disc store", remedy: "unset it", settings: SETTINGS };
    let mut providers = Providers::default();
    providers.add_absent_store(absent).unwrap();
    assert!(providers.present_stores().is_empty());
    let settings = SettingValues::default();
    let setup = StoreSetup::new(&settings, Arc::new(SystemClock));
    let error = StoreProvider::open(&absent, &setup, OpenMode::Serve).await.unwrap_err();
    assert_eq!(error.to_string(), "this build has no disc store; unset it");
    let error = LauncherProvider::check(&absent, &settings).unwrap_err();
    assert_eq!(error.message, "ECSS_LAUNCHER is \"disc\", but this build has no disc store; unset it");
}
