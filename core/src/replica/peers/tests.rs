use super::super::records::{replica_register, shard_register};
use super::*;

const DEAD_AFTER: Duration = Duration::from_secs(6);

fn id(name: &str) -> ReplicaId {
    ReplicaId::new(name).unwrap()
}

fn beat(name: &str, incarnation: &str, version: u64) -> (String, Register) {
    let beat = Beat {
        id: id(name),
        incarnation: incarnation.to_owned(),
        address: format!("http://{name}"),
        started: jiff::Timestamp::UNIX_EPOCH,
        leaving: false,
        beat: version,
    };
    (replica_register(&beat.id), Register { value: serde_json::to_string(&beat).unwrap(), version })
}

fn ownership(number: u8, owner: Option<(&str, &str)>, version: u64) -> (String, Register) {
    let owner = owner.map(|(name, incarnation)| Holder { id: id(name), incarnation: incarnation.to_owned() });
    let value = serde_json::to_string(&ShardOwnership { owner }).unwrap();
    (shard_register(Shard::new(number).unwrap()), Register { value, version })
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn lives(peers: &Peers, name: &str) -> bool {
    peers.lives(peers.member(&id(name)).unwrap(), DEAD_AFTER)
}

#[test]
fn a_replica_is_dead_when_its_heartbeat_stays_unchanged() {
    let (mut peers, zero) = (Peers::default(), Instant::now());
    peers.apply_snapshot(&[beat("a", "1", 1), beat("b", "1", 9)], zero, zero);
    for second in 1..=5 {
        let now = zero + seconds(second);
        peers.apply_snapshot(&[beat("a", "1", 1), beat("b", "1", 9 + second)], now, now);
        assert!(lives(&peers, "a") && lives(&peers, "b"));
    }
    let now = zero + seconds(6);
    peers.apply_snapshot(&[beat("a", "1", 1), beat("b", "1", 15)], now, now);
    assert!(!lives(&peers, "a") && lives(&peers, "b"));
    peers.apply_snapshot(&[beat("a", "1", 2), beat("b", "1", 15)], now, now);
    assert!(lives(&peers, "a"), "it was only slow");
}

#[test]
fn a_slow_read_declares_no_replica_dead() {
    let (mut peers, zero) = (Peers::default(), Instant::now());
    peers.apply_snapshot(&[beat("a", "1", 1)], zero, zero + seconds(4));
    peers.apply_snapshot(&[beat("a", "1", 1)], zero + seconds(4), zero + seconds(20));
    assert!(lives(&peers, "a"), "the second read may have seen the register at its very beginning");
    peers.apply_snapshot(&[beat("a", "1", 1)], zero + seconds(10), zero + seconds(10));
    assert!(!lives(&peers, "a"));
}

#[test]
fn a_shard_is_owned_by_the_incarnation_that_took_it() {
    let (mut peers, zero) = (Peers::default(), Instant::now());
    let ownerships =
        [ownership(0, Some(("a", "1")), 4), ownership(1, None, 2), ownership(2, Some(("gone", "1")), 7)];
    let registers = [vec![beat("a", "1", 1)], ownerships.to_vec()].concat();
    peers.apply_snapshot(&registers, zero, zero);
    let owner = |peers: &Peers, number| {
        let (version, owner) = peers.owner(Shard::new(number).unwrap(), DEAD_AFTER);
        (version, owner.map(|owner| owner.id.to_string()))
    };
    assert_eq!(owner(&peers, 0), (Some(4), Some("a".to_owned())));
    assert_eq!(owner(&peers, 1), (Some(2), None));
    assert_eq!(owner(&peers, 2), (Some(7), None));
    assert_eq!(owner(&peers, 3), (None, None));
    let registers = [vec![beat("a", "2", 2)], ownerships.to_vec()].concat();
    peers.apply_snapshot(&registers, zero, zero);
    assert_eq!(owner(&peers, 0), (Some(4), None), "it was restarted");
}

#[test]
fn registers_of_a_newer_version_are_ignored() {
    let (mut peers, zero) = (Peers::default(), Instant::now());
    let unknown = |name: &str| (name.to_owned(), Register { value: "?".to_owned(), version: 3 });
    peers.apply_snapshot(
        &[unknown("fleet/moon"), unknown("fleet/shard/77"), unknown("fleet/shard/05")],
        zero,
        zero,
    );
    assert_eq!(peers.members().count(), 0);
    assert_eq!(peers.owner(Shard::new(5).unwrap(), DEAD_AFTER), (Some(3), None));
}
