//! Finds code that stands in two places: the same lines in the same order, whatever their layout and comments.
//!
//! Imports do not count, and names do: code of the same shape with other names is no copy. Product code is compared with
//! product code and tests are compared with tests.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use crate::known;
use crate::layering::is_for_tests;
use crate::tokens::{Token, split_tests, tokens};
use crate::workspace::{Workspace, is_test};

/// The most lines in a row that two places may share.
const MAX_LINES: usize = 20;

/// A file without its layout.
#[derive(Debug)]
struct CodeLines {
    file: PathBuf,
    /// The number of each line in the file, and the hash of its code.
    lines: Vec<(usize, u64)>,
}

/// Lines in a row that two places share.
#[derive(Debug)]
struct Run {
    /// The indexes of the texts, and of the first shared line of each.
    places: [(usize, usize); 2],
    lines: usize,
}

/// Returns the copies that are not on the list of known ones, and the entries of the list that are no copies any more.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let (mut product, mut tests) = (Vec::new(), Vec::new());
    for (file, code) in workspace.sources()? {
        let member =
            workspace.members().find(|member| workspace.root.join(&file).starts_with(&member.folder));
        let is_test = is_test(&file) || member.is_some_and(|member| is_for_tests(workspace, member));
        let tokens = tokens(&code);
        let (of_product, of_tests) = if is_test { (Vec::new(), tokens) } else { split_tests(&tokens) };
        product.push(CodeLines { file: file.clone(), lines: lines(&of_product) });
        tests.push(CodeLines { file, lines: lines(&of_tests) });
    }
    let mut found = find(&product);
    found.extend(find(&tests));
    known::compare(&workspace.root, "copies", &found)
}

/// Returns the copies among texts, as `file ~ file: lines`, each with the numbers of its lines.
fn find(texts: &[CodeLines]) -> BTreeMap<String, String> {
    let mut pairs: BTreeMap<[usize; 2], Vec<Run>> = BTreeMap::new();
    for run in runs(texts) {
        pairs.entry(run.places.map(|(text, _)| text)).or_default().push(run);
    }
    let describe = |([first, second], runs): ([usize; 2], Vec<Run>)| {
        let total: usize = runs.iter().map(|run| run.lines).sum();
        let places: Vec<String> = runs.iter().map(|run| place(texts, run)).collect();
        let names = [first, second].map(|text| texts[text].file.display().to_string());
        (format!("{}: {total}", names.join(" ~ ")), places.join("\n"))
    };
    pairs.into_iter().map(describe).collect()
}

fn place(texts: &[CodeLines], run: &Run) -> String {
    let [first, second] = run.places.map(|(text, begin)| {
        let CodeLines { file, lines } = &texts[text];
        format!("{}:{}-{}", file.display(), lines[begin].0, lines[begin + run.lines - 1].0)
    });
    format!("  {first} ~ {second}")
}

/// Finds the longest runs of more than [`MAX_LINES`] lines that two places share and that do not overlap.
fn runs(texts: &[CodeLines]) -> Vec<Run> {
    let mut windows: HashMap<u64, Vec<(usize, usize)>> = HashMap::new();
    for (text, CodeLines { lines, .. }) in texts.iter().enumerate() {
        for (begin, window) in lines.windows(MAX_LINES + 1).enumerate() {
            let mut hasher = DefaultHasher::new();
            window.iter().for_each(|(_, hash)| hash.hash(&mut hasher));
            windows.entry(hasher.finish()).or_default().push((text, begin));
        }
    }
    let mut pairs: Vec<[(usize, usize); 2]> = Vec::new();
    for places in windows.into_values().filter(|places| places.len() > 1) {
        for (index, first) in places.iter().enumerate() {
            let apart = |second: &&(usize, usize)| first.0 != second.0 || first.1 + MAX_LINES < second.1;
            pairs.extend(places[index + 1..].iter().filter(apart).map(|second| [*first, *second]));
        }
    }
    // Windows of one run follow each other: same texts, same distance, next line.
    pairs.sort_by_key(|[first, second]| {
        (first.0, second.0, second.1.abs_diff(first.1), second.1 < first.1, first.1)
    });
    let mut runs: Vec<Run> = Vec::new();
    for [first, second] in pairs {
        let continues = runs.last_mut().filter(|run| {
            let moved = run.lines - MAX_LINES;
            run.places.map(|(text, begin)| (text, begin + moved)) == [first, second]
        });
        match continues {
            Some(run) => run.lines += 1,
            None => runs.push(Run { places: [first, second], lines: MAX_LINES + 1 }),
        }
    }
    runs
}

