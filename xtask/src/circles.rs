//! Finds circles among the modules of a crate: modules that use each other, directly or through others.
//!
//! At each level of the tree, a module and all that is below it is one unit, and units are compared with their siblings.
//! A module may use its own submodules, and they may use it. Tests do not count.

mod graph;
mod module;

use std::collections::BTreeMap;
use std::path::Path;

use graph::components;
use module::Crate;

use crate::known;
use crate::layering::is_for_tests;
use crate::workspace::{Workspace, is_test};

/// Returns the circles that are not on the list of known ones, and the entries of the list that are no circles any more.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    known::compare(&workspace.root, "circles", &find(workspace)?)
}

/// Returns the circles of all crates, as `level: modules`, each with the uses that tie it.
fn find(workspace: &Workspace) -> anyhow::Result<BTreeMap<String, String>> {
    let sources = workspace.sources()?;
    let mut circles = BTreeMap::new();
    for member in workspace.members().filter(|member| !is_for_tests(workspace, member)) {
        let folder = member.folder.strip_prefix(&workspace.root)?.join("src");
        let files = sources
            .iter()
            .filter(|(path, _)| !is_test(path))
            .filter_map(|(path, text)| Some((path.strip_prefix(&folder).ok()?, text.as_str())));
        circles.extend(circles_of(&folder, files));
    }
    Ok(circles)
}

/// Returns the circles of one crate. The paths of its files are relative to the folder.
fn circles_of<'t>(
    folder: &Path,
    files: impl Iterator<Item = (&'t Path, &'t str)>,
) -> BTreeMap<String, String> {
    let mut levels: BTreeMap<Vec<String>, BTreeMap<(String, String), String>> = BTreeMap::new();
    for used in Crate::read(files).uses() {
        let shared = used.from.iter().zip(&used.to).take_while(|(from, to)| from == to).count();
        if let (Some(from), Some(to)) = (used.from.get(shared), used.to.get(shared)) {
            let place = format!("  {}:{} {from} uses {to}", folder.join(used.file).display(), used.line);
            let edges = levels.entry(used.from[..shared].to_vec()).or_default();
            edges.entry((from.clone(), to.clone())).or_insert(place);
        }
    }
    let mut circles = BTreeMap::new();
    for (level, edges) in levels {
        let level = level.iter().fold(folder.to_owned(), |folder, module| folder.join(module));
        for modules in components(edges.keys()) {
            let ties = edges.iter().filter(|((from, to), _)| modules.contains(from) && modules.contains(to));
            let ties: Vec<&str> = ties.map(|(_, place)| place.as_str()).collect();
            let modules: Vec<&str> = modules.iter().map(String::as_str).collect();
            circles.insert(format!("{}: {}", level.display(), modules.join(" ")), ties.join("\n"));
        }
    }
    circles
}

#[cfg(test)]
mod tests;
