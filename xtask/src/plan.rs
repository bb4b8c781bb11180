//! One plan of files for all crates of a kind: a reader who knows one store crate finds the same things in the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::known;
use crate::layering::is_for_tests;
use crate::workspace::{Workspace, is_test};

/// The files of the crates of one kind.
struct Plan {
    /// A crate with code that begins a line with `impl` and contains this is of the kind.
    kind: &'static [&'static str],
    /// The files that each crate has.
    files: &'static [&'static str],
    /// Files of a crate that has their function, and other names for the same thing, which no crate uses.
    names: &'static [(&'static str, &'static [&'static str])],
    /// Code that only one file has: how its line begins, and how it goes on.
    places: &'static [(&'static str, &'static str, &'static str)],
}

/// Files of a store that have their function, and other names for the same thing.
const STORE_NAMES: &[(&str, &[&str])] = &[
    ("open", &["begin", "bootstrap_store", "intake", "opening", "start"]),
    ("schema", &["bootstrap", "layout", "migrate", "migration", "migrations", "tables"]),
    ("jobs", &["desk", "edit", "edits", "job_editor", "shelf"]),
    ("settle", &["settlement", "settlements", "settling"]),
    ("advance", &["advancing", "firings", "moves"]),
    ("history", &["decisions", "journal", "read_history", "reader"]),
    ("registers", &["register", "upkeep"]),
    ("prune", &["pruning", "retention"]),
    ("import", &["adopt", "adopting", "importing", "takeover"]),
    ("shared_store", &["replicas", "shared", "shards", "sharing"]),
    ("codec", &["decode", "encode", "encoding", "serialize"]),
    ("error", &["errors", "fault", "faults", "trouble"]),
    ("pool", &["connections", "line", "lines"]),
    ("group_commit", &["batch", "commit", "lane", "queue", "scribe", "writer"]),
];

/// Code of a store that only one file has.
const STORE_PLACES: &[(&str, &str, &str)] = &[
    ("impl", " Store for ", "store"),
    ("impl", " Journal for ", "store"),
    ("impl", " ObjectLog for ", "log"),
    ("impl", " Documents for ", "documents"),
    ("impl", " Registers for ", "registers"),
    ("impl", " SharedStore for ", "shared_store"),
    ("impl", " Shards for ", "shared_store"),
    ("pub async fn open(", "", "open"),
    ("pub async fn open_existing(", "", "open"),
    ("pub async fn open_read_only(", "", "open"),
];

const PLANS: &[Plan] = &[
    Plan {
        kind: &[" Store for "],
        files: &[
            "lib",
            "store",
            "open",
            "schema",
            "codec",
            "jobs",
            "settle",
            "advance",
            "history",
            "registers",
            "prune",
            "import",
            "error",
        ],
        names: STORE_NAMES,
        places: STORE_PLACES,
    },
    Plan {
        kind: &[" TriggerType for "],
        files: &["lib", "config", "trigger"],
        names: &[("config", &["options", "settings"]), ("trigger", &["evaluate", "evaluation"])],
        places: &[],
    },
    // A log and documents, of which the log store makes a store.
    Plan {
        kind: &[" ObjectLog for "],
        files: &["lib", "log", "documents", "open", "error"],
        names: STORE_NAMES,
        places: STORE_PLACES,
    },
];

/// Returns the departures from the plans that are not on the list of known ones, and the entries that are none any more.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let sources = workspace.sources()?;
    let mut found = BTreeSet::new();
    let plugins = ["backends", "triggers"].map(|folder| workspace.root.join(folder));
    for member in workspace.members() {
        let is_plugin = plugins.iter().any(|folder| member.folder.starts_with(folder));
        if !is_plugin || is_for_tests(workspace, member) {
            continue;
        }
        let folder = member.folder.strip_prefix(&workspace.root)?;
        let files: Vec<(&Path, &str)> = sources
            .iter()
            .filter(|(path, _)| path.starts_with(folder.join("src")) && !is_test(path))
            .map(|(path, text)| (path.as_path(), text.as_str()))
            .collect();
        for plan in PLANS.iter().filter(|plan| is_of_kind(plan, &files)) {
            found.extend(departures(plan, folder, &files));
        }
    }
    let found: BTreeMap<String, String> = found.into_iter().map(|entry| (entry, String::new())).collect();
    known::compare(&workspace.root, "plan", &found)
}

