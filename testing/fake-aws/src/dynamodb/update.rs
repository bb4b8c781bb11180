//! Updates of an item.

use std::collections::BTreeSet;

use super::failure::invalid;
use super::parser::{ParseError, Parser, check_disjoint, parse};
use super::path::Path;
use super::placeholders::Placeholders;
use super::value::{Attribute, Item};
use crate::wire::Failure;

/// The new value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    Value(Attribute),
    Path(Path),
    /// The attribute if it exists, else the other.
    Or(Path, Box<Term>),
    /// The concatenation of two lists.
    Appended(Box<Term>, Box<Term>),
    Sum(Box<Term>, Box<Term>),
    Difference(Box<Term>, Box<Term>),
}

/// A parsed update expression.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Update {
    set: Vec<(Path, Term)>,
    remove: Vec<Path>,
    add: Vec<(Path, Attribute)>,
    delete: Vec<(Path, Attribute)>,
}

/// Parses an update expression.
pub(crate) fn update(text: &str, placeholders: &mut Placeholders) -> Result<Update, Failure> {
    parse("UpdateExpression", text, placeholders, |parser| {
        let mut update = Update::default();
        let mut seen = BTreeSet::new();
        while parser.peek().is_some() {
            let sections = ["SET", "REMOVE", "ADD", "DELETE"];
            let section = sections.into_iter().find(|section| parser.accept_keyword(section));
            let section = section.ok_or_else(|| parser.syntax())?;
            if !seen.insert(section) {
                return Err(format!(
                    "The \"{section}\" section can only be used once in an update expression;"
                ));
            }
            match section {
                "SET" => update.set = parser.list(Parser::assignment)?,
                "REMOVE" => update.remove = parser.list(Parser::path)?,
                "ADD" => update.add = parser.list(|parser| parser.amount("ADD"))?,
                _ => update.delete = parser.list(|parser| parser.amount("DELETE"))?,
            }
        }
        check_disjoint(&update.paths())?;
        Ok(update)
    })
}

impl Parser<'_> {
    fn assignment(&mut self) -> Result<(Path, Term), ParseError> {
        let path = self.path()?;
        self.expect("=")?;
        let left = self.term()?;
        let term = if self.accept_mark("+") {
            Term::Sum(Box::new(left), Box::new(self.term()?))
        } else if self.accept_mark("-") {
            Term::Difference(Box::new(left), Box::new(self.term()?))
        } else {
            left
        };
        Ok((path, term))
    }

    fn term(&mut self) -> Result<Term, ParseError> {
        if let Some(value) = self.value() {
            return Ok(Term::Value(value?));
        }
        let Some(function) = self.accept_call() else { return Ok(Term::Path(self.path()?)) };
        let term = match function.as_str() {
            "if_not_exists" => {
                let path = self.path()?;
                self.expect(",")?;
                Term::Or(path, Box::new(self.term()?))
            }
            "list_append" => {
                let first = self.term()?;
                self.expect(",")?;
                Term::Appended(Box::new(first), Box::new(self.term()?))
            }
            _ => return Err(format!("Invalid function name; function: {function}")),
        };
        self.expect(")")?;
        Ok(term)
    }

    /// Parses a path, and the amount to add to it or delete from it.
    fn amount(&mut self, section: &str) -> Result<(Path, Attribute), ParseError> {
        let path = self.path()?;
        let value = self.value().ok_or_else(|| self.syntax())??;
        match &value {
            Attribute::Ss(_) | Attribute::Ns(_) => Ok((path, value)),
            Attribute::N(_) if section == "ADD" => Ok((path, value)),
            other @ (Attribute::N(_)
            | Attribute::S(_)
            | Attribute::B(_)
            | Attribute::Bool(_)
            | Attribute::Null
            | Attribute::L(_)
            | Attribute::M(_)) => Err(format!(
                "Incorrect operand type for operator or function; operator: {section}, operand type: {}",
                other.kind()
            )),
        }
    }
}

