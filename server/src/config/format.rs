//! `{VAR}` in values, as the Python version expanded them with `str.format`.

use std::collections::BTreeMap;

#[cfg(test)]
mod tests;

/// The reason why a value could not be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// A brace without its partner.
    #[error("a lone \"{0}\"; write \"{0}{0}\" for the character itself")]
    LoneBrace(char),
    /// The named variable does not exist.
    #[error("{{{0}}} names an environment variable that is not set")]
    Unknown(String),
    /// `{}`, `{0}`, `{A.b}`, `{A[b]}`, `{A!r}` or `{A:>10}`: what `str.format` has beside names.
    #[error("{{{0}}} is not the name of an environment variable")]
    NotAName(String),
}

/// Replaces each `{NAME}` by the variable's value, and `{{` and `}}` by a brace.
///
/// A value put in is not expanded again.
///
/// # Errors
///
/// Fails on a brace without its partner and on anything but the name of an existing variable between braces.
pub fn expand(text: &str, environment: &BTreeMap<String, String>) -> Result<String, FormatError> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        expanded.push_str(&rest[..at]);
        let (brace, behind) = (&rest[at..=at], &rest[at + 1..]);
        if let Some(behind) = behind.strip_prefix(brace) {
            expanded.push_str(brace);
            rest = behind;
        } else if brace == "}" {
            return Err(FormatError::LoneBrace('}'));
        } else {
            let (name, behind) = behind.split_once('}').ok_or(FormatError::LoneBrace('{'))?;
            expanded.push_str(lookup(name, environment)?);
            rest = behind;
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn lookup<'e>(name: &str, environment: &'e BTreeMap<String, String>) -> Result<&'e str, FormatError> {
    let special = |c: char| matches!(c, '{' | '.' | '[' | ']' | '!' | ':');
    if name.is_empty() || name.contains(special) || name.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(FormatError::NotAName(name.to_owned()));
    }
    environment.get(name).map(String::as_str).ok_or_else(|| FormatError::Unknown(name.to_owned()))
}
