//! Volumes that a call configures.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::model::Definition;
use super::names::{is_id, is_key, is_role_arn};
use super::run_task::RunTask;
use crate::wire::Failure;

/// A type of EBS volume, its sizes in GiB, and its IOPS if it takes any.
type VolumeType = (&'static str, RangeInclusive<u64>, Option<RangeInclusive<u64>>);

/// The types of EBS volumes, with the narrower bounds where the pages of ECS and of EBS differ.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskManagedEBSVolumeConfiguration.html>,
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVolume.html>
const TYPES: [VolumeType; 7] = [
    ("gp3", 1..=16_384, Some(3_000..=16_000)),
    ("gp2", 1..=16_384, None),
    ("io1", 4..=16_384, Some(100..=64_000)),
    ("io2", 4..=16_384, Some(100..=256_000)),
    ("st1", 125..=16_384, None),
    ("sc1", 125..=16_384, None),
    ("standard", 1..=1_024, None),
];

/// The throughput of a `gp3` volume, in MiB a second.
const THROUGHPUT: RangeInclusive<u64> = 125..=1_000;

/// Fails on volumes that only one of call and definition names, and on invalid configurations. ECS reads the key
/// (`kmsKeyId`) only when it makes the volume; here a key that cannot exist is refused at once.
pub(crate) fn check(request: &RunTask, definition: &Definition, on_fargate: bool) -> Result<(), Failure> {
    let given: Vec<_> = request.volume_configurations.iter().map(|one| &one["name"]).collect();
    let all = definition.document["volumes"].as_array().into_iter().flatten();
    let open: Vec<_> = all.filter(|one| one["configuredAtLaunch"] == true).map(|one| &one["name"]).collect();
    if given.iter().any(|name| !open.contains(name)) || open.iter().any(|name| !given.contains(name)) {
        let message =
            "Volume configurations must match the volumes with configuredAtLaunch of the task definition.";
        return Err(Failure::parameter(message));
    }
    for volume in &request.volume_configurations {
        let ebs = &volume["managedEBSVolume"];
        check_references(ebs)?;
        check_amounts(ebs, on_fargate)?;
    }
    Ok(())
}

fn check_references(ebs: &Value) -> Result<(), Failure> {
    if !ebs["roleArn"].as_str().is_some_and(is_role_arn) {
        return Err(Failure::parameter("managedEBSVolume.roleArn is not a valid role ARN."));
    }
    if ebs["snapshotId"].as_str().is_some_and(|id| !is_id(id, "snap-")) {
        return Err(Failure::parameter("managedEBSVolume.snapshotId is not valid."));
    }
    if ebs["kmsKeyId"].as_str().is_some_and(|key| !is_key(key)) {
        return Err(Failure::parameter("managedEBSVolume.kmsKeyId is not valid."));
    }
    if ebs["filesystemType"].as_str().is_some_and(|kind| !["ext3", "ext4", "xfs", "ntfs"].contains(&kind)) {
        return Err(Failure::parameter("managedEBSVolume.filesystemType is not valid."));
    }
    Ok(())
}

/// Fails on a type, size, IOPS or throughput that no volume has. A volume without a type is `gp3`.
fn check_amounts(ebs: &Value, on_fargate: bool) -> Result<(), Failure> {
    let wrong = |field: &str| Err(Failure::parameter(format!("managedEBSVolume.{field} is not valid.")));
    let name = ebs["volumeType"].as_str().unwrap_or("gp3");
    let Some((_, sizes, iops)) = TYPES.iter().find(|kind| kind.0 == name) else {
        return wrong("volumeType");
    };
    if on_fargate && name == "standard" {
        return wrong("volumeType");
    }
    let is_sized = match ebs["sizeInGiB"].as_u64() {
        Some(size) => sizes.contains(&size),
        None => ebs["snapshotId"].is_string(),
    };
    if !is_sized {
        return wrong("sizeInGiB");
    }
    let has_iops = match (ebs["iops"].as_u64(), iops) {
        (Some(given), Some(range)) => range.contains(&given),
        (Some(_), None) => false,
        (None, _) => !name.starts_with("io"),
    };
    if !has_iops {
        return wrong("iops");
    }
    if ebs["throughput"].as_u64().is_some_and(|given| name != "gp3" || !THROUGHPUT.contains(&given)) {
        return wrong("throughput");
    }
    Ok(())
}
