//! One name, one meaning: types of two crates share a name only where they are the same concept.

use std::collections::{BTreeMap, BTreeSet};

use crate::workspace::{Workspace, is_test};

/// Names that several crates define, each for the same concept, with that concept.
const SHARED: &[(&str, &str)] = &[
    ("JobMeta", "a job's metadata as a store keeps it"),
    ("PutResult", "the result of a conditional write"),
    ("Statements", "the SQL statements of a settlement"),
];

/// The members that stand in for services of others, and name things as these do.
const FAKES: &[&str] = &["ecs-scheduler-fake-aws", "ecs-scheduler-fake-elasticsearch", "ecs-scheduler-model"];

/// Names each type that two crates define, and each entry of the list that no two crates define any more.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let mut owners: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in workspace.sources()?.into_iter().filter(|(path, _)| !is_test(path)) {
        let member =
            workspace.members().find(|member| workspace.root.join(&path).starts_with(&member.folder));
        let Some(member) = member.filter(|member| !FAKES.contains(&member.name.as_str())) else { continue };
        for name in defined_types(&text) {
            owners.entry(name.to_owned()).or_default().insert(member.name.clone());
        }
    }
    owners.retain(|_, members| members.len() > 1);
    let is_shared = |name: &str| SHARED.iter().any(|(shared, _)| *shared == name);
    let doubled = owners.iter().filter(|(name, _)| !is_shared(name)).map(|(name, members)| {
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        format!(
            "{name} is a type of {}; rename all but one, or list the concept in xtask/src/names.rs",
            members.join(", ")
        )
    });
    let idle = SHARED.iter().filter(|(name, _)| !owners.contains_key(*name));
    let idle =
        idle.map(|(name, _)| format!("{name} is listed in xtask/src/names.rs, and no two crates define it"));
    Ok(doubled.chain(idle).collect())
}

/// Finds the types and traits that a file defines outside of functions and of its tests.
fn defined_types(text: &str) -> impl Iterator<Item = &str> {
    text.lines().take_while(|line| *line != "#[cfg(test)]").filter_map(|line| {
        let mut words = line.split(' ').filter(|word| !word.starts_with("pub"));
        let keyword = words.next()?;
        let name = words.next()?.split(['<', '(', ';', ':', '{']).next()?;
        (matches!(keyword, "struct" | "enum" | "trait" | "type") && !name.is_empty()).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::{check, defined_types};
    use crate::workspace::Workspace;

    #[test]
    fn no_two_crates_of_this_workspace_give_a_name_two_meanings() {
        assert_eq!(check(&Workspace::load().unwrap()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn types_are_found_where_they_are_defined() {
        let text = "pub(crate) struct A<T>(T);\nenum B {\n    type C = u8;\ntrait D: E {\nuse x::F;\n#[cfg(test)]\nstruct G;";
        assert_eq!(defined_types(text).collect::<Vec<_>>(), ["A", "B", "D"]);
    }
}
