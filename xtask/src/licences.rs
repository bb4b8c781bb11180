//! Licences and origins of everything that is linked or built.

use std::collections::BTreeMap;

use crate::workspace::{Package, Workspace};

/// What may be used. Each alternative of an `OR` will do; every part of an `AND` is needed.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Packages that name no licence in their manifest, the file that has it, and what only that licence (BSD-3-Clause)
/// says.
const BY_FILE: &[(&str, &str, &str)] = &[("saffron", "LICENSE", "Neither the name of the copyright holder")];

/// Where packages may come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Says which packages may not be used, and prints the versions that are there twice.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let mut complaints = Vec::new();
    for package in workspace.packages.iter() {
        let Package { name, version, .. } = package;
        if package.source.as_deref().is_some_and(|source| source != REGISTRY) {
            complaints.push(format!("{name} {version} does not come from crates.io"));
        }
        if !is_allowed(package) {
            let licence = package.licence.as_deref().unwrap_or("none");
            complaints.push(format!("{name} {version} has a licence that is not on the list: {licence}"));
        }
    }
    print_duplicates(workspace);
    Ok(complaints)
}

fn is_allowed(package: &Package) -> bool {
    if let Some(expression) = &package.licence {
        return allows(expression);
    }
    BY_FILE.iter().any(|(name, file, words)| {
        package.name == *name
            && std::fs::read_to_string(package.folder.join(file))
                .is_ok_and(|text| text.split_whitespace().collect::<Vec<_>>().join(" ").contains(words))
    })
}

/// Evaluates an SPDX expression: `OR` binds weaker than `AND`, parentheses group, `/` is the old way to write `OR`.
fn allows(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = expression.split_whitespace().peekable();
    any(&mut words)
}

type Words<'w> = std::iter::Peekable<std::str::SplitWhitespace<'w>>;

fn any(words: &mut Words<'_>) -> bool {
    let mut fine = all(words);
    while words.next_if_eq(&"OR").is_some() {
        fine |= all(words);
    }
    fine
}

fn all(words: &mut Words<'_>) -> bool {
    let mut fine = one(words);
    while words.next_if_eq(&"AND").is_some() {
        fine &= one(words);
    }
    fine
}

fn one(words: &mut Words<'_>) -> bool {
    if words.next_if_eq(&"(").is_some() {
        let fine = any(words);
        return words.next_if_eq(&")").is_some() && fine;
    }
    let Some(mut licence) = words.next().map(str::to_owned) else { return false };
    if words.next_if_eq(&"WITH").is_some() {
        licence.push_str(" WITH ");
        licence.push_str(words.next().unwrap_or_default());
    }
    ALLOWED.contains(&licence.as_str())
}

fn print_duplicates(workspace: &Workspace) {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in &workspace.packages {
        versions.entry(&package.name).or_default().push(&package.version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    println!("{} packages, {} of them in more than one version:", workspace.packages.len(), versions.len());
    for (name, versions) in versions {
        println!("  {name} {}", versions.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use super::allows;

    #[test]
    fn expressions_are_evaluated() {
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("MIT OR GPL-3.0", true),
            ("MIT/Apache-2.0", true),
            ("MIT AND GPL-3.0", false),
            ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
            ("(MIT OR GPL-3.0) AND GPL-3.0", false),
            ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true),
            ("GPL-2.0 WITH Classpath-exception", false),
            ("", false),
        ] {
            assert_eq!(allows(expression), expected, "{expression}");
        }
    }
}
