use std::collections::BTreeSet;

use ecs_scheduler_core::{MemoryStore, Registers as _};
use ecs_scheduler_testing::SimClock;

use super::*;

fn new(name: &str, expires: Option<Timestamp>) -> NewAccessToken {
    let scopes = BTreeSet::from([Scope::JobsRead]);
    NewAccessToken { name: name.to_owned(), scopes, labels: Labels::new(), expires }
}

struct Replicas {
    one: Arc<TokenRegister>,
    other: Arc<TokenRegister>,
    store: Arc<MemoryStore>,
    clock: Arc<SimClock>,
}

fn replicas() -> Replicas {
    let store = Arc::new(MemoryStore::default());
    let clock = Arc::new(SimClock::at("2026-06-01T12:00:00Z".parse().unwrap()));
    let over = || Arc::new(TokenRegister::new(Arc::clone(&store) as Arc<dyn Store>, Arc::clone(&clock) as _));
    Replicas { one: over(), other: over(), store, clock }
}

async fn is_valid(register: &Arc<TokenRegister>, text: &str) -> bool {
    matches!(register.verify(text).await.unwrap(), Verdict::Valid(_))
}

#[tokio::test(start_paused = true)]
async fn a_revoked_token_is_refused_here_at_once_and_elsewhere_within_a_second() {
    let Replicas { one, other, .. } = replicas();
    let (token, text) = one.create(new("ci", None)).await.unwrap();
    assert!(is_valid(&one, &text).await && is_valid(&other, &text).await);
    assert!(one.revoke(&token.id).await.unwrap());
    assert!(!one.revoke(&token.id).await.unwrap());
    assert!(!is_valid(&one, &text).await && !one.is_valid(&token).await);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(!is_valid(&other, &text).await && !other.is_valid(&token).await);
}

#[tokio::test(start_paused = true)]
async fn a_token_of_another_replica_is_accepted_within_a_second() {
    let Replicas { one, other, .. } = replicas();
    assert!(!is_valid(&other, "ecss_a_b").await);
    let (_, text) = one.create(new("ci", None)).await.unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(is_valid(&other, &text).await);
}

#[tokio::test(start_paused = true)]
async fn wrong_and_expired_tokens_are_refused() {
    let Replicas { one, clock, .. } = replicas();
    let expires = clock.now() + SignedDuration::from_secs(2);
    let (token, text) = one.create(new("ci", Some(expires))).await.unwrap();
    assert!(is_valid(&one, &text).await && one.is_valid(&token).await);
    for wrong in [&text[..text.len() - 1], &text.to_uppercase(), "ecss_bootstrap_x", "", &format!("{text}=")]
    {
        assert!(matches!(one.verify(wrong).await.unwrap(), Verdict::Unknown), "{wrong}");
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(matches!(one.verify(&text).await.unwrap(), Verdict::Expired(at) if at == expires));
    assert!(!one.is_valid(&token).await);
}

#[tokio::test(start_paused = true)]
async fn the_bootstrap_token_is_valid_in_its_process_only() {
    let Replicas { store, clock, other, .. } = replicas();
    let mut own = TokenRegister::new(store, clock);
    let text = own.add_bootstrap();
    let own = Arc::new(own);
    assert!(is_valid(&own, &text).await);
    assert!(!is_valid(&other, &text).await);
    assert!(own.list().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_last_use_is_written_once_an_hour() {
    let Replicas { one, other, store, .. } = replicas();
    let (token, text) = one.create(new("ci", None)).await.unwrap();
    assert_eq!(one.list().await.unwrap()[0].1, None);
    let version = async || store.get_register(USE_REGISTER).await.unwrap().map(|register| register.version);
    let mut versions = Vec::new();
    for _ in 0..3 {
        for register in [&one, &other] {
            assert!(is_valid(register, &text).await);
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(is_valid(register, &text).await);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        versions.push(version().await);
    }
    assert!(versions[0].is_some() && versions.iter().all(|version| *version == versions[0]), "{versions:?}");
    assert_eq!(one.list().await.unwrap()[0].1, Some("2026-06-01T12:00:00Z".parse().unwrap()));
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert!(is_valid(&other, &text).await);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(one.list().await.unwrap()[0].1, Some("2026-06-01T13:00:00Z".parse().unwrap()));
    // The use of a revoked token is forgotten with the next write.
    one.revoke(&token.id).await.unwrap();
    let (next, text) = one.create(new("next", None)).await.unwrap();
    assert!(is_valid(&one, &text).await);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(one.read_uses().await.unwrap().0.into_keys().collect::<Vec<_>>(), [next.id]);
}

#[tokio::test(start_paused = true)]
async fn the_register_has_a_bound_and_forgets_expired_tokens() {
    let Replicas { one, clock, .. } = replicas();
    let expires = Some(clock.now() + SignedDuration::from_secs(1));
    let mut count = 0;
    while one.create(new("n", expires)).await.is_ok() {
        count += 1;
        assert!(count < 2_000);
    }
    assert!(count > 400, "{count}");
    assert!(matches!(one.create(new("n", expires)).await, Err(TokenError::Full)));
    let first = one.list().await.unwrap()[0].0.id.clone();
    assert!(one.revoke(&first).await.unwrap(), "a full register can be emptied");
    tokio::time::sleep(Duration::from_secs(31 * 24 * 3_600)).await;
    one.create(new("n", None)).await.unwrap();
    assert_eq!(one.list().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_register_that_cannot_be_read_lets_nobody_pass() {
    let Replicas { one, store, .. } = replicas();
    store.put_register(REGISTER, "{\"tokens\": 1}", None, None).await.unwrap();
    assert!(one.verify("ecss_a_b").await.is_err());
}
