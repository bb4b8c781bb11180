//! A proxy in front of an emulator that loses answers, throttles and cuts connections, by a rule.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ecs_scheduler_test_support::{HttpAnswer, HttpProxy, HttpRequest, Upstream};

/// The action of the proxy on a request.
#[derive(Debug, Clone)]
pub(crate) enum ProxyAction {
    /// Passes it on.
    Pass,
    /// Passes it on, and loses the answer.
    LoseAnswer,
    /// Passes it on, and truncates the answer.
    Truncate,
    /// Passes it on without its conditions, like a server that ignores them.
    DropConditions,
    /// Cuts the connection before the request is passed on.
    Cut,
    /// Answers with this status and error code.
    Answer(u16, &'static str),
}

/// The headers that make a request conditional.
const CONDITIONS: [&str; 2] = ["if-match", "if-none-match"];

/// A request, as a rule receives it.
#[derive(Debug)]
pub(crate) struct ProxyRequest<'a> {
    /// Its number, from 0.
    pub(crate) number: usize,
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    /// Whether it depends on a condition.
    pub(crate) conditional: bool,
}

/// A proxy that runs as long as the runtime does.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    pub(crate) address: String,
    faults: Arc<AtomicUsize>,
}

impl Proxy {
    pub(crate) async fn start(
        upstream: &'static str,
        rule: impl Fn(&ProxyRequest<'_>) -> ProxyAction + Send + Sync + 'static,
    ) -> Self {
        let (requests, faults) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&faults);
        let http = HttpProxy::start(upstream, move |request, upstream| {
            let action = rule(&ProxyRequest {
                number: requests.fetch_add(1, Ordering::SeqCst),
                method: &request.method,
                target: &request.target,
                conditional: CONDITIONS.iter().any(|name| request.header(name).is_some()),
            });
            if !matches!(action, ProxyAction::Pass) {
                counted.fetch_add(1, Ordering::SeqCst);
            }
            answer(action, request, upstream)
        })
        .await;
        Self { address: http.address(), faults }
    }

    /// Returns how many requests had a fault.
    pub(crate) fn faults(&self) -> usize {
        self.faults.load(Ordering::SeqCst)
    }
}

/// Applies an action to a request; `None` cuts the connection.
async fn answer(action: ProxyAction, mut request: HttpRequest, upstream: Upstream) -> Option<HttpAnswer> {
    match action {
        ProxyAction::Cut => return None,
        ProxyAction::Answer(status, code) => {
            let body = format!("<Error><Code>{code}</Code><Message>by the proxy</Message></Error>");
            return Some(HttpAnswer::new(status, "application/xml", body.as_bytes()));
        }
        ProxyAction::DropConditions => request.remove_headers(&CONDITIONS),
        ProxyAction::Pass | ProxyAction::LoseAnswer | ProxyAction::Truncate => {}
    }
    let mut answer = upstream.send(&request).await.ok()?;
    match action {
        ProxyAction::LoseAnswer => return None,
        ProxyAction::Truncate => answer.halve(),
        ProxyAction::Pass | ProxyAction::DropConditions | ProxyAction::Cut | ProxyAction::Answer(..) => {}
    }
    Some(answer)
}
