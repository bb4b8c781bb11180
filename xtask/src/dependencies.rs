//! Checks that every dependency of the workspace has a line with its reason, and every line a dependency.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context as _;

/// Returns the dependencies without a line, and the lines without a dependency.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let read = |name: &str| {
        std::fs::read_to_string(root.join(name)).with_context(|| format!("could not read {name}"))
    };
    let (manifest, page) = (read("Cargo.toml")?, read("doc/decisions/dependencies.md")?);
    let (used, explained) = (used(&manifest), explained(&page));
    let missing = used
        .difference(&explained)
        .map(|name| format!("{name} has no line in doc/decisions/dependencies.md"));
    let stale = explained.difference(&used).map(|name| format!("{name} is explained and not used"));
    Ok(missing.chain(stale).collect())
}

/// Returns the names in `[workspace.dependencies]` that are not members.
fn used(manifest: &str) -> BTreeSet<&str> {
    let section = manifest.lines().skip_while(|line| *line != "[workspace.dependencies]").skip(1);
    let entries = section.take_while(|line| !line.starts_with('['));
    let outside = entries.filter(|line| !line.contains("path = "));
    outside.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name).collect()
}

/// Returns the names in the first column of the page's tables.
fn explained(page: &str) -> BTreeSet<&str> {
    page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::{check, explained, used};

    #[test]
    fn both_lists_are_read() {
        let manifest = "[package]\na = \"1\"\n[workspace.dependencies]\n# x\nours = { path = \"o\" }\nb = \"2\"\n\n[x]\nc = 1\n";
        assert_eq!(used(manifest).into_iter().collect::<Vec<_>>(), ["b"]);
        assert_eq!(explained("| crate |\n| `b` | for |\ntext `c`\n").into_iter().collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn a_page_that_is_missing_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        let error = check(folder.path()).unwrap_err().to_string();
        assert_eq!(error, "could not read doc/decisions/dependencies.md");
    }
}
