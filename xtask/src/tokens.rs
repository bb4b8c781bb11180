//! Splits Rust code into tokens, without comments, and separates the product from its tests.

use std::iter::Peekable;
use std::str::CharIndices;

/// A word, a literal or a mark of Rust code; `::` is one mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'t> {
    pub(crate) text: &'t str,
    /// The number of its first line, from 1.
    pub(crate) line: usize,
}

impl Token<'_> {
    /// Tells whether this is a name or a keyword.
    pub(crate) fn is_word(&self) -> bool {
        self.text.starts_with(|first: char| first.is_alphabetic() || first == '_')
            && !self.text.ends_with(['"', '#'])
    }
}

/// Splits code into its tokens. A file that ends within a literal or a comment ends there.
pub(crate) fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer { code, rest: code.char_indices().peekable() };
    let mut found: Vec<Token<'_>> = Vec::new();
    let (mut line, mut counted) = (1, 0);
    while let Some((start, end)) = lexer.next_token() {
        line += code[counted..start].matches('\n').count();
        counted = start;
        found.push(Token { text: &code[start..end], line });
    }
    found
}

struct Lexer<'t> {
    code: &'t str,
    rest: Peekable<CharIndices<'t>>,
}

impl Lexer<'_> {
    /// Returns where the next token begins and ends.
    fn next_token(&mut self) -> Option<(usize, usize)> {
        loop {
            let (start, first) = self.rest.next()?;
            let after = &self.code[start..];
            if after.starts_with("//") {
                self.skip_to(start + after.find('\n').unwrap_or(after.len()));
            } else if after.starts_with("/*") {
                self.skip_block_comment();
            } else if let Some(length) = string_length(after) {
                self.skip_to(start + length);
                return Some((start, start + length));
            } else if first.is_alphanumeric()
                || first == '_'
                || (first == '\'' && char_length(after).is_none())
            {
                while self.rest.next_if(|(_, next)| next.is_alphanumeric() || *next == '_').is_some() {}
                return Some((start, self.at()));
            } else if let Some(length) = char_length(after) {
                self.skip_to(start + length);
                return Some((start, start + length));
            } else if after.starts_with("::") {
                self.rest.next();
                return Some((start, start + 2));
            } else if !first.is_whitespace() {
                return Some((start, start + first.len_utf8()));
            }
        }
    }

    /// Returns the position of the next character.
    fn at(&mut self) -> usize {
        self.rest.peek().map_or(self.code.len(), |(at, _)| *at)
    }

    fn skip_to(&mut self, end: usize) {
        while self.rest.next_if(|(at, _)| *at < end).is_some() {}
    }

    fn skip_block_comment(&mut self) {
        let mut depth = 1;
        self.rest.next();
        while depth > 0 {
            let at = self.at();
            let rest = &self.code[at..];
            if rest.is_empty() {
                return;
            }
            let step = match rest {
                _ if rest.starts_with("/*") => 1,
                _ if rest.starts_with("*/") => -1,
                _ => 0,
            };
            depth += step;
            self.rest.next();
            if step != 0 {
                self.rest.next();
            }
        }
    }
}

/// Returns the length of the string literal that the code begins with, with its prefix.
fn string_length(code: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r", "b", "c", ""].into_iter().find(|prefix| {
        code.strip_prefix(prefix).is_some_and(|rest| rest.trim_start_matches('#').starts_with('"'))
    })?;
    let rest = &code[prefix.len()..];
    let marks = rest.len() - rest.trim_start_matches('#').len();
    let is_raw = prefix.ends_with('r');
    if marks > 0 && !is_raw {
        return None;
    }
    let body = prefix.len() + marks + 1;
    if is_raw {
        let end = format!("\"{}", "#".repeat(marks));
        return Some(code[body..].find(&end).map_or(code.len(), |length| body + length + end.len()));
    }
    let mut is_escaped = false;
    for (at, letter) in code[body..].char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return Some(body + at + 1),
            _ => {}
        }
    }
    Some(code.len())
}