fn type_mismatch() -> Failure {
    invalid("An operand in the update expression has an incorrect data type")
}

fn inexact() -> Failure {
    invalid("the fake cannot keep the result of this arithmetic exactly")
}

impl Term {
    /// Evaluates a term over the item before the update.
    fn value(&self, item: &Item) -> Result<Attribute, Failure> {
        let absent =
            || invalid("The provided expression refers to an attribute that does not exist in the item");
        match self {
            Self::Value(value) => Ok(value.clone()),
            Self::Path(path) => path.find(item).cloned().ok_or_else(absent),
            Self::Or(path, other) => {
                path.find(item).map_or_else(|| other.value(item), |value| Ok(value.clone()))
            }
            Self::Appended(first, second) => match (first.value(item)?, second.value(item)?) {
                (Attribute::L(mut first), Attribute::L(second)) => {
                    first.extend(second);
                    Ok(Attribute::L(first))
                }
                _ => Err(type_mismatch()),
            },
            Self::Sum(left, right) | Self::Difference(left, right) => {
                let (Attribute::N(left), Attribute::N(right)) = (left.value(item)?, right.value(item)?)
                else {
                    return Err(type_mismatch());
                };
                let right = if matches!(self, Self::Sum(..)) { right } else { right.negated() };
                left.plus(right).map(Attribute::N).ok_or_else(inexact)
            }
        }
    }
}

impl Update {
    /// Returns the changed paths.
    pub(crate) fn paths(&self) -> Vec<Path> {
        let set = self.set.iter().map(|(path, _)| path);
        let amounts = self.add.iter().chain(&self.delete).map(|(path, _)| path);
        set.chain(&self.remove).chain(amounts).cloned().collect()
    }

    /// Applies the update to an item.
    pub(crate) fn apply(&self, before: &Item) -> Result<Item, Failure> {
        let mut item = before.clone();
        for (path, term) in &self.set {
            path.set(&mut item, term.value(before)?)?;
        }
        for (path, amount) in &self.add {
            path.set(&mut item, added(path.find(before), amount)?)?;
        }
        for (path, amount) in &self.delete {
            match path.find(before).map(|has| without(has, amount)).transpose()? {
                Some(Some(left)) => path.set(&mut item, left)?,
                Some(None) => path.remove(&mut item)?,
                None => {}
            }
        }
        // List members are removed from the end, so that indexes stay valid.
        let mut removed: Vec<&Path> = self.remove.iter().collect();
        removed.sort();
        for path in removed.into_iter().rev() {
            path.remove(&mut item)?;
        }
        Ok(item)
    }
}

/// Adds to a number or to a set.
fn added(has: Option<&Attribute>, amount: &Attribute) -> Result<Attribute, Failure> {
    match (has, amount) {
        (None, amount) => Ok(amount.clone()),
        (Some(Attribute::N(has)), Attribute::N(amount)) => {
            has.plus(*amount).map(Attribute::N).ok_or_else(inexact)
        }
        (Some(Attribute::Ss(has)), Attribute::Ss(more)) => Ok(Attribute::Ss(has | more)),
        (Some(Attribute::Ns(has)), Attribute::Ns(more)) => Ok(Attribute::Ns(has | more)),
        _ => Err(type_mismatch()),
    }
}

/// Removes members from a set; returns nothing if it is empty afterwards.
fn without(has: &Attribute, less: &Attribute) -> Result<Option<Attribute>, Failure> {
    match (has, less) {
        (Attribute::Ss(has), Attribute::Ss(less)) => {
            Ok(Some(has - less).filter(|left| !left.is_empty()).map(Attribute::Ss))
        }
        (Attribute::Ns(has), Attribute::Ns(less)) => {
            Ok(Some(has - less).filter(|left| !left.is_empty()).map(Attribute::Ns))
        }
        _ => Err(type_mismatch()),
    }
}
