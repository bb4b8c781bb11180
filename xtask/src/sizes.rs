//! Checks the sizes of files and functions.

use std::collections::BTreeMap;

use crate::workspace::{Workspace, is_test};

/// The maximum number of lines of a file without tests.
const MAX_FILE: usize = 500;
/// The maximum number of lines of a function.
const MAX_FUNCTION: usize = 60;

/// Returns files and functions that are too long, and prints a table of the sizes.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let mut violations = Vec::new();
    let mut sizes: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (path, text) in workspace.sources()?.into_iter().filter(|(path, _)| !is_test(path)) {
        let lines = text.lines().count();
        let member =
            workspace.members().find(|member| workspace.root.join(&path).starts_with(&member.folder));
        sizes.entry(member.map_or_else(String::new, |member| member.name.clone())).or_default().push(lines);
        if lines > MAX_FILE {
            violations.push(format!("{} has {lines} lines; at most {MAX_FILE}", path.display()));
        }
        for (name, at, lines) in functions(&text).into_iter().filter(|(_, _, lines)| *lines > MAX_FUNCTION) {
            violations
                .push(format!("{}:{at}: {name} has {lines} lines; at most {MAX_FUNCTION}", path.display()));
        }
    }
    print(&sizes);
    Ok(violations)
}

fn print(sizes: &BTreeMap<String, Vec<usize>>) {
    println!("{:34} {:>5} {:>6} {:>6} {:>5} {:>7}", "crate", "files", "median", "90 %", "most", "lines");
    let mut all: Vec<usize> = Vec::new();
    for (name, lines) in sizes {
        print_row(name, lines.clone());
        all.extend(lines);
    }
    print_row("all", all);
}

fn print_row(name: &str, mut lines: Vec<usize>) {
    lines.sort_unstable();
    let at = |percent: usize| lines[(lines.len() - 1) * percent / 100];
    let total: usize = lines.iter().sum();
    println!("{name:34} {:>5} {:>6} {:>6} {:>5} {total:>7}", lines.len(), at(50), at(90), at(100));
}

/// Finds the functions of a file that rustfmt has laid out: name, first line, number of lines.
///
/// A function ends at the first brace that stands below its first letter, or with the semicolon of its declaration.
fn functions(text: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let is_end = |line: &&str| {
            let Some(rest) = line.strip_prefix(indent).filter(|rest| !rest.starts_with(' ')) else {
                return false;
            };
            rest == "}" || rest.ends_with(';') || (rest.ends_with('}') && rest.contains("fn "))
        };
        let length = lines[at..].iter().position(is_end).map_or(1, |end| end + 1);
        found.push((name, at + 1, length));
    }
    found
}

fn function_name(line: &str) -> Option<String> {
    let mut words = line.trim_start().split(' ');
    let qualifier = |word: &&str| {
        word.starts_with("pub") || word.starts_with("in") || matches!(*word, "const" | "async" | "default")
    };
    let keyword = words.by_ref().find(|word| !qualifier(word) && !word.ends_with(')'))?;
    let name = words.next().filter(|_| keyword == "fn")?;
    Some(name.split(['(', '<']).next().unwrap_or(name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::functions;

    #[test]
    fn functions_are_measured_from_signature_to_brace() {
        let text = "\
fn short() {}
pub(in crate::x) async fn long(
    a: u8,
) -> u8 {
    if a > 1 {
    }
    a
}
trait T {
    fn declared(&self) -> u8;
    const fn one(&self) -> u8 { 1 }
}
// fn not_one() {
";
        let found: Vec<_> =
            functions(text).into_iter().map(|(name, at, lines)| format!("{name} {at} {lines}")).collect();
        assert_eq!(found, ["short 1 1", "long 2 7", "declared 10 1", "one 11 1"]);
    }
}
