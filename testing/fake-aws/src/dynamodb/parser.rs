//! The common part of all expression parsers.

use super::failure::invalid;
use super::lexer::{Token, tokens};
use super::path::{Path, Step};
use super::placeholders::Placeholders;
use super::value::Attribute;
use crate::wire::Failure;

/// Maximum size of an expression in bytes.
///
/// # Source
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
const MAX_EXPRESSION: usize = 4096;

/// A parser of one expression. Its errors lack the name of the expression, which the caller adds.
#[derive(Debug)]
pub(crate) struct Parser<'a> {
    tokens: Vec<Token>,
    at: usize,
    placeholders: &'a mut Placeholders,
}

/// The error of an expression.
pub(crate) type ParseError = String;

/// Parses a whole expression. `kind` is its name, as in `FilterExpression`.
pub(crate) fn parse<T>(
    kind: &str,
    text: &str,
    placeholders: &mut Placeholders,
    read: impl FnOnce(&mut Parser<'_>) -> Result<T, ParseError>,
) -> Result<T, Failure> {
    let named = |complaint: ParseError| invalid(format!("Invalid {kind}: {complaint}"));
    if text.trim().is_empty() {
        return Err(named("The expression can not be empty;".to_owned()));
    }
    if text.len() > MAX_EXPRESSION {
        let message = "Expression size has exceeded the maximum allowed size; expression size:";
        return Err(named(format!("{message} {}", text.len())));
    }
    let tokens = tokens(text).map_err(|letter| named(format!("Syntax error; token: \"{letter}\"")))?;
    let mut parser = Parser { tokens, at: 0, placeholders };
    let result = read(&mut parser).map_err(named)?;
    if parser.at < parser.tokens.len() {
        return Err(named(parser.syntax()));
    }
    Ok(result)
}

/// Parses a projection: paths with commas between them.
pub(crate) fn projection(text: &str, placeholders: &mut Placeholders) -> Result<Vec<Path>, Failure> {
    parse("ProjectionExpression", text, placeholders, |parser| {
        let paths = parser.list(Parser::path)?;
        check_disjoint(&paths)?;
        Ok(paths)
    })
}

/// Fails if one of the paths leads through another.
pub(crate) fn check_disjoint(paths: &[Path]) -> Result<(), ParseError> {
    let mut sorted: Vec<&Path> = paths.iter().collect();
    sorted.sort();
    match sorted.windows(2).find(|pair| pair[0].overlaps(pair[1])) {
        None => Ok(()),
        Some(pair) => Err(format!(
            "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [{}], \
             path two: [{}]",
            shown(pair[0]),
            shown(pair[1])
        )),
    }
}

fn shown(path: &Path) -> String {
    let steps = path.0.iter().map(|step| match step {
        Step::Field(name) => name.clone(),
        Step::Index(index) => format!("[{index}]"),
    });
    steps.collect::<Vec<_>>().join(", ")
}

impl Parser<'_> {
    /// Returns the syntax error at the present token.
    pub(crate) fn syntax(&self) -> ParseError {
        let token = self.tokens.get(self.at).map_or_else(|| "<EOF>".to_owned(), Token::to_string);
        let near = &self.tokens[self.at.saturating_sub(1)..self.tokens.len().min(self.at + 2)];
        let near: Vec<String> = near.iter().map(Token::to_string).collect();
        format!("Syntax error; token: \"{token}\", near: \"{}\"", near.join(" "))
    }

    pub(crate) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    pub(crate) fn step(&mut self) {
        self.at += 1;
    }

    /// Consumes a mark if it comes next.
    pub(crate) fn accept_mark(&mut self, mark: &str) -> bool {
        let comes = matches!(self.peek(), Some(Token::Mark(next)) if *next == mark);
        self.at += usize::from(comes);
        comes
    }

    /// Consumes a keyword if it comes next, in either case.
    pub(crate) fn accept_keyword(&mut self, keyword: &str) -> bool {
        let comes = matches!(self.peek(), Some(Token::Word(next)) if next.eq_ignore_ascii_case(keyword));
        self.at += usize::from(comes);
        comes
    }

    /// Consumes the name of a function and its parenthesis if they come next, and returns the name.
    pub(crate) fn accept_call(&mut self) -> Option<String> {
        let (Some(Token::Word(name)), Some(Token::Mark("("))) = (self.peek(), self.tokens.get(self.at + 1))
        else {
            return None;
        };
        let name = name.clone();
        self.at += 2;
        Some(name)
    }

    pub(crate) fn expect(&mut self, mark: &str) -> Result<(), ParseError> {
        if self.accept_mark(mark) { Ok(()) } else { Err(self.syntax()) }
    }

    /// Parses items with commas between them.
    pub(crate) fn list<T>(
        &mut self,
        read: impl Fn(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        let mut list = vec![read(self)?];
        while self.accept_mark(",") {
            list.push(read(self)?);
        }
        Ok(list)
    }

    /// Parses a value placeholder if it comes next.
    pub(crate) fn value(&mut self) -> Option<Result<Attribute, ParseError>> {
        let Some(Token::Value(alias)) = self.tokens.get(self.at) else { return None };
        self.at += 1;
        Some(self.placeholders.value(alias))
    }

    pub(crate) fn path(&mut self) -> Result<Path, ParseError> {
        let mut steps = vec![Step::Field(self.field()?)];
        loop {
            if self.accept_mark(".") {
                steps.push(Step::Field(self.field()?));
            } else if self.accept_mark("[") {
                let Some(Token::Figure(index)) = self.peek() else { return Err(self.syntax()) };
                steps.push(Step::Index(*index));
                self.step();
                self.expect("]")?;
            } else {
                return Ok(Path(steps));
            }
        }
    }

    fn field(&mut self) -> Result<String, ParseError> {
        let field = match self.tokens.get(self.at) {
            Some(Token::Word(name)) => name.clone(),
            Some(Token::Name(alias)) => self.placeholders.name(alias)?,
            Some(Token::Value(_) | Token::Figure(_) | Token::Mark(_)) | None => return Err(self.syntax()),
        };
        self.step();
        Ok(field)
    }
}
