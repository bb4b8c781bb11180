//! The workspace as `cargo metadata` describes it.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// A package, of this workspace or from a registry.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Where it was downloaded from; absent for members.
    pub(crate) source: Option<String>,
    pub(crate) licence: Option<String>,
    pub(crate) folder: PathBuf,
    id: String,
}

/// The workspace, its packages and what they need to run (not what they need to be tested).
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) packages: Vec<Package>,
    needs: HashMap<String, Vec<String>>,
}

impl Workspace {
    /// Runs `cargo metadata`.
    pub(crate) fn load() -> anyhow::Result<Self> {
        let output = Command::new("cargo")
            .args(["metadata", "--format-version", "1", "--locked"])
            .output()
            .context("could not run cargo metadata")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "could not read the workspace: {said}");
        Self::read(&serde_json::from_slice(&output.stdout)?)
    }

    fn read(metadata: &Value) -> anyhow::Result<Self> {
        let root = metadata["workspace_root"].as_str().context("metadata without a root")?.into();
        let packages = list(&metadata["packages"]).iter().map(package).collect::<anyhow::Result<_>>()?;
        let needs = list(&metadata["resolve"]["nodes"]).iter().filter_map(|node| {
            let runs = |dep: &&Value| list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev");
            let deps = list(&node["deps"]).iter().filter(runs).filter_map(|dep| text(&dep["pkg"])).collect();
            Some((text(&node["id"])?, deps))
        });
        Ok(Self { root, packages, needs: needs.collect() })
    }

    /// Returns the packages that are developed here.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.source.is_none())
    }

    /// Returns the names of everything that a package needs to be built and run, directly or not.
    pub(crate) fn needs(&self, package: &Package) -> BTreeSet<&str> {
        let names: HashMap<&str, &str> =
            self.packages.iter().map(|package| (package.id.as_str(), package.name.as_str())).collect();
        let mut seen = BTreeSet::new();
        let mut todo = vec![package.id.as_str()];
        while let Some(id) = todo.pop() {
            for below in self.needs.get(id).into_iter().flatten() {
                if seen.insert(below.as_str()) {
                    todo.push(below);
                }
            }
        }
        seen.into_iter().filter_map(|id| names.get(id).copied()).collect()
    }

    /// Returns every Rust file of the members, with its path from the root.
    pub(crate) fn sources(&self) -> anyhow::Result<Vec<(PathBuf, String)>> {
        let mut files = Vec::new();
        let mut todo: Vec<PathBuf> = self.members().map(|package| package.folder.clone()).collect();
        while let Some(folder) = todo.pop() {
            for entry in std::fs::read_dir(&folder)? {
                let path = entry?.path();
                let hidden = path.file_name().is_some_and(|name| name == "target");
                if path.is_dir() && !hidden {
                    todo.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = std::fs::read_to_string(&path)?;
                    files.push((path.strip_prefix(&self.root)?.to_owned(), text));
                }
            }
        }
        files.sort();
        Ok(files)
    }
}

/// Tells whether a file holds tests only.
pub(crate) fn is_test(path: &Path) -> bool {
    path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs" | "benches")))
}

fn package(value: &Value) -> anyhow::Result<Package> {
    let manifest: PathBuf = value["manifest_path"].as_str().context("package without manifest")?.into();
    Ok(Package {
        name: text(&value["name"]).context("package without name")?,
        version: text(&value["version"]).context("package without version")?,
        source: text(&value["source"]),
        licence: text(&value["license"]),
        folder: manifest.parent().context("manifest without folder")?.to_owned(),
        id: text(&value["id"]).context("package without id")?,
    })
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
