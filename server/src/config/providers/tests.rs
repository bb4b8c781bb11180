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
const ROTA: Setting = Setting::new("ACME_ROTA", "acme.rota", "NAME", "The rota of a shift");
const DISC: Setting = Setting::new("ACME_DISC", "acme.disc", "NAME", "The disc with the jobs");
const DRUM: Setting = Setting::new("ACME_DRUM", "acme.drum", "NAME", "The drum with the jobs");

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

/// A launcher that is chosen by the first one of its settings.
#[derive(Debug)]
struct Outside(&'static str, &'static [Setting]);

const WORK: Outside = Outside("work", &[QUEUE]);
const SHIFT: Outside = Outside("shift", &[ROTA]);

#[async_trait]
impl LauncherProvider for Outside {
    fn descriptor(&self) -> ProviderDescriptor {
        ProviderDescriptor::new(self.0, "Sends tasks to a queue", self.1).chosen_by(&self.1[0])
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

/// Returns a store that is chosen by its setting.
fn store_with(kind: &'static str, settings: &'static [Setting]) -> Absent {
    Absent { kind, what: "outside store", remedy: "unset it", settings }
}

fn resolve(pairs: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let stores =
        Server::builder().store(Tape).store(store_with("disc", &[DISC])).store(store_with("drum", &[DRUM]));
    let builder = stores.launcher(WORK).launcher(SHIFT);
    Config::resolve(&values(&builder, pairs)).map_err(|refused| refused.0)
}

fn problems(pairs: &[(&str, &str)]) -> Vec<String> {
    resolve(pairs).unwrap_err()
}

#[test]
fn outside_store_is_chosen_by_kind_and_outside_launcher_by_its_setting() {
    let builder = Server::builder().store(Tape).launcher(WORK);
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
    assert!(nothing[0].ends_with(", or ACME_ROTA, or ACME_QUEUE"), "{nothing:?}");
}

#[test]
fn two_launchers_chosen_by_settings_are_refused_by_both_names() {
    let two = problems(&[("ACME_QUEUE", "orders"), ("ACME_ROTA", "late")]);
    let remedy = "keep one of them, or set ECSS_LAUNCHER";
    assert_eq!(two, [format!("ACME_QUEUE and ACME_ROTA each choose a launcher; {remedy}")]);
}

#[cfg(feature = "aws")]
#[test]
fn outside_launcher_beside_a_cluster_of_ecs_is_refused_by_both_names() {
    let two = problems(&[("ECSS_ECS_CLUSTER", "main"), ("ACME_QUEUE", "orders")]);
    assert!(two[0].starts_with("ECSS_ECS_CLUSTER and ACME_QUEUE each choose a launcher; "), "{two:?}");
}

#[test]
fn launcher_that_is_named_is_used_beside_settings_of_others() {
    let both = [("ACME_QUEUE", "orders"), ("ACME_ROTA", "late")];
    for (kind, setting, value) in [("shift", &ROTA, Some("late")), ("work", &QUEUE, Some("orders"))] {
        let config = resolve(&[&both[..], &[("ECSS_LAUNCHER", kind)]].concat()).unwrap();
        assert_eq!((config.launcher.kind, config.launcher.settings.get(setting)), (kind, value));
    }
    let local = resolve(&[&both[..], &[("ECSS_LAUNCHER", "local")]].concat()).unwrap();
    assert_eq!((local.launcher.kind, local.launcher.settings.get(&QUEUE)), ("local", None));
}

#[test]
fn two_stores_chosen_by_settings_or_kind_are_refused_by_all_names() {
    let (work, disc, drum) = (("ACME_QUEUE", "orders"), ("ACME_DISC", "a"), ("ACME_DRUM", "b"));
    for (chosen, names) in [
        (vec![disc, drum], "ACME_DISC and ACME_DRUM"),
        (vec![disc, ("ECSS_STORE", "tape")], "ECSS_STORE=tape and ACME_DISC"),
        (vec![disc, ("ECSS_STORE", "sqlite")], "ECSS_STORE=sqlite and ACME_DISC"),
        (vec![disc, ("ECSS_SQLITE_FILE", "x.db")], "ECSS_SQLITE_FILE and ACME_DISC"),
        (vec![disc, drum, ("ECSS_STORE", "memory")], "ECSS_STORE=memory and ACME_DISC and ACME_DRUM"),
    ] {
        let refused = problems(&[&chosen[..], &[work]].concat());
        assert_eq!(refused, [format!("{names} each choose a store; keep one of them")]);
    }
    let one = resolve(&[work, disc]).unwrap().store;
    assert_eq!((one.kind, one.settings.get(&DISC)), ("disc", Some("a")));
}

#[test]
fn key_that_is_the_parent_or_child_of_another_is_refused() {
    let wrong: [(&'static [Setting], &str); 4] = [
        (const { &[Setting::new("ACME_A", "name.of", "NAME", "A child")] }, "ACME_A"),
        (const { &[Setting::new("ACME_A", "log", "NAME", "A parent")] }, "ACME_A"),
        (
            const { &[Setting::new("", "log.level.of.all", "NAME", "A child").only_in_file()] },
            "log.level.of.all",
        ),
        (const { &[DISC, Setting::new("ACME_B", "acme.disc.side", "NAME", "A child of its own")] }, "ACME_B"),
    ];
    for (settings, name) in wrong {
        let mut providers = Providers::default();
        providers.add_settings(setting::GENERAL);
        let refused = providers.add_store(store_with("disc", settings)).unwrap_err();
        assert_eq!(refused.message, format!("setting {name} of store \"disc\" exists already"));
    }
}

#[test]
fn key_that_only_begins_as_another_is_read_from_a_file() {
    const SETTINGS: &[Setting] = &[
        Setting::new("ACME_DISC", "acme.disc", "NAME", "The disc"),
        Setting::new("ACME_DISCS", "acme.discs", "NAME", "The discs"),
        Setting::new("ACME_NAMES", "names", "NAME", "The names"),
    ];
    let builder = Server::builder().store(store_with("disc", SETTINGS));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.yaml");
    std::fs::write(&file, "names: several\nname: a\nlauncher: local\nacme:\n  discs: many\n  disc: one\n")
        .unwrap();
    let values = values(&builder, &[("ECSS_CONFIG_FILE", file.to_str().unwrap())]);
    let config = Config::resolve(&values).unwrap();
    let read: Vec<_> = SETTINGS.iter().map(|setting| config.store.settings.get(setting).unwrap()).collect();
    assert_eq!((config.name.as_str(), read), ("a", vec!["one", "many", "several"]));
}

#[test]
fn outside_settings_are_reported_documented_and_read_from_files() {
    let builder = Server::builder().store(Tape).launcher(WORK);
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
    let twice = Server::builder().launcher(WORK).launcher(WORK).registry().unwrap_err();
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
