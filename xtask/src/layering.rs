//! Checks the layering: dependencies point down only, and one file names concrete types.

use std::path::Path;

use crate::workspace::{Package, Workspace, is_test};

/// Crates that `core` must not need, by prefix of the name.
const NOT_IN_CORE: &[&str] =
    &["aws-", "axum", "hyper", "reqwest", "rusqlite", "libsqlite3-sys", "tokio-postgres", "tower-http"];

/// The member that defines the traits.
const CORE: &str = "ecs-scheduler-core";

/// The members that triggers and backends may need.
const SHARED: &[&str] = &[CORE, "ecs-scheduler-backend-aws", "ecs-scheduler-backend-log-store"];

/// The folder of members that only tests may need. They need the core and each other.
const TESTING: &str = "testing";

/// A crate that only tests may need.
const MODEL_CHECKER: &str = "stateright";

/// The one file that names triggers, launchers and stores by their types.
const WIRING: &str = "server/src/wiring.rs";

/// Returns the violations of the layering.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let members: Vec<&str> = workspace.members().map(|package| package.name.as_str()).collect();
    let mut violations: Vec<String> =
        workspace.members().flat_map(|package| dependencies(workspace, package, &members)).collect();
    for (path, text) in workspace.sources()? {
        if path.starts_with("server/src") && path != Path::new(WIRING) && !is_test(&path) {
            violations.extend(
                concrete_names(&text).map(|name| {
                    format!("{} names {name}; only {WIRING} knows concrete types", path.display())
                }),
            );
        }
    }
    Ok(violations)
}

fn dependencies(workspace: &Workspace, package: &Package, members: &[&str]) -> Vec<String> {
    let plugin = ["ecs-scheduler-trigger-", "ecs-scheduler-backend-"];
    let is_plugin = plugin.iter().any(|prefix| package.name.starts_with(prefix));
    let is_core = package.name == CORE;
    let is_for_tests = is_for_tests(workspace, package);
    let for_tests: Vec<&str> = workspace
        .members()
        .filter(|member| self::is_for_tests(workspace, member))
        .map(|member| member.name.as_str())
        .collect();
    let wrong = |need: &&str| {
        let is_member = members.contains(need);
        let needs_tests = for_tests.contains(need);
        (is_core && (is_member || NOT_IN_CORE.iter().any(|prefix| need.starts_with(prefix))))
            || (is_plugin && is_member && !SHARED.contains(need))
            || (is_for_tests && is_member && !needs_tests && *need != CORE)
            || (!is_for_tests && (needs_tests || *need == MODEL_CHECKER))
    };
    let needs = workspace.needs(package);
    needs.into_iter().filter(wrong).map(|need| format!("{} must not need {need}", package.name)).collect()
}

/// Tells whether a member is there for tests only.
pub(crate) fn is_for_tests(workspace: &Workspace, package: &Package) -> bool {
    package.folder.starts_with(workspace.root.join(TESTING))
}

/// Finds the crates of plugins, and the stores of the core, in code.
fn concrete_names(text: &str) -> impl Iterator<Item = &str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_')).filter(|word| {
        word.starts_with("ecs_scheduler_trigger_")
            || word.starts_with("ecs_scheduler_backend_")
            || *word == "MemoryStore"
    })
}

#[cfg(test)]
mod tests {
    use super::{check, concrete_names};
    use crate::workspace::Workspace;

    #[test]
    fn this_workspace_keeps_its_layers() {
        assert_eq!(check(&Workspace::load().unwrap()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn plugin_crates_are_found_in_code_and_not_in_comments() {
        let code = "// ecs_scheduler_trigger_cron\nuse ecs_scheduler_backend_sqlite::SqliteStore;\nlet s: MemoryStore;";
        let found: Vec<&str> = concrete_names(code).collect();
        assert_eq!(found, ["ecs_scheduler_backend_sqlite", "MemoryStore"]);
    }
}
