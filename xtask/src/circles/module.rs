//! The modules of a crate, and the paths by which they name each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::tokens::{Token, split_tests, tokens};

/// The names of the modules from the root of the crate; the root itself has none.
type ModulePath = Vec<String>;

/// The most imports that one name passes through.
const MAX_IMPORTS: usize = 16;

/// A module that names something of another module.
#[derive(Debug)]
pub(super) struct Use {
    pub(super) from: ModulePath,
    pub(super) to: ModulePath,
    pub(super) file: PathBuf,
    pub(super) line: usize,
}

/// All modules of a crate.
#[derive(Debug, Default)]
pub(super) struct Crate {
    modules: BTreeMap<ModulePath, Module>,
}

#[derive(Debug, Default)]
struct Module {
    file: PathBuf,
    /// The items that it defines.
    items: BTreeSet<String>,
    /// The names that it imports, with the path of each.
    imports: BTreeMap<String, Vec<String>>,
    /// The modules from which it imports everything.
    globs: Vec<Vec<String>>,
    /// The paths that it names, with their lines.
    named: Vec<(Vec<String>, usize)>,
}

/// The module of a path, and whether the path names the module itself or an item of it.
#[derive(Debug, Clone, PartialEq)]
enum Resolved {
    Module(ModulePath),
    Item(ModulePath),
}

impl Crate {
    /// Reads the files of a crate, by their paths from its `src`.
    pub(super) fn read<'t>(files: impl Iterator<Item = (&'t Path, &'t str)>) -> Self {
        let files: Vec<_> = files.collect();
        let has_library = files.iter().any(|(path, _)| *path == Path::new("lib.rs"));
        let mut all = Self::default();
        for (path, text) in
            files.into_iter().filter(|(path, _)| !has_library || *path != Path::new("main.rs"))
        {
            let found = tokens(text);
            ModuleReader { all: &mut all, file: path, tokens: &split_tests(&found).0 }
                .read_module(module_path(path));
        }
        all
    }

    /// Returns each naming of a module, or of an item of it, by another module.
    pub(super) fn uses(&self) -> Vec<Use> {
        let mut uses = Vec::new();
        for (from, module) in &self.modules {
            for (path, line) in &module.named {
                let to = match self.resolve(from, path, MAX_IMPORTS) {
                    Some(Resolved::Module(to) | Resolved::Item(to)) if to != *from => to,
                    _ => continue,
                };
                uses.push(Use { from: from.clone(), to, file: module.file.clone(), line: *line });
            }
        }
        uses
    }

    /// Finds the module that defines what a path names; `None` if it is in no module of this crate.
    fn resolve(&self, from: &[String], path: &[String], imports_left: usize) -> Option<Resolved> {
        let mut at = from.to_vec();
        for (index, name) in path.iter().enumerate() {
            match (index, name.as_str()) {
                (0, "crate") => at.clear(),
                (_, "self") => {}
                (_, "super") => {
                    at.pop()?;
                }
                _ => match self.member(&at, name, imports_left) {
                    Some(Resolved::Module(module)) => at = module,
                    Some(item) => return Some(item),
                    None if index == 0 => return None,
                    None => return Some(Resolved::Item(at)),
                },
            }
        }
        Some(Resolved::Module(at))
    }

    /// Finds a name in a module: among its modules, its items, its imports, or what it imports with all of a module.
    fn member(&self, module: &[String], name: &str, imports_left: usize) -> Option<Resolved> {
        let child: ModulePath = module.iter().cloned().chain([name.to_owned()]).collect();
        if self.modules.contains_key(&child) {
            return Some(Resolved::Module(child));
        }
        let here = self.modules.get(module)?;
        if here.items.contains(name) {
            return Some(Resolved::Item(module.to_vec()));
        }
        let left = imports_left.checked_sub(1)?;
        if let Some(path) = here.imports.get(name) {
            let is_own_name = path.first().is_some_and(|first| first == name);
            return if is_own_name { None } else { self.resolve(module, path, left) };
        }
        here.globs.iter().find_map(|path| {
            let Some(Resolved::Module(all)) = self.resolve(module, path, left) else { return None };
            if all == module { None } else { self.member(&all, name, left) }
        })
    }
}

/// Returns the module that a file holds.
fn module_path(file: &Path) -> ModulePath {
    let names = file.with_extension("");
    let mut names: ModulePath =
        names.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    let is_folder = names.last().is_some_and(|last| last == "mod");
    let is_root = names.len() == 1 && matches!(names[0].as_str(), "lib" | "main");
    if is_folder || is_root {
        names.pop();
    }
    names
}

