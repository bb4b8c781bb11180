//! The picture of the crates in `doc/architecture.md`, drawn from `cargo metadata`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::Context as _;

use crate::layering::is_for_tests;
use crate::workspace::{Package, Workspace};

const PAGE: &str = "doc/architecture.md";
const BEGIN: &str = "<!-- made by `cargo xtask crates --write` -->\n";
const END: &str = "<!-- end -->\n";

/// Says whether the page has another picture than the workspace.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let page = std::fs::read_to_string(workspace.root.join(PAGE))?;
    let is_true = page == with_picture(&page, &picture(workspace))?;
    Ok(if is_true {
        Vec::new()
    } else {
        vec![format!("{PAGE} has an old picture of the crates; run make docs")]
    })
}

/// Replaces the picture in the page.
pub(crate) fn write(workspace: &Workspace) -> anyhow::Result<()> {
    let path = workspace.root.join(PAGE);
    let page = std::fs::read_to_string(&path)?;
    Ok(std::fs::write(&path, with_picture(&page, &picture(workspace))?)?)
}

fn with_picture(page: &str, picture: &str) -> anyhow::Result<String> {
    let (before, rest) = page.split_once(BEGIN).with_context(|| format!("{PAGE} has no line {BEGIN}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("{PAGE} has no line {END}"))?;
    Ok(format!("{before}{BEGIN}{picture}{END}{after}"))
}

/// Returns a Mermaid graph of the crates that the program is made of. An arrow that follows from two others is left out.
fn picture(workspace: &Workspace) -> String {
    let members: Vec<&Package> = workspace
        .members()
        .filter(|member| {
            member.name != "xtask" && !is_for_tests(workspace, member) && !is_example(workspace, member)
        })
        .collect();
    let needs = |package: &Package| -> BTreeSet<&str> {
        let all = workspace.needs(package);
        members.iter().map(|member| member.name.as_str()).filter(|name| all.contains(name)).collect()
    };
    let mut arrows = BTreeSet::new();
    for package in &members {
        let below = needs(package);
        let is_direct = |member: &&&Package| {
            let between = |other: &&&Package| below.contains(other.name.as_str());
            below.contains(member.name.as_str())
                && !members.iter().filter(between).any(|other| needs(other).contains(member.name.as_str()))
        };
        arrows.extend(
            members
                .iter()
                .filter(is_direct)
                .map(|member| (folder(workspace, package), folder(workspace, member))),
        );
    }
    let mut text = "```mermaid\ngraph TD\n".to_owned();
    for (from, to) in arrows {
        let _ = writeln!(text, "  {from} --> {to}");
    }
    text + "```\n"
}

/// Tells whether a member is an example for readers, which the program is not made of.
fn is_example(workspace: &Workspace, package: &Package) -> bool {
    package.folder.starts_with(workspace.root.join("doc"))
}

fn folder(workspace: &Workspace, package: &Package) -> String {
    let folder = package.folder.strip_prefix(&workspace.root).unwrap_or(&package.folder);
    folder.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::{check, picture, with_picture};
    use crate::workspace::Workspace;

    #[test]
    fn the_picture_of_the_architecture_is_that_of_the_workspace() {
        assert_eq!(check(&Workspace::load().unwrap()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn the_picture_has_direct_arrows_and_no_crates_for_tests() {
        let picture = picture(&Workspace::load().unwrap());
        assert!(picture.contains("  backends/s3 --> backends/log-store\n"), "{picture}");
        assert!(!picture.contains("  server --> core\n"), "{picture}");
        assert!(!picture.contains("fake"), "{picture}");
    }

    #[test]
    fn a_page_without_a_place_for_the_picture_is_an_error() {
        assert!(with_picture("# Page\n", "").is_err());
    }
}
