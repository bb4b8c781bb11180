//! Parsing of conditions.

use std::cmp::Ordering;

use super::condition::{Comparator, Condition, Operand, order};
use super::lexer::Token;
use super::parser::{ParseError, Parser, parse};
use super::placeholders::Placeholders;
use super::value::Attribute;
use crate::wire::Failure;

/// Parses a condition. `kind` is its name, as in `FilterExpression`.
pub(crate) fn condition(
    kind: &str,
    text: &str,
    placeholders: &mut Placeholders,
) -> Result<Condition, Failure> {
    parse(kind, text, placeholders, |parser| parser.disjunction())
}

fn incorrect(operator: &str, kind: &str) -> ParseError {
    format!(
        "Incorrect operand type for operator or function; operator or function: {operator}, operand type: {kind}"
    )
}

/// Fails when a value has no order.
fn ordered(operator: &str, operand: &Operand) -> Result<(), ParseError> {
    match operand {
        Operand::Value(value) if order(value, value).is_none() => Err(incorrect(operator, value.kind())),
        Operand::Value(_) | Operand::Path(_) | Operand::Size(_) => Ok(()),
    }
}

impl Parser<'_> {
    /// Reads `… OR …`.
    fn disjunction(&mut self) -> Result<Condition, ParseError> {
        let mut left = self.conjunction()?;
        while self.accept_keyword("OR") {
            left = Condition::Or(Box::new(left), Box::new(self.conjunction()?));
        }
        Ok(left)
    }

    /// Reads `… AND …`.
    fn conjunction(&mut self) -> Result<Condition, ParseError> {
        let mut left = self.negation()?;
        while self.accept_keyword("AND") {
            left = Condition::And(Box::new(left), Box::new(self.negation()?));
        }
        Ok(left)
    }

    fn negation(&mut self) -> Result<Condition, ParseError> {
        if self.accept_keyword("NOT") {
            return Ok(Condition::Not(Box::new(self.negation()?)));
        }
        if self.accept_mark("(") {
            let inner = self.disjunction()?;
            self.expect(")")?;
            return Ok(inner);
        }
        let operand = match self.accept_call() {
            Some(name) if name != "size" => return self.function(&name),
            Some(_) => self.sized()?,
            None => self.operand()?,
        };
        self.comparison(operand)
    }

    fn function(&mut self, name: &str) -> Result<Condition, ParseError> {
        let condition = match name {
            "attribute_exists" => Condition::Exists(self.path()?),
            "attribute_not_exists" => Condition::NotExists(self.path()?),
            "attribute_type" => {
                let path = self.path()?;
                self.expect(",")?;
                Condition::Type(path, self.type_name()?)
            }
            "begins_with" | "contains" => {
                let operand = self.operand()?;
                self.expect(",")?;
                let part = self.operand()?;
                match (&part, name) {
                    (_, "contains") => Condition::Contains(operand, part),
                    (Operand::Value(value), _) if !matches!(value, Attribute::S(_)) => {
                        return Err(incorrect(name, value.kind()));
                    }
                    _ => Condition::BeginsWith(operand, part),
                }
            }
            _ => return Err(format!("Invalid function name; function: {name}")),
        };
        if self.accept_mark(",") {
            return Err(format!(
                "Incorrect number of operands for operator or function; operator or function: {name}"
            ));
        }
        self.expect(")")?;
        Ok(condition)
    }

    fn type_name(&mut self) -> Result<String, ParseError> {
        const KINDS: [&str; 10] = ["S", "SS", "N", "NS", "B", "BS", "BOOL", "NULL", "L", "M"];
        let value = self.value().ok_or_else(|| self.syntax())??;
        let Attribute::S(kind) = value else { return Err(incorrect("attribute_type", value.kind())) };
        if KINDS.contains(&kind.as_str()) {
            return Ok(kind);
        }
        Err(format!("Invalid attribute type name found; type: {kind}"))
    }

    /// Reads the rest of `size(path)`.
    fn sized(&mut self) -> Result<Operand, ParseError> {
        let path = self.path()?;
        self.expect(")")?;
        Ok(Operand::Size(path))
    }

    fn operand(&mut self) -> Result<Operand, ParseError> {
        if let Some(value) = self.value() {
            return Ok(Operand::Value(value?));
        }
        match self.accept_call() {
            Some(name) if name == "size" => self.sized(),
            Some(name) => Err(format!(
                "The function is not allowed to be used this way in an expression; function: {name}"
            )),
            None => Ok(Operand::Path(self.path()?)),
        }
    }

    /// Parses the rest of a comparison.
    fn comparison(&mut self, operand: Operand) -> Result<Condition, ParseError> {
        if self.accept_keyword("BETWEEN") {
            let low = self.operand()?;
            if !self.accept_keyword("AND") {
                return Err(self.syntax());
            }
            let high = self.operand()?;
            return between(operand, low, high);
        }
        if self.accept_keyword("IN") {
            self.expect("(")?;
            let list = self.list(Self::operand)?;
            self.expect(")")?;
            return Ok(Condition::In(operand, list));
        }
        let comparator = match self.peek() {
            Some(Token::Mark("=")) => Comparator::Equal,
            Some(Token::Mark("<>")) => Comparator::Unequal,
            Some(Token::Mark("<")) => Comparator::Less,
            Some(Token::Mark("<=")) => Comparator::AtMost,
            Some(Token::Mark(">")) => Comparator::Greater,
            Some(Token::Mark(">=")) => Comparator::AtLeast,
            Some(Token::Mark(_) | Token::Word(_) | Token::Name(_) | Token::Value(_) | Token::Figure(_))
            | None => {
                return Err(self.syntax());
            }
        };
        self.step();
        let right = self.operand()?;
        if operand == right {
            let message = "The first operand must be distinct from the remaining operands for this operator or function";
            return Err(format!("{message}; operator: {}", comparator.sign()));
        }
        if !matches!(comparator, Comparator::Equal | Comparator::Unequal) {
            ordered(comparator.sign(), &operand)?;
            ordered(comparator.sign(), &right)?;
        }
        Ok(Condition::Compare(operand, comparator, right))
    }
}

fn between(operand: Operand, low: Operand, high: Operand) -> Result<Condition, ParseError> {
    for bound in [&operand, &low, &high] {
        ordered("BETWEEN", bound)?;
    }
    if let (Operand::Value(low), Operand::Value(high)) = (&low, &high) {
        let needs = match order(low, high) {
            None => "same data type for lower and upper bounds",
            Some(Ordering::Greater) => "upper bound to be greater than or equal to lower bound",
            Some(Ordering::Less | Ordering::Equal) => "",
        };
        if !needs.is_empty() {
            return Err(format!(
                "The BETWEEN operator requires {needs}; lower bound operand: AttributeValue: {}, upper bound operand: \
             AttributeValue: {}",
                low.write(),
                high.write()
            ));
        }
    }
    Ok(Condition::Between(operand, low, high))
}
