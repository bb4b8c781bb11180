//! Partitions: the parts of AWS that share nothing, each with ARNs of its own.

/// How the regions of each partition but the first begin.
///
/// # Source
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>,
/// <https://github.com/boto/botocore/blob/develop/botocore/data/partitions.json>
const PARTITIONS: [(&str, &str); 7] = [
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("eusc-", "aws-eusc"),
    ("us-iso-", "aws-iso"),
    ("us-isob-", "aws-iso-b"),
    ("eu-isoe-", "aws-iso-e"),
    ("us-isof-", "aws-iso-f"),
];

/// Names the partition that a region belongs to, as ARNs spell it.
///
/// # Example
///
/// ```
/// use ecs_scheduler_backend_aws::partition;
/// assert_eq!([partition("eu-west-1"), partition("us-gov-west-1")], ["aws", "aws-us-gov"]);
/// ```
#[must_use]
pub fn partition(region: &str) -> &'static str {
    PARTITIONS.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("aws", |(_, partition)| partition)
}
