use super::*;

#[test]
fn states_have_their_api_names() {
    let names =
        ["planned", "launching", "launched", "finished", "refused", "unknown", "expired", "cancelled"];
    assert_eq!(FiringState::ALL.map(FiringState::as_str), names);
    for state in FiringState::ALL {
        assert_eq!(state.as_str().parse(), Ok(state));
    }
    let error = "ended".parse::<FiringState>().unwrap_err();
    assert!(error.starts_with("unknown state \"ended\"; one of planned, launching, "), "{error}");
}

#[test]
fn a_firing_moves_forward_only_and_never_after_its_end() {
    use FiringState::{Cancelled, Expired, Finished, Launched, Launching, Planned, Refused, Unknown};
    let next = |from: FiringState| {
        FiringState::ALL.into_iter().filter(move |to| from.can_transition_to(*to)).collect::<Vec<_>>()
    };
    assert_eq!(next(Planned), [Launching, Refused, Expired, Cancelled]);
    assert_eq!(next(Launching), [Launching, Launched, Finished, Refused, Unknown]);
    assert_eq!(next(Launched), [Launched, Finished]);
    assert_eq!(next(Unknown), [Launched, Finished, Refused]);
    for ended in [Finished, Refused, Expired, Cancelled] {
        assert!(next(ended).is_empty() && !ended.is_open(), "{ended:?}");
    }
    assert!([Planned, Launching, Launched].into_iter().all(FiringState::is_open) && !Unknown.is_open());
}

#[test]
fn ids_sort_by_the_moment_of_the_firing() {
    let uid = JobUid::derived("test", &JobId::new("job").unwrap());
    let at = |second| Timestamp::from_second(second).unwrap();
    let [first, second] = [1_800_000_000, 1_800_000_001].map(|second| FiringId::for_tick(&uid, at(second)));
    assert!(first < second && first.as_str().starts_with("01a3185c5000"), "{first}");
    assert_eq!((first.to_string().as_str(), first.as_str().len()), (first.as_str(), 32));
    assert_ne!(first, FiringId::for_manual(&uid, at(1_800_000_000), ""), "a tick is no firing by hand");
}
