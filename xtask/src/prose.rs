//! Plain English: openings and words that make a reader go back to the beginning of the sentence.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::workspace::Workspace;

/// Words that no sentence begins with. The noun that they stand for comes too late.
const OPENINGS: &[&str] = &["What", "Whatever", "Whoever", "Of"];

/// Words and phrases that are archaic, poetic, or hide their subject.
const BANNED: &[&str] = &[
    "anew",
    "anybody",
    "are told",
    "at hand",
    "befall",
    "befalls",
    "betimes",
    "comes of it",
    "dearest",
    "for want of",
    "gets to be",
    "heard of",
    "hence",
    "in hand",
    "in vain",
    "is had",
    "is told",
    "lest",
    "lets itself",
    "looked at",
    "looks at",
    "nought",
    "of its own accord",
    "of one's own",
    "somebody",
    "thence",
    "therein",
    "to be had",
    "to the letter",
    "was told",
    "were told",
    "whence",
    "whoever",
    "wherein",
];

/// The files that speak of these words.
const EXEMPT: &[&str] = &["xtask/src/prose.rs", "CONTRIBUTING.md"];

/// Names each sentence of a comment, a text of the program, or a page that breaks a rule.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let mut violations = Vec::new();
    for path in tracked(&workspace.root)? {
        if EXEMPT.iter().any(|exempt| path == Path::new(exempt)) {
            continue;
        }
        let text = std::fs::read_to_string(workspace.root.join(&path))?;
        let is_page = path.extension().is_some_and(|extension| extension == "md");
        let sentences = if is_page { page_lines(&text) } else { text.lines().map(spoken_parts).collect() };
        for (at, parts) in sentences.iter().enumerate() {
            let faults = parts.iter().flat_map(|part| faults(part));
            violations.extend(faults.map(|fault| format!("{}:{}: {fault}", path.display(), at + 1)));
        }
        for (at, line) in text.lines().enumerate().filter(|_| !is_page) {
            let faults = function_sentence(line).map(|sentence| faults(&sentence)).unwrap_or_default();
            let named = faults.iter().map(|fault| format!("{}:{}: {fault}", path.display(), at + 1));
            violations.extend(named);
        }
    }
    Ok(violations)
}

/// Returns the pages and the Rust files that git knows.
fn tracked(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let output = Command::new("git").args(["ls-files", "*.md", "*.rs"]).current_dir(root).output();
    let output = output.context("could not run git ls-files")?;
    ensure!(output.status.success(), "could not list the files of the repository");
    let listed = String::from_utf8(output.stdout)?;
    Ok(listed.lines().map(PathBuf::from).filter(|path| root.join(path).exists()).collect())
}

/// Returns the lines of a page without those of its code blocks.
fn page_lines(text: &str) -> Vec<Vec<&str>> {
    let mut is_code = false;
    let lines = text.lines().map(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        if is_code || is_fence { Vec::new() } else { vec![line] }
    });
    lines.collect()
}

/// Returns the comment of a line of code, or its string literals.
fn spoken_parts(line: &str) -> Vec<&str> {
    match line.trim_start().strip_prefix("//") {
        Some(comment) => vec![comment.trim_start_matches(['/', '!'])],
        None => line.split('"').skip(1).step_by(2).collect(),
    }
}

/// Returns the name of the function that a line defines, as words. A name of four words or more is a sentence, as that of a test.
fn function_sentence(line: &str) -> Option<String> {
    let (before, rest) = line.trim_start().split_once("fn ")?;
    let is_definition =
        before.split_whitespace().all(|word| matches!(word, "async" | "const") || word.starts_with("pub"));
    let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().filter(|_| is_definition)?;
    let words = name.replace('_', " ");
    let is_sentence = words.split(' ').count() >= 4;
    let first = words.chars().next().filter(|_| is_sentence).map(|first| first.to_ascii_uppercase());
    Some(first.map_or_else(|| words.clone(), |first| format!("{first}{}", &words[first.len_utf8()..])))
}

fn faults(part: &str) -> Vec<String> {
    let words: Vec<&str> = part.split_whitespace().map(bare).collect();
    let opening = words.windows(2).filter_map(|pair| {
        let continues = pair[1].starts_with(|first: char| first.is_lowercase());
        (continues && OPENINGS.contains(&pair[0]))
            .then(|| format!("a sentence begins with \"{} {}\"; begin with its subject", pair[0], pair[1]))
    });
    let lower = words.join(" ").to_lowercase();
    let banned = BANNED.iter().filter(|phrase| format!(" {lower} ").contains(&format!(" {phrase} ")));
    opening.chain(banned.map(|phrase| format!("\"{phrase}\" is no plain English"))).collect()
}

fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::{check, faults, function_sentence, page_lines, spoken_parts};
    use crate::workspace::Workspace;

    #[test]
    fn texts_of_this_workspace_are_plain_english() {
        assert_eq!(check(&Workspace::load().unwrap()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn comments_and_strings_are_texts_and_code_is_not() {
        assert_eq!(spoken_parts("    /// What it is."), [" What it is."]);
        assert_eq!(spoken_parts(r#"let What = f("Of all", 1, "x");"#), ["Of all", "x"]);
        assert_eq!(page_lines("a\n```\nWhat is\n```\nb"), [vec!["a"], vec![], vec![], vec![], vec!["b"]]);
    }

    #[test]
    fn names_of_functions_are_texts_too() {
        let fault = |line: &str| function_sentence(line).map(|sentence| faults(&sentence).len());
        assert_eq!(fault("    async fn somebody_sees_it() {"), Some(1));
        assert_eq!(fault("pub(crate) fn what_a_job_holds_ends() {"), Some(1));
        assert_eq!(fault("fn of_job() {"), Some(0));
        assert_eq!(fault("    call(|| fn_in_vain());"), None);
        assert_eq!(fault("// fn in_vain() {"), None);
    }

    #[test]
    fn openings_and_archaic_words_are_named() {
        assert_eq!(
            faults("The queue is empty. It is of no use; **what** it holds is lost."),
            Vec::<String>::new()
        );
        assert_eq!(faults("Names a job. **What** it holds").len(), 1);
        assert_eq!(faults("Of a job"), ["a sentence begins with \"Of a\"; begin with its subject"]);
        assert_eq!(faults("It began anew."), ["\"anew\" is no plain English"]);
        assert_eq!(faults("a new job"), Vec::<String>::new());
    }
}
