//! Checks of names that operators configure.

use std::ops::RangeInclusive;

use ecs_scheduler_core::{Setting, SettingError};

#[cfg(test)]
mod tests;

/// Refuses the name of a table or bucket that no server accepts. An ARN is left to AWS.
///
/// # Errors
///
/// Fails with the setting, the name and the allowed length in bytes.
pub fn check_resource_name(
    setting: &Setting,
    name: &str,
    length: RangeInclusive<usize>,
) -> Result<(), SettingError> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.starts_with("arn:") || (length.contains(&name.len()) && name.bytes().all(fine)) {
        return Ok(());
    }
    let (least, most) = (length.start(), length.end());
    Err(SettingError::new(format!(
        "{} is \"{name}\"; it must be {least} to {most} of letters, digits, \"-\", \"_\", \".\"",
        setting.name()
    )))
}
