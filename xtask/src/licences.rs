//! Checks licences and origins of all dependencies.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::Deserialize;

use crate::workspace::{Package, Workspace};

/// The list of licences, shared with cargo-deny.
const LIST: &str = "deny.toml";

#[derive(Deserialize)]
struct List {
    licenses: Licences,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
}

/// Packages without a licence in their manifest, the file that contains it, and a phrase that identifies it (BSD-3-Clause).
const BY_FILE: &[(&str, &str, &str)] = &[("saffron", "LICENSE", "Neither the name of the copyright holder")];

/// The only permitted source of packages.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Returns the packages that must not be used, and prints packages with several versions.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(workspace.root.join(LIST))
        .with_context(|| format!("could not read {LIST}"))?;
    let list: List = toml::from_str(&text).with_context(|| format!("could not read {LIST}"))?;
    let allowed = list.licenses.allow;
    let mut violations = Vec::new();
    for package in workspace.packages.iter() {
        let Package { name, version, .. } = package;
        if package.source.as_deref().is_some_and(|source| source != REGISTRY) {
            violations.push(format!("{name} {version} does not come from crates.io"));
        }
        if !is_allowed(package, &allowed) {
            let licence = package.licence.as_deref().unwrap_or("none");
            violations.push(format!("{name} {version} has a licence that is not on the list: {licence}"));
        }
    }
    print_duplicates(workspace);
    Ok(violations)
}

fn is_allowed(package: &Package, allowed: &[String]) -> bool {
    if let Some(expression) = &package.licence {
        return allows(expression, allowed);
    }
    BY_FILE.iter().any(|(name, file, words)| {
        package.name == *name
            && std::fs::read_to_string(package.folder.join(file))
                .is_ok_and(|text| text.split_whitespace().collect::<Vec<_>>().join(" ").contains(words))
    })
}

/// Evaluates an SPDX expression: `OR` binds weaker than `AND`, parentheses group, `/` is the old way to write `OR`.
fn allows(expression: &str, allowed: &[String]) -> bool {
    let expression = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    LicenceExpression { words: expression.split_whitespace().peekable(), allowed }.any()
}

struct LicenceExpression<'e> {
    words: std::iter::Peekable<std::str::SplitWhitespace<'e>>,
    allowed: &'e [String],
}

impl LicenceExpression<'_> {
    fn any(&mut self) -> bool {
        let mut fine = self.all();
        while self.words.next_if_eq(&"OR").is_some() {
            fine |= self.all();
        }
        fine
    }

    fn all(&mut self) -> bool {
        let mut fine = self.one();
        while self.words.next_if_eq(&"AND").is_some() {
            fine &= self.one();
        }
        fine
    }

    fn one(&mut self) -> bool {
        if self.words.next_if_eq(&"(").is_some() {
            let fine = self.any();
            return self.words.next_if_eq(&")").is_some() && fine;
        }
        let Some(mut licence) = self.words.next().map(str::to_owned) else { return false };
        if self.words.next_if_eq(&"WITH").is_some() {
            licence.push_str(" WITH ");
            licence.push_str(self.words.next().unwrap_or_default());
        }
        self.allowed.contains(&licence)
    }
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
        let allowed = ["MIT", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
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
            assert_eq!(allows(expression, &allowed), expected, "{expression}");
        }
    }
}