/// Returns the length of the character literal that the code begins with; a lifetime is none.
fn char_length(code: &str) -> Option<usize> {
    let rest = code.strip_prefix('\'')?;
    let first = rest.chars().next()?;
    if first == '\\' {
        return rest[2..].find('\'').map(|length| length + 4);
    }
    rest[first.len_utf8()..].starts_with('\'').then(|| first.len_utf8() + 2)
}

/// Separates the items that are compiled for tests only from the rest: the product first, then the tests.
pub(crate) fn split_tests<'t>(tokens: &[Token<'t>]) -> (Vec<Token<'t>>, Vec<Token<'t>>) {
    let (mut product, mut tests) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        let end = if is_test_attribute(&tokens[at..]) { at + item_length(&tokens[at..]) } else { at };
        tests.extend_from_slice(&tokens[at..end]);
        if end == at {
            product.push(tokens[at]);
        }
        at = end.max(at + 1);
    }
    (product, tests)
}

/// Tells whether the tokens begin with `#[test]`, `#[cfg(test)]` or `#[cfg(all(test, …))]`.
fn is_test_attribute(tokens: &[Token<'_>]) -> bool {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    if (text(0), text(1)) != ("#", "[") {
        return false;
    }
    let inside = tokens[2..].iter().take_while(|token| token.text != "]");
    text(2) == "test"
        || (text(2) == "cfg" && inside.clone().any(|word| word.text == "test"))
            && !inside.clone().any(|word| matches!(word.text, "not" | "any"))
}

/// Returns the number of tokens of an item with its attributes: up to a semicolon or the end of its block.
fn item_length(tokens: &[Token<'_>]) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "{" | "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            "}" if depth == 0 => return at,
            "}" => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::{split_tests, tokens};

    fn texts(code: &str) -> Vec<&str> {
        tokens(code).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn code_is_split_into_words_marks_and_literals() {
        assert_eq!(texts("use a::b_1;"), ["use", "a", "::", "b_1", ";"]);
        assert_eq!(texts(r#"f("x \" y", b"z", 'c', '\'', '"')"#).len(), 12);
        assert_eq!(texts("&'a str"), ["&", "'a", "str"]);
        assert_eq!(texts(r##"r#"a " b"# + r"c\""##), [r##"r#"a " b"#"##, "+", r#"r"c\""#]);
        assert_eq!(texts("é::ü '→' '\u{0}'"), ["é", "::", "ü", "'→'", "'\u{0}'"]);
    }

    #[test]
    fn comments_are_left_out_and_lines_are_counted() {
        let found = tokens("a // b\n/* c /* d */\n e */ f\n\"g\nh\" i");
        let found: Vec<_> = found.into_iter().map(|token| (token.text, token.line)).collect();
        assert_eq!(found, [("a", 1), ("f", 3), ("\"g\nh\"", 4), ("i", 5)]);
    }

    #[test]
    fn code_that_ends_within_a_literal_or_a_comment_ends_there() {
        assert_eq!(texts("a \"b"), ["a", "\"b"]);
        assert_eq!(texts("a /* b"), ["a"]);
        assert_eq!(texts("a r#\"b"), ["a", "r#\"b"]);
        assert_eq!(texts("a //"), ["a"]);
    }

    #[test]
    fn tests_are_separated_from_the_product() {
        let code = "fn a() { b }\n#[cfg(test)]\nmod tests;\n#[cfg(not(test))] fn c() {}\n#[cfg(test)]\n#[x]\nmod tests { fn d() {} }\nfn e() {}";
        let found = tokens(code);
        let (product, tests) = split_tests(&found);
        let words = |tokens: &[super::Token<'_>]| -> String {
            tokens
                .iter()
                .filter(|token| token.is_word())
                .map(|token| token.text)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(words(&product), "fn a b cfg not test fn c fn e");
        assert_eq!(words(&tests), "cfg test mod tests cfg test x mod tests fn d");
    }
}
