//! Forms of names and ids that AWS accepts.

/// Tells whether a name is an id of EC2: a prefix, and 8 or 17 hexadecimal digits.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html>
pub(super) fn is_id(name: &str, prefix: &str) -> bool {
    let digits = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')).unwrap_or_default();
    matches!(digits.len(), 8 | 17) && digits.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

/// Tells whether a text can be the name of a cluster, a container, a volume or a capacity provider: up to 255 letters,
/// digits, `_` and `-`.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateCluster.html>,
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html>,
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Volume.html>,
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateCapacityProvider.html>
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=255).contains(&text.len()) && text.bytes().all(allowed)
}

/// Tells whether a text is the name of a role, with its path or without, or its ARN.
pub(super) fn is_role(text: &str) -> bool {
    if text.starts_with("arn:") { is_role_arn(text) } else { is_role_name(text) }
}

/// Tells whether a text is the ARN of a role.
///
/// # Source
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html>
pub(super) fn is_role_arn(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, resource] = parts.as_slice() else { return false };
    !partition.is_empty()
        && account.len() == 12
        && account.bytes().all(|c| c.is_ascii_digit())
        && resource.strip_prefix("role/").is_some_and(is_role_name)
}

/// Tells whether a text is the name of a role, with its path or without: the name has up to 64 letters, digits and
/// `_ + = , . @ -`.
///
/// # Source
///
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_Role.html>
fn is_role_name(text: &str) -> bool {
    let (path, name) = text.rsplit_once('/').unwrap_or(("", text));
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    path.len() <= 512
        && path.bytes().all(|byte| byte.is_ascii_graphic())
        && (1..=64).contains(&name.len())
        && name.bytes().all(allowed)
}
