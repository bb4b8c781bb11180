//! One name, one meaning: types of two crates share a name only where they are the same concept.

use std::collections::{BTreeMap, BTreeSet};

use crate::tokens::{split_tests, tokens};
use crate::workspace::{Workspace, is_test};

/// Names that several crates define, each for the same concept, with that concept.
const SHARED: &[(&str, &str)] = &[
    ("Inner", "the state behind the handle that its file defines; private to its file"),
    ("JobMeta", "a job's metadata as a store keeps it"),
    ("PutResult", "the result of a conditional write"),
    ("State", "the state of the state machine or the lock of its file; private to its file"),
    ("Statements", "the SQL statements of a settlement"),
    ("TxError", "the error of a transaction: of the database, or of the store"),
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

/// Finds the types and traits that a file defines, without those of its tests and those within functions.
fn defined_types(text: &str) -> Vec<&str> {
    let found = tokens(text);
    let product = split_tests(&found).0;
    let mut depth = 0_usize;
    let mut names = Vec::new();
    for (at, token) in product.iter().enumerate() {
        match token.text {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            "struct" | "enum" | "trait" | "type" if depth == 0 => {
                names.extend(product.get(at + 1).filter(|next| next.is_word()).map(|next| next.text));
            }
            _ => {}
        }
    }
    names
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
        let text = "pub(crate) struct A<T>(T);\nenum B {}\nfn f() { struct C; }\ntrait D: E {}\nuse x::F;\n#[cfg(test)]\nstruct G;";
        assert_eq!(defined_types(text), ["A", "B", "D"]);
    }

    #[test]
    fn types_after_the_declaration_of_a_module_of_tests_are_found() {
        assert_eq!(defined_types("#[cfg(test)]\nmod tests;\nuse a::B;\npub struct C;"), ["C"]);
    }
}
