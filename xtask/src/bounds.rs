//! Compares the table of bounds in `doc/architecture.md` with the constants and defaults that its rows name.
//!
//! The third column of a row names constants (`MAX_BODY`), fields of a default (`Limits::pages`) and options of the engine
//! (`backlog`), each group followed by its files in brackets. The row must have their values. Files and types have no
//! value, and one that is computed when the program runs is not compared.

mod value;

use std::path::PathBuf;

use anyhow::{Context as _, ensure};

use crate::workspace::{Workspace, is_test};
use value::Bound;

const PAGE: &str = "doc/architecture.md";
/// The head of the table.
const HEAD: &str = "| queue | bound | set by |";
/// The file of a name in lower case after which the table has no file.
const OPTIONS: &str = "core/src/engine/options.rs";

/// A name with a value, and the files that define it.
#[derive(Debug, PartialEq, Eq)]
struct Named<'a> {
    name: &'a str,
    files: Vec<&'a str>,
}

/// Returns the values that the table does not have, and the names that no file defines.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let page = std::fs::read_to_string(workspace.root.join(PAGE))
        .with_context(|| format!("could not read {PAGE}"))?;
    let mut sources = workspace.sources()?;
    sources.retain(|(path, _)| !is_test(path));
    let (compared, violations) = compare(&page, &sources);
    // Else a new layout of the table would disable the check.
    ensure!(compared > 0 || !violations.is_empty(), "{PAGE} has no row of bounds with a value");
    Ok(violations)
}

/// Compares each row of the table; returns how many values it has compared, and the violations.
fn compare(page: &str, sources: &[(PathBuf, String)]) -> (usize, Vec<String>) {
    let (mut compared, mut violations) = (0, Vec::new());
    let rows = page.lines().skip_while(|line| !line.starts_with(HEAD)).skip(2);
    for row in rows.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, queue, bound, set_by, when_full, ..] = cells[..] else {
            violations.push(format!("{PAGE}: a row of bounds has too few columns: {row}"));
            continue;
        };
        for Named { name, files } in names(set_by) {
            for file in files {
                compared += 1;
                let violation = match find(sources, name, file)[..] {
                    [value] if value.is_in(bound) || value.is_in(when_full) => None,
                    [value] => Some(format!("`{name}` of {file} is {value}, which the row does not have")),
                    [] => Some(format!("no `{name}` in {file}")),
                    _ => Some(format!("more than one file `{file}` has `{name}`; name it by a longer path")),
                };
                violations.extend(violation.map(|violation| format!("{PAGE}, {queue}: {violation}")));
            }
        }
    }
    (compared, violations)
}

/// Returns the names of a cell that have a value. The files of a name are the next ones in brackets.
fn names(cell: &str) -> Vec<Named<'_>> {
    let (mut found, mut waiting): (Vec<Named<'_>>, Vec<&str>) = (Vec::new(), Vec::new());
    for part in cell.split_inclusive(')') {
        let (text, files) = part.split_once('(').unwrap_or((part, ""));
        waiting.extend(quoted(text).filter(|name| has_value(name)));
        let files: Vec<&str> = quoted(files).collect();
        if !files.is_empty() {
            found.extend(waiting.drain(..).map(|name| Named { name, files: files.clone() }));
        }
    }
    let unplaced = waiting.into_iter().map(|name| {
        let file = name.split_once("::").map_or(OPTIONS, |(owner, _)| owner);
        Named { name, files: vec![file] }
    });
    found.extend(unplaced);
    found
}

/// Returns the texts between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Tells whether a name is one of a constant, of a field with a default or of an option; files, types and functions are not.
fn has_value(name: &str) -> bool {
    let is_name = |name: &str, is_letter: fn(&char) -> bool| {
        name.chars().all(|c| is_letter(&c) || c == '_' || c.is_ascii_digit())
    };
    let field = name.split_once("::").map_or(name, |(_, field)| field);
    is_name(field, char::is_ascii_lowercase) || is_name(name, char::is_ascii_uppercase)
}

/// Finds the values of a name in the files whose paths end so; `place` may also be the type whose default has the field.
fn find(sources: &[(PathBuf, String)], name: &str, place: &str) -> Vec<Bound> {
    let default = format!("impl Default for {place} ");
    let field = name.rsplit("::").next().unwrap_or(name);
    let places = sources.iter().filter(|(path, text)| path.ends_with(place) || text.contains(&default));
    places
        .filter_map(|(_, text)| value::of_constant(text, field).or_else(|| value::of_default(text, field)))
        .collect()
}

#[cfg(test)]
mod tests;
