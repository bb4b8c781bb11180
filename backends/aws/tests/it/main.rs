//! Calls over real sockets: responses, lost responses, and connections that are never established.

mod assumed_roles;
mod idle_connections;

use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_backend_aws::{AwsContext, AwsScope, AwsSettings, Fault, Timeouts};
use ecs_scheduler_core::{FaultKind, SystemClock, fault::chain};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// The behaviour of a server on a request.
#[derive(Clone, Copy)]
enum Answer {
    /// Responds with this status and error code.
    Error(u16, &'static str),
    /// Reads the request and closes the connection.
    Closes,
    /// Reads the request and never responds.
    Silent,
}

async fn serve(answer: Answer) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = vec![0; 64 * 1024];
                let _ = socket.read(&mut request).await;
                match answer {
                    Answer::Error(status, code) => {
                        let body = format!(
                            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>words of AWS</Message>\
                             </Error></ErrorResponse>"
                        );
                        let head = format!(
                            "HTTP/1.1 {status} No\r\ncontent-type: text/xml\r\ncontent-length: {}\r\n\r\n",
                            body.len()
                        );
                        let _ = socket.write_all(format!("{head}{body}").as_bytes()).await;
                    }
                    Answer::Closes => {}
                    Answer::Silent => std::future::pending().await,
                }
            });
        }
    });
    url
}

fn aws(endpoint: String) -> AwsContext {
    AwsContext::new(AwsSettings {
        region: Some("eu-central-1".to_owned()),
        credentials: Some(("AKID".to_owned(), "secret".to_owned())),
        endpoint: Some(endpoint),
        timeouts: Timeouts {
            connect: Duration::from_millis(500),
            attempt: Duration::from_millis(200),
            operation: Duration::from_millis(5_000),
        },
        ..AwsSettings::new(Arc::new(SystemClock))
    })
}

async fn ask(aws: &AwsContext) -> Fault {
    let config = aws.config(&AwsScope::default()).await.expect("everything is given");
    let sts = aws_sdk_sts::config::Builder::from(&config).interceptor(aws.metering()).build();
    let answer = aws_sdk_sts::Client::from_conf(sts).get_caller_identity().send().await;
    Fault::from_sdk(answer.expect_err("the server never answers well"), "could not ask who this is")
}

#[tokio::test]
async fn failed_connection_had_no_effect() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    drop(listener);
    let fault = ask(&aws(url)).await;
    assert_eq!(fault.kind(), FaultKind::Unavailable);
    assert!(!fault.outcome_unknown());
    assert!(fault.to_string().contains("no connection"), "{}", chain(&fault));
    assert!(chain(&fault).contains("refused"), "{}", chain(&fault));
}

#[tokio::test]
async fn failed_resolution_and_handshake_are_transient() {
    let plain = serve(Answer::Closes).await.replace("http:", "https:");
    for url in ["http://nowhere.invalid".to_owned(), plain] {
        let fault = ask(&aws(url.clone())).await;
        assert_eq!(fault.kind(), FaultKind::Unavailable, "{url}: {}", chain(&fault));
    }
}

#[tokio::test]
async fn lost_response_may_have_had_an_effect() {
    for answer in [Answer::Closes, Answer::Silent] {
        let fault = ask(&aws(serve(answer).await)).await;
        assert_eq!(fault.kind(), FaultKind::Unavailable);
        assert!(fault.outcome_unknown(), "{}", chain(&fault));
    }
}

#[tokio::test]
async fn service_message_is_in_the_error_chain() {
    let fault = ask(&aws(serve(Answer::Error(403, "AccessDenied")).await)).await;
    assert_eq!((fault.kind(), fault.code()), (FaultKind::Denied, Some("AccessDenied")));
    assert!(!fault.outcome_unknown());
    assert!(chain(&fault).ends_with("AccessDenied: words of AWS"), "{}", chain(&fault));
}

#[tokio::test]
async fn every_attempt_is_counted_with_throttles_apart() {
    let throttled = aws(serve(Answer::Error(400, "Throttling")).await);
    assert_eq!(ask(&throttled).await.kind(), FaultKind::Throttled);
    let report = throttled.meter().report();
    let all = &report.operations[0];
    assert_eq!((all.service.as_str(), all.operation.as_str()), ("STS", "GetCallerIdentity"));
    assert_eq!((all.calls, all.throttles, all.failures), (3, 3, 0));

    let broken = aws(serve(Answer::Error(500, "InternalFailure")).await);
    assert!(ask(&broken).await.outcome_unknown());
    let report = broken.meter().report();
    let all = &report.operations[0];
    assert_eq!((all.calls, all.throttles, all.failures), (3, 0, 3));
}
