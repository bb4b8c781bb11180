//! The outcomes that ticks can end with are those that the API lists.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ecs_scheduler_core::TickOutcome;

/// Collects the outcomes that the product code of a file or folder names.
fn named_outcomes(path: &Path, found: &mut BTreeSet<String>) {
    if path.is_dir() {
        let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|entry| !entry.ends_with("tests") && !entry.ends_with("tests.rs")).for_each(|entry| {
            named_outcomes(&entry, found);
        });
        return;
    }
    let text = fs::read_to_string(path).unwrap();
    let names = text.split("TickOutcome::").skip(1);
    let names = names.map(|rest| rest.chars().take_while(char::is_ascii_alphanumeric).collect::<String>());
    found.extend(names.filter(|name| name.chars().next().is_some_and(char::is_uppercase) && name != "ALL"));
}

#[test]
fn decisions_and_the_engine_name_exactly_the_outcomes_that_are_not_reserved() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut named = BTreeSet::new();
    for part in ["decide.rs", "engine", "firing.rs", "queue", "replica"] {
        named_outcomes(&sources.join(part), &mut named);
    }
    let occurring: BTreeSet<String> =
        TickOutcome::occurring().map(|outcome| format!("{outcome:?}")).collect();
    assert_eq!(named, occurring);
}
