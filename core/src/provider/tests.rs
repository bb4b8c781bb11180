use std::sync::Arc;

use super::{
    MemoryProvider, OpenMode, ProviderDescriptor, Setting, SettingDefault, SettingValues, StoreProvider,
    StoreSetup,
};
use crate::{FaultKind, LaunchError, StoreError, SystemClock};

const FILE: Setting =
    Setting::new("ACME_FILE", "acme.file", "FILE", "The file of jobs; it is created. More").secret();
const SWITCH: Setting =
    Setting::new("ACME_SYNC", "acme.sync", "on|off", "Whether it syncs").with_default("on");

#[test]
fn settings_are_named_by_variable_and_without_one_by_key() {
    assert_eq!(FILE.name(), "ACME_FILE");
    assert_eq!(FILE.only_in_file().name(), "acme.file");
    assert!(FILE.secret && !FILE.python && FILE.inherited().python);
}

#[test]
fn brief_help_is_the_first_sentence() {
    assert_eq!(FILE.brief(), "The file of jobs");
    assert_eq!(SWITCH.brief(), "Whether it syncs");
}

#[test]
fn defaults_are_shown_as_value_path_or_words() {
    assert_eq!(SWITCH.default.to_string(), "on");
    assert_eq!(FILE.default, SettingDefault::Absent("none"));
    assert_eq!(FILE.with_default_in_data_dir("a.db").default.to_string(), "a.db in ECSS_DATA_DIR");
    assert_eq!(FILE.without_default("none: in memory").default.to_string(), "none: in memory");
}

#[test]
fn switches_are_on_or_off() {
    let value = |text: &str| SettingValues::default().with(&SWITCH, text).is_on(&SWITCH);
    assert_eq!((value("on"), value("off")), (Ok(true), Ok(false)));
    assert_eq!(value("yes").unwrap_err().message, "ACME_SYNC is \"yes\"; it must be on or off");
    assert_eq!(value("").unwrap_err().message, "ACME_SYNC is not set");
}

#[test]
fn empty_values_are_not_set_and_values_are_not_in_debug_output() {
    let values = SettingValues::default().with(&FILE, "hush");
    assert_eq!((values.get(&FILE), values.require(&FILE)), (Some("hush"), Ok("hush")));
    assert_eq!(format!("{values:?}"), "{\"acme.file\"}");
    assert_eq!(values.with(&FILE, ""), SettingValues::default());
}

#[test]
fn setting_errors_become_configuration_errors_of_stores_and_launchers() {
    let error = SettingValues::default().require(&FILE).unwrap_err();
    let store = StoreError::from(error.clone());
    assert!(matches!(&store, StoreError::Fault { kind: FaultKind::Config, .. }));
    assert_eq!(store.to_string(), "ACME_FILE is not set");
    let launch = LaunchError::from(error);
    assert_eq!((launch.kind(), launch.to_string()), (FaultKind::Config, "ACME_FILE is not set".to_owned()));
}

#[test]
fn the_selector_is_one_of_the_settings() {
    const SETTINGS: &[Setting] = &[SWITCH, FILE];
    let by_kind = ProviderDescriptor::new("acme", "Keeps jobs", SETTINGS);
    assert_eq!(by_kind.selector(), None);
    assert_eq!(by_kind.chosen_by(&FILE).selector(), Some(&FILE));
}

#[test]
fn equal_settings_name_the_same_store_unless_its_provider_compares_them() {
    let descriptor = ProviderDescriptor::new("acme", "Keeps jobs", &[]);
    let [one, other] = ["a", "b"].map(|file| SettingValues::default().with(&FILE, file));
    assert!((descriptor.same_store)(&one, &one) && !(descriptor.same_store)(&one, &other));
    assert!((descriptor.with_same_store(|_, _| true).same_store)(&one, &other));
}

#[tokio::test]
async fn the_memory_provider_opens_an_empty_store_in_each_mode() {
    let settings = SettingValues::default();
    let setup = StoreSetup::new(&settings, Arc::new(SystemClock));
    MemoryProvider.check(&settings).unwrap();
    for mode in [OpenMode::Serve, OpenMode::ReadOnly] {
        let store = MemoryProvider.open(&setup, mode).await.unwrap();
        assert_eq!(store.kind(), MemoryProvider.descriptor().kind);
    }
    assert!(MemoryProvider.diagnose(&setup).await.is_empty());
    assert!(MemoryProvider.permissions(&settings).is_empty());
}
