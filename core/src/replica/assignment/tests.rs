use proptest::prelude::*;

use super::*;

/// The owner of each shard.
type Owners = Vec<Option<usize>>;

fn id(number: usize) -> ReplicaId {
    ReplicaId::new(&format!("replica-{number:02}")).unwrap()
}

/// Lets one replica reconcile; returns whether it moved a shard.
fn step(owners: &mut Owners, live: &[usize], me: usize) -> bool {
    let owned = |replica: usize| owners.iter().filter(|owner| **owner == Some(replica)).count();
    let of = |owner: Option<usize>| {
        Shard::all()
            .zip(owners.iter())
            .filter(|(_, o)| **o == owner)
            .map(|(shard, _)| shard)
            .collect::<Vec<_>>()
    };
    let name = id(me);
    let mut free = of(None);
    free.extend(
        Shard::all()
            .zip(owners.iter())
            .filter(|(_, o)| o.is_some_and(|o| !live.contains(&o)))
            .map(|(s, _)| s),
    );
    free.sort();
    let view = ClusterView {
        me: &name,
        live: live.iter().map(|replica| (id(*replica), owned(*replica))).collect(),
        free,
        mine: of(Some(me)),
    };
    let plan = rebalance(&view);
    assert!(plan.acquire.is_empty() || plan.hand_over.is_empty());
    for shard in &plan.acquire {
        owners[usize::from(shard.number())] = Some(me);
    }
    for shard in &plan.hand_over {
        owners[usize::from(shard.number())] = None;
    }
    !(plan.acquire.is_empty() && plan.hand_over.is_empty())
}

fn counts(owners: &Owners, live: &[usize]) -> Vec<usize> {
    live.iter().map(|replica| owners.iter().filter(|owner| **owner == Some(*replica)).count()).collect()
}

/// Lets all replicas reconcile, in this order, until nothing changes; returns how many shards moved.
fn settle(owners: &mut Owners, live: &[usize]) -> usize {
    let before = owners.clone();
    let mut rounds = 0;
    loop {
        let mut acted = false;
        for replica in live {
            acted |= step(owners, live, *replica);
        }
        rounds += 1;
        assert!(rounds < 20, "it never converges: {owners:?}");
        if !acted {
            return before.iter().zip(owners.iter()).filter(|(a, b)| a != b).count();
        }
    }
}

#[test]
fn a_single_replica_takes_every_shard() {
    let mut owners = vec![None; 16];
    assert_eq!(settle(&mut owners, &[3]), 16);
    assert_eq!(counts(&owners, &[3]), [16]);
}

#[test]
fn a_new_replica_gets_its_share_with_the_fewest_moves() {
    let mut owners = vec![Some(1); 16];
    assert_eq!(settle(&mut owners, &[1, 2]), 8);
    assert_eq!(counts(&owners, &[1, 2]), [8, 8]);
    assert_eq!(settle(&mut owners, &[1, 2, 3]), 5);
    assert_eq!(counts(&owners, &[1, 2, 3]), [6, 5, 5]);
    assert_eq!(settle(&mut owners, &[1, 3]), 5);
    assert_eq!(counts(&owners, &[1, 3]), [8, 8]);
}

#[test]
fn a_replica_that_is_not_live_does_nothing() {
    let name = id(1);
    let view =
        ClusterView { me: &name, live: BTreeMap::new(), free: Shard::all().collect(), mine: Vec::new() };
    assert_eq!(rebalance(&view), Rebalance::default());
}

proptest! {
    #[test]
    fn shares_become_even_from_any_state_and_stay_even(
        owners in prop::collection::vec(prop::option::of(0_usize..6), 16),
        mut live in prop::collection::btree_set(0_usize..6, 1..6).prop_map(|live| live.into_iter().collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut owners = owners;
        settle(&mut owners, &live);
        let shares = counts(&owners, &live);
        let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
        prop_assert_eq!(shares.iter().sum::<usize>(), 16);
        prop_assert!(most - least <= 1, "{:?}", shares);
        live.reverse();
        prop_assert_eq!(settle(&mut owners, &live), 0);
    }

    #[test]
    fn the_fewest_possible_shards_move(owners in prop::collection::vec(0_usize..4, 16), replicas in 4_usize..7) {
        let live: Vec<usize> = (0..replicas).collect();
        let mut after: Owners = owners.iter().copied().map(Some).collect();
        let most = 16_usize.div_ceil(replicas);
        let surplus: usize = counts(&after, &live).iter().map(|owned| owned.saturating_sub(most)).sum();
        let lacking: usize = counts(&after, &live).iter().map(|owned| (16 / replicas).saturating_sub(*owned)).sum();
        prop_assert_eq!(settle(&mut after, &live), surplus.max(lacking));
    }
}
