//! Paths to attributes inside an item.

use std::collections::BTreeMap;

use super::failure::invalid;
use super::value::{Attribute, Item};
use crate::wire::Failure;

/// One step into a map or a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Field(String),
    Index(usize),
}

/// The path to an attribute: its steps, of which the first is a field of the item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Path(pub(crate) Vec<Step>);

/// The part of an item that a projection keeps.
#[derive(Debug, Default)]
struct Branch {
    whole: bool,
    below: BTreeMap<Step, Branch>,
}

fn invalid_path() -> Failure {
    invalid("The document path provided in the update expression is invalid for update")
}

impl Path {
    /// Returns the name of the attribute that the path begins with.
    pub(crate) fn head(&self) -> &str {
        match self.0.first() {
            Some(Step::Field(name)) => name,
            Some(Step::Index(_)) | None => "",
        }
    }

    /// Tells whether one of two paths leads through the other.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(one, other)| one == other)
    }

    /// Finds the attribute at the path.
    pub(crate) fn find<'a>(&self, item: &'a Item) -> Option<&'a Attribute> {
        let mut at = item.get(self.head())?;
        for step in &self.0[1..] {
            at = match (step, at) {
                (Step::Field(name), Attribute::M(members)) => members.get(name)?,
                (Step::Index(index), Attribute::L(members)) => members.get(*index)?,
                _ => return None,
            };
        }
        Some(at)
    }

    /// Sets the attribute at the path; its parents must exist.
    pub(crate) fn set(&self, item: &mut Item, value: Attribute) -> Result<(), Failure> {
        let [Step::Field(_), inner @ ..] = self.0.as_slice() else { return Err(invalid_path()) };
        let Some((last, way)) = inner.split_last() else {
            item.insert(self.head().to_owned(), value);
            return Ok(());
        };
        match (last, self.resolve(item, way).ok_or_else(invalid_path)?) {
            (Step::Field(name), Attribute::M(members)) => {
                members.insert(name.clone(), value);
            }
            (Step::Index(index), Attribute::L(members)) => match members.get_mut(*index) {
                Some(member) => *member = value,
                None => members.push(value),
            },
            _ => return Err(invalid_path()),
        }
        Ok(())
    }

    /// Removes the attribute at the path, if it exists.
    pub(crate) fn remove(&self, item: &mut Item) -> Result<(), Failure> {
        let [Step::Field(_), inner @ ..] = self.0.as_slice() else { return Err(invalid_path()) };
        let Some((last, way)) = inner.split_last() else {
            item.remove(self.head());
            return Ok(());
        };
        match (last, self.resolve(item, way).ok_or_else(invalid_path)?) {
            (Step::Field(name), Attribute::M(members)) => {
                members.remove(name);
            }
            (Step::Index(index), Attribute::L(members)) => {
                if *index < members.len() {
                    members.remove(*index);
                }
            }
            _ => return Err(invalid_path()),
        }
        Ok(())
    }

    fn resolve<'a>(&self, item: &'a mut Item, way: &[Step]) -> Option<&'a mut Attribute> {
        let mut at = item.get_mut(self.head())?;
        for step in way {
            at = match (step, at) {
                (Step::Field(name), Attribute::M(members)) => members.get_mut(name)?,
                (Step::Index(index), Attribute::L(members)) => members.get_mut(*index)?,
                _ => return None,
            };
        }
        Some(at)
    }
}

/// Returns the attributes at these paths, each in its place.
pub(crate) fn project(item: &Item, paths: &[Path]) -> Item {
    let mut root = Branch::default();
    for path in paths {
        let mut at = &mut root;
        for step in &path.0 {
            at = at.below.entry(step.clone()).or_default();
        }
        at.whole = true;
    }
    fields(item, &root)
}

fn fields(of: &Item, branch: &Branch) -> Item {
    let kept = branch.below.iter().filter_map(|(step, below)| match step {
        Step::Field(name) => Some((name.clone(), prune(of.get(name)?, below)?)),
        Step::Index(_) => None,
    });
    kept.collect()
}

fn prune(attribute: &Attribute, branch: &Branch) -> Option<Attribute> {
    if branch.whole {
        return Some(attribute.clone());
    }
    if let Attribute::M(members) = attribute {
        return Some(Attribute::M(fields(members, branch))).filter(|kept| *kept != Attribute::M(Item::new()));
    }
    let Attribute::L(members) = attribute else { return None };
    let kept = branch.below.iter().filter_map(|(step, below)| match step {
        Step::Index(index) => prune(members.get(*index)?, below),
        Step::Field(_) => None,
    });
    Some(Attribute::L(kept.collect())).filter(|kept| *kept != Attribute::L(Vec::new()))
}
