//! EBS volumes that ECS or EC2 would refuse.

use std::ops::RangeInclusive;

use ecs_scheduler_core::ConfigError;

use super::super::{LaunchOptions, ManagedEbsVolume};
use super::names::{is_id, is_name, is_role_arn};

/// File systems of volumes.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskManagedEBSVolumeConfiguration.html>
const FILE_SYSTEMS: [&str; 4] = ["ext3", "ext4", "xfs", "ntfs"];

/// A type of volume.
struct VolumeType {
    name: &'static str,
    /// GiB.
    sizes: RangeInclusive<u32>,
    /// Absent for a type that takes none.
    iops: Option<RangeInclusive<u32>>,
    needs_iops: bool,
}

/// The types of volumes. Where the pages of ECS and of EBS differ, the wider bounds. `gp2` has a number of operations that
/// follows from its size; whether ECS refuses another number is not documented.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskManagedEBSVolumeConfiguration.html>,
/// <https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html>
const TYPES: [VolumeType; 7] = [
    VolumeType { name: "gp3", sizes: 1..=65_536, iops: Some(3_000..=80_000), needs_iops: false },
    VolumeType { name: "gp2", sizes: 1..=16_384, iops: Some(1..=u32::MAX), needs_iops: false },
    VolumeType { name: "io1", sizes: 4..=16_384, iops: Some(100..=64_000), needs_iops: true },
    VolumeType { name: "io2", sizes: 4..=65_536, iops: Some(100..=256_000), needs_iops: true },
    VolumeType { name: "st1", sizes: 125..=16_384, iops: None, needs_iops: false },
    VolumeType { name: "sc1", sizes: 125..=16_384, iops: None, needs_iops: false },
    VolumeType { name: "standard", sizes: 1..=1_024, iops: None, needs_iops: false },
];

/// The sizes of a volume whose type is left to ECS, in GiB.
const ANY_SIZE: RangeInclusive<u32> = 1..=65_536;

/// The throughput of a `gp3` volume, in MiB a second.
const THROUGHPUT: RangeInclusive<u32> = 125..=2_000;

/// Checks the configurations of volumes. Pointers begin at the launch object.
pub(super) fn check(options: &LaunchOptions, found: &mut Vec<ConfigError>) {
    let on_fargate = options.may_run_on_fargate();
    for (index, volume) in options.volume_configurations.iter().enumerate() {
        let pointer = format!("/volumeConfigurations/{index}");
        if !is_name(&volume.name) {
            let message =
                "Must be the volume's name in the task definition: up to 255 letters, digits, `_` and `-`.";
            found.push(ConfigError::at(format!("{pointer}/name"), message));
        }
        let ebs = &volume.managed_ebs_volume;
        let wrong = references(ebs).into_iter().chain(amounts(ebs, on_fargate));
        found.extend(
            wrong.map(|(field, message)| {
                ConfigError::at(format!("{pointer}/managedEbsVolume/{field}"), message)
            }),
        );
    }
}

/// A field of a volume, and why its value is wrong.
type Wrong = (&'static str, String);

/// Checks the role, snapshot, key and file system of a volume.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskManagedEBSVolumeConfiguration.html>,
/// <https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateAlias.html>
fn references(ebs: &ManagedEbsVolume) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    if !is_role_arn(&ebs.role_arn) {
        wrong.push((
            "roleArn",
            "Must be the ARN of a role, as in arn:aws:iam::123456789012:role/ebs.".to_owned(),
        ));
    }
    if ebs.snapshot_id.as_deref().is_some_and(|id| !is_id(id, "snap")) {
        wrong.push(("snapshotId", "Must be an id such as snap-0123456789abcdef0.".to_owned()));
    }
    let of_key = |byte: u8| byte.is_ascii_alphanumeric() || b":/_-".contains(&byte);
    if ebs.kms_key_id.as_deref().is_some_and(|key| key.is_empty() || !key.bytes().all(of_key)) {
        let message =
            "Must be the id, the ARN or the alias of a key, as in alias/ebs: letters, digits and `: / _ -`.";
        wrong.push(("kmsKeyId", message.to_owned()));
    }
    if ebs.filesystem_type.as_deref().is_some_and(|kind| !FILE_SYSTEMS.contains(&kind)) {
        wrong.push(("filesystemType", format!("Must be one of {}.", FILE_SYSTEMS.join(", "))));
    }
    wrong
}

/// Checks the type of a volume, and the amounts that depend on it.
fn amounts(ebs: &ManagedEbsVolume, on_fargate: bool) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let name = ebs.volume_type.as_deref();
    let kind = name.map(|name| TYPES.iter().find(|kind| kind.name == name));
    if kind.is_some_and(|kind| kind.is_none()) {
        let known: Vec<_> = TYPES.iter().map(|kind| kind.name).collect();
        wrong.push(("volumeType", format!("Must be one of {}.", known.join(", "))));
    } else if on_fargate && name == Some("standard") {
        wrong.push((
            "volumeType",
            "Fargate has no standard volumes: give another type, such as gp3.".to_owned(),
        ));
    }
    let kind = kind.flatten();
    let sizes = kind.map_or(&ANY_SIZE, |kind| &kind.sizes);
    let of = kind.map_or(String::new(), |kind| format!(" for {}", kind.name));
    match ebs.size_in_gi_b {
        None if ebs.snapshot_id.is_none() => {
            wrong.push(("sizeInGiB", "Needs a size, or a snapshotId.".to_owned()));
        }
        Some(size) if !sizes.contains(&size) => {
            let message = format!("Must be from {} to {} GiB{of}.", sizes.start(), sizes.end());
            wrong.push(("sizeInGiB", message));
        }
        None | Some(_) => {}
    }
    if let Some(kind) = kind {
        wrong.extend(iops(kind, ebs.iops).map(|message| ("iops", message)));
    }
    match (ebs.throughput, name) {
        (Some(_), Some(name)) if name != "gp3" => {
            wrong.push(("throughput", format!("Only gp3 has a throughput, not {name}: remove this.")));
        }
        (Some(given), _) if !THROUGHPUT.contains(&given) => {
            let message =
                format!("Must be from {} to {} MiB a second.", THROUGHPUT.start(), THROUGHPUT.end());
            wrong.push(("throughput", message));
        }
        (None | Some(_), _) => {}
    }
    wrong
}

/// Returns what is wrong with a number of operations a second.
fn iops(kind: &VolumeType, given: Option<u32>) -> Option<String> {
    let VolumeType { name, iops, needs_iops, .. } = kind;
    match (iops, given) {
        (None, Some(_)) => {
            Some(format!("{name} takes no iops: remove this, or give volumeType gp3, io1 or io2."))
        }
        (Some(range), Some(given)) if !range.contains(&given) => {
            Some(format!("Must be from {} to {} for {name}.", range.start(), range.end()))
        }
        (Some(range), None) if *needs_iops => {
            Some(format!("{name} needs iops: from {} to {}.", range.start(), range.end()))
        }
        (None | Some(_), None | Some(_)) => None,
    }
}
