//! Forms of names and ids.

/// Tells whether a name is an id of EC2: a prefix such as `subnet-`, and 8 or 17 hexadecimal digits.
pub(super) fn is_id(name: &str, prefix: &str) -> bool {
    let digits = name.strip_prefix(prefix).unwrap_or_default();
    matches!(digits.len(), 8 | 17) && digits.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

/// Tells whether a text is the name of a role, with its path or without, or its ARN.
pub(super) fn is_role(text: &str) -> bool {
    if text.starts_with("arn:") { is_role_arn(text) } else { is_role_name(text) }
}

/// Tells whether a text is the ARN of a role.
pub(super) fn is_role_arn(text: &str) -> bool {
    let mut parts = text.splitn(6, ':');
    parts.next() == Some("arn")
        && parts.next().is_some_and(|partition| partition.starts_with("aws"))
        && parts.next() == Some("iam")
        && parts.next() == Some("")
        && parts
            .next()
            .is_some_and(|account| account.len() == 12 && account.bytes().all(|c| c.is_ascii_digit()))
        && parts.next().and_then(|rest| rest.strip_prefix("role/")).is_some_and(is_role_name)
}

/// Tells whether a text is the name of a role, with its path or without.
///
/// # Source
///
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_Role.html>
fn is_role_name(text: &str) -> bool {
    let name = text.rsplit('/').next().unwrap_or_default();
    let allowed = |c: u8| c.is_ascii_alphanumeric() || b"_+=,.@-".contains(&c);
    (1..=64).contains(&name.len()) && name.bytes().all(allowed) && text.bytes().all(|c| c.is_ascii_graphic())
}

/// Tells whether a text is a key of KMS: its id, its alias, or the ARN of one of them.
///
/// # Source
///
/// <https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id>
pub(super) fn is_key(text: &str) -> bool {
    let name = match text.strip_prefix("arn:") {
        Some(arn) => match arn.splitn(5, ':').collect::<Vec<_>>().as_slice() {
            [_, "kms", _, _, resource] => resource.strip_prefix("key/").unwrap_or(resource),
            _ => return false,
        },
        None => text,
    };
    match name.strip_prefix("alias/") {
        Some(alias) => {
            !alias.is_empty() && alias.bytes().all(|c| c.is_ascii_alphanumeric() || b"/_-".contains(&c))
        }
        None => {
            let digits = name.strip_prefix("mrk-").unwrap_or(name);
            let is_hexadecimal = digits.bytes().all(|c| c == b'-' || c.is_ascii_hexdigit());
            matches!(digits.len(), 32 | 36) && is_hexadecimal
        }
    }
}