fn is_of_kind(plan: &Plan, files: &[(&Path, &str)]) -> bool {
    let is_marked = |line: &str| line.starts_with("impl") && plan.kind.iter().any(|mark| line.contains(mark));
    files.iter().any(|(_, text)| text.lines().any(is_marked))
}

/// Returns the files that a crate lacks, the files that have another name, and the code that is in another file.
fn departures(plan: &Plan, folder: &Path, files: &[(&Path, &str)]) -> Vec<String> {
    let folder = folder.join("src");
    let path = |name: &str| folder.join(name).with_extension("rs");
    let has = |file: &PathBuf| files.iter().any(|(path, _)| path == file);
    let lacking: Vec<&str> = plan.files.iter().copied().filter(|name| !has(&path(name))).collect();
    let mut found = Vec::new();
    if !lacking.is_empty() {
        found.push(format!("{} lacks {}", folder.display(), lacking.join(" ")));
    }
    for (name, others) in plan.names {
        let misnamed = others.iter().map(|other| path(other)).filter(has);
        found.extend(misnamed.map(|file| format!("{} is called {name}.rs elsewhere", file.display())));
    }
    for (begin, further, name) in plan.places {
        let is_place = |line: &str| {
            let line = line.trim_start();
            line.starts_with(begin) && line.contains(further)
        };
        let misplaced = files.iter().filter(|(file, text)| *file != path(name) && text.lines().any(is_place));
        found.extend(misplaced.map(|(file, _)| {
            let code = format!("{begin}{}", further.trim_end());
            format!("{} has `{code}` of {name}.rs", file.display())
        }));
    }
    found
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{PLANS, check, departures, is_of_kind};
    use crate::workspace::Workspace;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<(&Path, &str)> = files.iter().map(|(path, text)| (Path::new(*path), *text)).collect();
        departures(&PLANS[1], Path::new("triggers/x"), &files)
    }

    #[test]
    fn crates_of_this_workspace_follow_the_plan_but_for_the_known_ones() {
        assert_eq!(check(&Workspace::load().unwrap()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_file_that_is_missing_or_has_another_name_is_found() {
        let (lib, config) = (("triggers/x/src/lib.rs", ""), ("triggers/x/src/config.rs", ""));
        assert_eq!(found(&[lib, config, ("triggers/x/src/trigger.rs", "")]), Vec::<String>::new());
        assert_eq!(
            found(&[lib, ("triggers/x/src/settings.rs", "")]),
            [
                "triggers/x/src lacks config trigger",
                "triggers/x/src/settings.rs is called config.rs elsewhere"
            ]
        );
        assert_eq!(
            found(&[lib, config, ("triggers/x/src/config/trigger.rs", "")]),
            ["triggers/x/src lacks trigger"]
        );
    }

    #[test]
    fn code_in_another_file_than_the_one_of_the_plan_is_found() {
        let files = PLANS[0].files.iter().map(|name| format!("b/src/{name}.rs")).collect::<Vec<_>>();
        let code = "impl Store for X {\n    pub async fn open(\n";
        let files: Vec<(&Path, &str)> = files.iter().map(|file| (Path::new(file), code)).take(3).collect();
        let found = departures(&PLANS[0], Path::new("b"), &files);
        assert_eq!(
            found[1..],
            [
                "b/src/lib.rs has `impl Store for` of store.rs",
                "b/src/open.rs has `impl Store for` of store.rs",
                "b/src/lib.rs has `pub async fn open(` of open.rs",
                "b/src/store.rs has `pub async fn open(` of open.rs",
            ]
        );
    }

    #[test]
    fn a_log_that_is_elsewhere_than_in_log_rs_is_found() {
        let files = ["lib", "log"].map(|name| format!("b/src/{name}.rs"));
        let code = "impl ObjectLog for X {\n";
        let files: Vec<(&Path, &str)> = files.iter().map(|file| (Path::new(file), code)).collect();
        assert_eq!(
            departures(&PLANS[2], Path::new("b"), &files),
            ["b/src lacks documents open error", "b/src/lib.rs has `impl ObjectLog for` of log.rs"]
        );
    }

    #[test]
    fn a_crate_is_of_the_kind_that_it_implements() {
        let is_store = |text: &str| is_of_kind(&PLANS[0], &[(Path::new("a.rs"), text)]);
        assert!(is_store("impl<D: Documents> Store for LogStore<D> {"));
        assert!(!is_store("// impl Store for X\nimpl Trigger for X {"));
    }
}
