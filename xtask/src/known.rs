//! Lists of known exceptions to a check, in `xtask/known`. A list may only shrink.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context as _;

/// Compares what a check found, each with its explanation, with the list of known exceptions of that check.
///
/// Returns each finding that is not on the list, and each entry of the list that was not found: it must be removed.
///
/// # Errors
///
/// The list cannot be read.
pub(crate) fn compare(
    root: &Path,
    list: &str,
    found: &BTreeMap<String, String>,
) -> anyhow::Result<Vec<String>> {
    let path = format!("xtask/known/{list}.txt");
    let text = std::fs::read_to_string(root.join(&path)).with_context(|| format!("could not read {path}"))?;
    let known = entries(&text);
    let unknown = found.iter().filter(|(entry, _)| !known.contains(entry.as_str()));
    let unknown = unknown.map(|(entry, explanation)| format!("{entry}\n{explanation}").trim_end().to_owned());
    let gone = known.iter().filter(|entry| !found.contains_key(**entry));
    let gone = gone.map(|entry| format!("{path}: \"{entry}\" is no longer found; remove the line"));
    Ok(unknown.chain(gone).collect())
}

/// Returns the entries of a list: its lines without comments.
pub(crate) fn entries(text: &str) -> BTreeSet<&str> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{compare, entries};

    #[test]
    fn comments_and_empty_lines_are_no_entries() {
        assert_eq!(entries("# head\n\na: b c\nd # why\n").into_iter().collect::<Vec<_>>(), ["a: b c", "d"]);
    }

    #[test]
    fn a_finding_without_an_entry_fails_and_so_does_an_entry_without_a_finding() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("xtask/known")).unwrap();
        std::fs::write(folder.path().join("xtask/known/x.txt"), "# head\na\nb # why\n").unwrap();
        let found = |names: &[&str]| -> BTreeMap<String, String> {
            names.iter().map(|name| ((*name).to_owned(), format!("explains {name}"))).collect()
        };
        assert_eq!(compare(folder.path(), "x", &found(&["a", "b"])).unwrap(), Vec::<String>::new());
        assert_eq!(
            compare(folder.path(), "x", &found(&["a", "c"])).unwrap(),
            ["c\nexplains c", "xtask/known/x.txt: \"b\" is no longer found; remove the line"]
        );
        let error = compare(folder.path(), "y", &found(&[])).unwrap_err().to_string();
        assert_eq!(error, "could not read xtask/known/y.txt");
    }
}
