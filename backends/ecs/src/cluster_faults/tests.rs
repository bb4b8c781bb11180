use ecs_scheduler_backend_aws::AwsScope;

use super::ClusterFaults;

#[test]
fn fault_of_a_cluster_is_new_when_it_begins_or_changes_and_ends_once() {
    let faults = ClusterFaults::default();
    let [here, there] =
        ["eu-central-1", "eu-west-1"].map(|region| AwsScope::new(Some(region), None).unwrap());
    assert!(!faults.clear(&here, "batch"));
    assert!(faults.insert(&here, "batch", "503"));
    assert!(!faults.insert(&here, "batch", "503"));
    assert!(faults.insert(&here, "batch", "denied"));
    assert!(faults.insert(&there, "batch", "denied") && faults.insert(&here, "other", "denied"));
    assert!(faults.clear(&here, "batch"));
    assert!(!faults.clear(&here, "batch"));
    assert!(faults.insert(&here, "batch", "503"));
}
