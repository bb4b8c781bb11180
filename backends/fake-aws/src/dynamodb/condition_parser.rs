//! Reading conditions.

use std::cmp::Ordering;

use super::condition::{Comparator, Condition, Operand, order};
use super::lexer::Token;
use super::parser::{Complaint, Parser, parse};
use super::placeholders::Dictionary;
use super::value::Attribute;
use crate::wire::Failure;

/// Reads a condition. `kind` is its name, as in `FilterExpression`.
pub(crate) fn condition(kind: &str, text: &str, words: &mut Dictionary) -> Result<Condition, Failure> {
    parse(kind, text, words, |parser| parser.either())
}

fn incorrect(operator: &str, kind: &str) -> Complaint {
    format!(
        "Incorrect operand type for operator or function; operator or function: {operator}, operand type: {kind}"
    )
}

/// Fails when a value has no order.
fn ordered(operator: &str, operand: &Operand) -> Result<(), Complaint> {
    match operand {
        Operand::Value(value) if order(value, value).is_none() => Err(incorrect(operator, value.kind())),
        Operand::Value(_) | Operand::Path(_) | Operand::Size(_) => Ok(()),
    }
}

impl Parser<'_> {
    /// Reads `… OR …`.
    fn either(&mut self) -> Result<Condition, Complaint> {
        let mut left = self.both()?;
        while self.says("OR") {
            left = Condition::Or(Box::new(left), Box::new(self.both()?));
        }
        Ok(left)
    }

    /// Reads `… AND …`.
    fn both(&mut self) -> Result<Condition, Complaint> {
        let mut left = self.negation()?;
        while self.says("AND") {
            left = Condition::And(Box::new(left), Box::new(self.negation()?));
        }
        Ok(left)
    }

    fn negation(&mut self) -> Result<Condition, Complaint> {
        if self.says("NOT") {
            return Ok(Condition::Not(Box::new(self.negation()?)));
        }
        if self.takes("(") {
            let inner = self.either()?;
            self.expect(")")?;
            return Ok(inner);
        }
        let operand = match self.calls() {
            Some(name) if name != "size" => return self.function(&name),
            Some(_) => self.sized()?,
            None => self.operand()?,
        };
        self.comparison(operand)
    }

    fn function(&mut self, name: &str) -> Result<Condition, Complaint> {
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
        if self.takes(",") {
            return Err(format!(
                "Incorrect number of operands for operator or function; operator or function: {name}"
            ));
        }
        self.expect(")")?;
        Ok(condition)
    }

    fn type_name(&mut self) -> Result<String, Complaint> {
        const KINDS: [&str; 10] = ["S", "SS", "N", "NS", "B", "BS", "BOOL", "NULL", "L", "M"];
        let value = self.value().ok_or_else(|| self.syntax())??;
        let Attribute::S(kind) = value else { return Err(incorrect("attribute_type", value.kind())) };
        if KINDS.contains(&kind.as_str()) {
            return Ok(kind);
        }
        Err(format!("Invalid attribute type name found; type: {kind}"))
    }

    /// Reads the rest of `size(path)`.
    fn sized(&mut self) -> Result<Operand, Complaint> {
        let path = self.path()?;
        self.expect(")")?;
        Ok(Operand::Size(path))
    }

    fn operand(&mut self) -> Result<Operand, Complaint> {
        if let Some(value) = self.value() {
            return Ok(Operand::Value(value?));
        }
        match self.calls() {
            Some(name) if name == "size" => self.sized(),
            Some(name) => Err(format!(
                "The function is not allowed to be used this way in an expression; function: {name}"
            )),
            None => Ok(Operand::Path(self.path()?)),
        }
    }

    /// Reads what an operand is compared with.
    fn comparison(&mut self, operand: Operand) -> Result<Condition, Complaint> {
        if self.says("BETWEEN") {
            let low = self.operand()?;
            if !self.says("AND") {
                return Err(self.syntax());
            }
            let high = self.operand()?;
            return between(operand, low, high);
        }
        if self.says("IN") {
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

fn between(operand: Operand, low: Operand, high: Operand) -> Result<Condition, Complaint> {
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
