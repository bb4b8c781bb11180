use std::time::Duration;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn an_endless_leash_always_holds() {
    let leash = Leash::endless();
    tokio::time::advance(SECOND * 1_000_000).await;
    assert!(leash.holds() && leash.holds_since(0));
}

#[tokio::test(start_paused = true)]
async fn a_leash_holds_as_long_as_it_is_extended() {
    let leash = Leash::lapsed();
    assert!(!leash.holds());
    leash.extend(Instant::now() + 5 * SECOND);
    let term = leash.term();
    for _ in 0..10 {
        tokio::time::advance(4 * SECOND).await;
        leash.extend(Instant::now() + 5 * SECOND);
        assert!(leash.holds_since(term));
    }
    leash.extend(Instant::now());
    assert!(leash.holds(), "an older extension shortens nothing");
    tokio::time::advance(5 * SECOND).await;
    assert!(!leash.holds());
}

#[tokio::test(start_paused = true)]
async fn what_began_before_a_lapse_has_ended_for_good() {
    let leash = Leash::lapsed();
    leash.extend(Instant::now() + 5 * SECOND);
    let term = leash.term();
    tokio::time::advance(60 * SECOND).await; // Frozen; the extension comes before anybody noticed.
    leash.extend(Instant::now() + 5 * SECOND);
    assert!(leash.holds() && !leash.holds_since(term));
    leash.lapse(term).await;
}

#[tokio::test(start_paused = true)]
async fn lapse_and_renewal_can_be_waited_for() {
    let leash = Leash::lapsed();
    leash.extend(Instant::now() + 5 * SECOND);
    let began = Instant::now();
    leash.lapse(leash.term()).await;
    assert_eq!(began.elapsed(), 5 * SECOND);
    let renewing = async {
        tokio::time::sleep(SECOND).await;
        leash.extend(Instant::now() + SECOND);
    };
    tokio::join!(leash.renewal(), renewing);
    assert!(leash.holds());
}
