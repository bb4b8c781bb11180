use std::collections::HashMap;

use super::*;

fn shard_of(name: &str) -> u8 {
    Shard::from_job(&JobId::new(name).unwrap()).number()
}

#[test]
fn a_jobs_shard_never_changes_across_versions() {
    let shards: Vec<u8> = ["a", "nightly", "report-1", "report-2", "Z_9"].map(shard_of).to_vec();
    assert_eq!(shards, [8, 11, 4, 2, 7]);
}

#[test]
fn jobs_spread_evenly_over_shards() {
    let names: [fn(u32) -> String; 2] = [|n| format!("job-{n}"), |n| format!("{n:05}_x")];
    for name in names {
        let mut jobs: HashMap<u8, u32> = HashMap::new();
        for number in 0..16_000 {
            *jobs.entry(shard_of(&name(number))).or_default() += 1;
        }
        assert_eq!(jobs.len(), 16);
        assert!(jobs.values().all(|jobs| (850..1_150).contains(jobs)), "{jobs:?}");
    }
}

#[test]
fn a_shard_is_written_with_two_digits() {
    let names: Vec<String> = Shard::all().map(|shard| shard.to_string()).collect();
    assert_eq!((names.len(), &*names[0], &*names[15]), (16, "00", "15"));
    assert_eq!(Shard::new(15), Shard::all().next_back());
    assert_eq!(Shard::new(16), None);
}
