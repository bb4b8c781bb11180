//! The permissions that the store needs.

use ecs_scheduler_core::Permission;

use crate::keys::KeyLayout;

/// Lists the permissions for the store in this bucket. `s3:CreateBucket` is also needed when the bucket does not exist.
#[must_use]
pub fn permissions(bucket: &str, prefix: &str) -> Vec<Permission> {
    let bucket = format!("arn:aws:s3:::{bucket}");
    let objects = format!("{bucket}/{}*", KeyLayout::new(prefix).documents());
    let on_objects = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"];
    let on_objects = on_objects.into_iter().map(|action| Permission::new(action, &objects));
    on_objects.chain([Permission::new("s3:ListBucket", &bucket)]).collect()
}

#[cfg(test)]
mod tests;
