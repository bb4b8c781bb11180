//! Idle connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ecs_scheduler_backend_aws::{AwsContext, AwsSettings};
use ecs_scheduler_core::SystemClock;
use ecs_scheduler_fake_aws::{Fake, FakeOptions};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

/// Starts a proxy in front of a fake that counts connections.
async fn counted(fake: &Fake) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let target = fake.url().trim_start_matches("http://").to_owned();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    drop(tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::Relaxed);
            let target = target.clone();
            drop(tokio::spawn(async move {
                let mut server = TcpStream::connect(target).await?;
                copy_bidirectional(&mut client, &mut server).await
            }));
        }
    }));
    (url, count)
}

#[tokio::test]
async fn idle_connection_is_not_reused_after_a_minute() {
    let fake = Fake::start(FakeOptions::default()).await.expect("a port is free");
    let (url, connections) = counted(&fake).await;
    let aws = AwsContext::new(AwsSettings {
        region: Some("eu-central-1".to_owned()),
        credentials: Some(("AKIDEXAMPLE".to_owned(), "secret".to_owned())),
        endpoint: Some(url),
        ..AwsSettings::new(Arc::new(SystemClock))
    });
    for _ in 0..2 {
        aws.caller_arn().await.expect("the fake answers");
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1, "a connection is used again at once");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(55)).await;
    tokio::time::resume();
    aws.caller_arn().await.expect("the fake answers");
    assert_eq!(connections.load(Ordering::Relaxed), 2, "a firewall may have forgotten it");
}
