//! The lexer of expressions.

use std::fmt;

/// One token of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// A keyword, the name of a function, or that of an attribute.
    Word(String),
    /// A name placeholder, with its `#`.
    Name(String),
    /// A value placeholder, with its `:`.
    Value(String),
    /// The index of a list member.
    Figure(usize),
    /// One of [`MARKS`].
    Mark(&'static str),
}

/// Longer ones first, so that `<=` is not `<` and `=`.
const MARKS: [&str; 15] = ["<=", "<>", ">=", "<", ">", "=", "(", ")", "[", "]", ",", ".", "+", "-", "*"];

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(text) | Self::Name(text) | Self::Value(text) => f.write_str(text),
            Self::Figure(scope) => write!(f, "{scope}"),
            Self::Mark(mark) => f.write_str(mark),
        }
    }
}

/// Splits an expression into tokens. Fails with the character that belongs to no token.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, char> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_inner = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let length = match first {
            '#' | ':' => 1 + rest[1..].find(|letter| !is_inner(letter)).unwrap_or(rest.len() - 1),
            _ => rest.find(|letter| !is_inner(letter)).unwrap_or(rest.len()),
        };
        let (word, behind) = rest.split_at(length);
        let token = match first {
            '#' | ':' if length == 1 => return Err(first),
            '#' => Token::Name(word.to_owned()),
            ':' => Token::Value(word.to_owned()),
            '0'..='9' => Token::Figure(word.parse().map_err(|_| first)?),
            _ if length > 0 => Token::Word(word.to_owned()),
            _ => {
                let mark = MARKS.into_iter().find(|mark| rest.starts_with(mark)).ok_or(first)?;
                rest = rest[mark.len()..].trim_start();
                tokens.push(Token::Mark(mark));
                continue;
            }
        };
        tokens.push(token);
        rest = behind.trim_start();
    }
    Ok(tokens)
}