/// Returns the lines of code without imports: the number of each, and the hash of its words and marks.
fn lines(tokens: &[Token<'_>]) -> Vec<(usize, u64)> {
    let mut lines: Vec<(usize, DefaultHasher)> = Vec::new();
    let mut add = |number: usize, text: &str| {
        if lines.last().is_none_or(|(last, _)| *last != number) {
            lines.push((number, DefaultHasher::new()));
        }
        lines.iter_mut().last().into_iter().for_each(|(_, hasher)| text.hash(hasher));
    };
    let mut is_import = false;
    for (at, token) in tokens.iter().enumerate() {
        is_import |= begins_import(&tokens[at..]);
        if !is_import {
            for (further, part) in token.text.lines().enumerate() {
                add(token.line + further, part.trim());
            }
        }
        is_import &= token.text != ";";
    }
    lines.into_iter().map(|(number, hasher)| (number, hasher.finish())).collect()
}

/// Tells whether the tokens begin with `use`, `pub use` or `pub(…) use`.
fn begins_import(tokens: &[Token<'_>]) -> bool {
    let mut words = tokens.iter().map(|token| token.text);
    match words.next() {
        Some("use") => true,
        Some("pub") => {
            words.find(|word| !matches!(*word, "(" | "in" | "crate" | "super" | "::" | ")")) == Some("use")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::PathBuf;

    use super::{CodeLines, check, find, lines};
    use crate::tokens::tokens;
    use crate::workspace::Workspace;

    fn found(codes: &[&str]) -> Vec<String> {
        let text = |(index, code): (usize, &&str)| CodeLines {
            file: PathBuf::from(format!("{index}.rs")),
            lines: lines(&tokens(code)),
        };
        let texts: Vec<CodeLines> = codes.iter().enumerate().map(text).collect();
        find(&texts).into_iter().map(|(copy, places)| format!("{copy}{places}")).collect()
    }

    fn calls(from: usize, to: usize) -> String {
        (from..to).fold(String::new(), |mut code, call| {
            let _ = writeln!(code, "call{call}(\"x\");");
            code
        })
    }

    #[test]
    fn this_workspace_has_no_copies_but_the_known_ones() {
        assert_eq!(check(&Workspace::load().unwrap()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn more_than_twenty_equal_lines_are_a_copy() {
        let long = calls(0, 25);
        assert_eq!(found(&[&long, &calls(5, 25)]), Vec::<String>::new());
        assert_eq!(
            found(&[&long, &format!("a();\n{}", calls(4, 25))]),
            ["0.rs ~ 1.rs: 21  0.rs:5-25 ~ 1.rs:2-22"]
        );
        assert_eq!(found(&[&long, &long, "b();"]), ["0.rs ~ 1.rs: 25  0.rs:1-25 ~ 1.rs:1-25"]);
    }

    #[test]
    fn a_file_is_compared_with_itself_and_repeated_lines_do_not_overlap() {
        let twice = calls(0, 21) + "between();\n" + &calls(0, 21);
        assert_eq!(found(&[&twice]), ["0.rs ~ 0.rs: 21  0.rs:1-21 ~ 0.rs:23-43"]);
        assert_eq!(found(&[&"same();\n".repeat(41)]), Vec::<String>::new());
    }

    #[test]
    fn comments_layout_and_imports_do_not_count_and_names_and_literals_do() {
        let other = calls(0, 25).replace("(\"", "( \"").replace("call9", "// why\n\n  call9");
        assert_eq!(found(&[&calls(0, 25), &other]).len(), 1);
        assert_eq!(found(&[&calls(0, 25), &calls(0, 25).replace("call9", "call99")]), Vec::<String>::new());
        assert_eq!(
            found(&[&calls(0, 25), &calls(0, 25).replace("9(\"x\"", "9(\"y\"")]),
            Vec::<String>::new()
        );
        for import in ["use a::{\n    b,\n};\n", "pub use a::b;\n", "pub(crate) use a::b;\n"] {
            assert_eq!(found(&[&import.repeat(25), &import.repeat(25)]), Vec::<String>::new());
        }
    }

    #[test]
    fn lines_of_a_long_string_are_lines() {
        let text = format!("const X: &str = \"\n{}\";", "a\nb\nc\n".repeat(8));
        assert_eq!(found(&[&text, &text]).len(), 1);
    }
}
