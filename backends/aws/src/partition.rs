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

/// Tells whether a text has the form of a region: words and a number, as in `eu-central-1` or `us-gov-west-1`.
///
/// # Source
///
/// <https://docs.aws.amazon.com/general/latest/gr/rande.html>
///
/// # Example
///
/// ```
/// use ecs_scheduler_backend_aws::is_region;
/// assert_eq!(["us-isob-east-1", "eu-central"].map(is_region), [true, false]);
/// ```
#[must_use]
pub fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_lowercase());
    matches!(parts.as_slice(), [words @ .., number] if words.len() >= 2
        && words.iter().all(is_word)
        && (1..=2).contains(&number.len())
        && number.bytes().all(|c| c.is_ascii_digit()))
}

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
