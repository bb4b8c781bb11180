use std::time::Duration;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn endless_lease_always_holds() {
    let lease = Lease::endless();
    tokio::time::advance(SECOND * 1_000_000).await;
    assert!(lease.holds() && lease.holds_since(0));
}

#[tokio::test(start_paused = true)]
async fn renewed_lease_holds() {
    let lease = Lease::expired();
    assert!(!lease.holds());
    lease.renew(Instant::now() + 5 * SECOND);
    let term = lease.term();
    for _ in 0..10 {
        tokio::time::advance(4 * SECOND).await;
        lease.renew(Instant::now() + 5 * SECOND);
        assert!(lease.holds_since(term));
    }
    lease.renew(Instant::now());
    assert!(lease.holds(), "an older renewal does not shorten it");
    tokio::time::advance(5 * SECOND).await;
    assert!(!lease.holds());
}

#[tokio::test(start_paused = true)]
async fn term_that_expired_does_not_hold_after_a_renewal() {
    let lease = Lease::expired();
    lease.renew(Instant::now() + 5 * SECOND);
    let term = lease.term();
    tokio::time::advance(60 * SECOND).await; // The process was frozen and renews before it has seen the expiry.
    lease.renew(Instant::now() + 5 * SECOND);
    assert!(lease.holds() && !lease.holds_since(term));
    lease.expiry(term).await;
}

#[tokio::test(start_paused = true)]
async fn expiry_and_renewal_wake_waiters() {
    let lease = Lease::expired();
    lease.renew(Instant::now() + 5 * SECOND);
    let began = Instant::now();
    lease.expiry(lease.term()).await;
    assert_eq!(began.elapsed(), 5 * SECOND);
    let renewing = async {
        tokio::time::sleep(SECOND).await;
        lease.renew(Instant::now() + SECOND);
    };
    tokio::join!(lease.renewal(), renewing);
    assert!(lease.holds());
}