/// Reads the modules of one file.
struct ModuleReader<'r, 't> {
    all: &'r mut Crate,
    file: &'r Path,
    tokens: &'r [Token<'t>],
}

impl ModuleReader<'_, '_> {
    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text)
    }

    fn module(&mut self, path: &[String]) -> &mut Module {
        self.all.modules.entry(path.to_vec()).or_default()
    }

    fn read_module(&mut self, path: ModulePath) {
        self.module(&path).file = self.file.to_owned();
        // Each open module with the number of braces around its body.
        let mut open = vec![(path, 0_usize)];
        let (mut at, mut depth) = (0, 0_usize);
        while at < self.tokens.len() {
            let (path, outside) = open.last().expect("the module of the file is never closed").clone();
            match self.text(at) {
                "{" => depth += 1,
                "}" => {
                    depth = depth.saturating_sub(1);
                    if open.len() > 1 && depth == outside - 1 {
                        open.pop();
                    }
                }
                "mod" if self.text(at + 2) == "{" => {
                    let inner: ModulePath = path.into_iter().chain([self.text(at + 1).to_owned()]).collect();
                    self.module(&inner).file = self.file.to_owned();
                    depth += 1;
                    open.push((inner, depth));
                    at += 2;
                }
                "use" if self.text(at + 1) != "<" => at = self.read_use(&path, at),
                _ => at = self.read_name(&path, at, depth == outside),
            }
            at += 1;
        }
    }

    /// Reads a `use` and returns the position of its semicolon.
    fn read_use(&mut self, module: &[String], at: usize) -> usize {
        let end = (at..self.tokens.len()).find(|at| self.text(*at) == ";").unwrap_or(self.tokens.len());
        let mut leaves = Vec::new();
        read_tree(&self.tokens[at + 1..end], &[], &mut leaves);
        let line = self.tokens[at].line;
        let module = self.module(module);
        for (mut path, alias) in leaves {
            if path.last().is_some_and(|last| last == "*") {
                path.pop();
                module.globs.push(path.clone());
            } else if let Some(name) = alias.or_else(|| path.last().cloned()) {
                module.imports.insert(name, path.clone());
            }
            module.named.push((path, line));
        }
        end
    }

    /// Reads a path, or the name of an item that is defined, and returns the position of its last token.
    fn read_name(&mut self, module: &[String], at: usize, is_item_level: bool) -> usize {
        let token = self.tokens[at];
        let tokens = self.tokens;
        let module = self.module(module);
        let defines = matches!(
            token.text,
            "struct" | "enum" | "trait" | "type" | "fn" | "const" | "static" | "union" | "macro_rules"
        );
        if is_item_level && defines {
            let name = tokens[at + 1..].iter().find(|token| token.is_word() && token.text != "mut");
            module.items.extend(name.map(|name| name.text.to_owned()));
        }
        let is_begin = at == 0 || !matches!(tokens[at - 1].text, "::" | ".");
        if !token.is_word() || !is_begin {
            return at;
        }
        let mut path = vec![token.text.to_owned()];
        let mut last = at;
        while let [mark, name, ..] = &tokens[last + 1..]
            && mark.text == "::"
            && name.is_word()
        {
            path.push(name.text.to_owned());
            last += 2;
        }
        if path.len() > 1 {
            module.named.push((path, token.line));
        }
        last
    }
}

/// Lists the paths of a tree of imports, each with its other name.
fn read_tree(tokens: &[Token<'_>], prefix: &[String], leaves: &mut Vec<(Vec<String>, Option<String>)>) {
    let mut path = prefix.to_vec();
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "::" => {}
            "{" => {
                let inside = &tokens[at + 1..tokens.len() - 1];
                return split_list(inside).into_iter().for_each(|part| read_tree(part, &path, leaves));
            }
            "as" => return leaves.push((path, tokens.get(at + 1).map(|name| name.text.to_owned()))),
            "self" if !path.is_empty() => {}
            name => path.push(name.to_owned()),
        }
    }
    if path.len() > prefix.len() || !tokens.is_empty() {
        leaves.push((path, None));
    }
}

/// Splits a list at its commas, but not at those inside of braces.
fn split_list<'r, 't>(tokens: &'r [Token<'t>]) -> Vec<&'r [Token<'t>]> {
    let mut depth = 0_usize;
    let parts = tokens.split(|token| {
        match token.text {
            "{" => depth += 1,
            "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && token.text == ","
    });
    parts.collect()
}
