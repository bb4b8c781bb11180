//! A proxy in front of an emulator: it checks requests as strictly as DynamoDB, and injects faults by a seed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ecs_scheduler_test_support::{HttpAnswer, HttpProxy, HttpRequest, Upstream};
use ecs_scheduler_testing::SimRng;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::emulator::EmulatorKind;

/// The probability of each fault.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FaultRates {
    /// The call takes effect, and the connection is cut before the answer.
    pub(crate) lost: f64,
    /// The connection is cut before the call.
    pub(crate) cut: f64,
    /// The call is throttled, or half of a batch is not processed.
    pub(crate) throttled: f64,
    /// A transaction conflicts with another one.
    pub(crate) conflict: f64,
    /// The creation of tables is denied.
    pub(crate) closed: bool,
}

/// The number of injected faults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct InjectedFaults {
    pub(crate) calls: u64,
    pub(crate) lost: u64,
    pub(crate) cut: u64,
    pub(crate) throttled: u64,
    pub(crate) conflict: u64,
}

/// A proxy in front of an emulator.
pub(crate) struct Proxy {
    pub(crate) url: String,
    http: HttpProxy,
    state: Arc<ProxyState>,
}

struct ProxyState {
    /// Serialises the requests to an emulator that does not isolate them.
    request_lock: Option<tokio::sync::Mutex<()>>,
    rng: Mutex<SimRng>,
    rates: Mutex<FaultRates>,
    injected: Mutex<InjectedFaults>,
    /// The body of the first request with each token.
    tokens: Mutex<HashMap<String, Value>>,
    complaints: Mutex<Vec<String>>,
    operations: Mutex<BTreeMap<String, u64>>,
}

impl Proxy {
    pub(crate) async fn start(kind: EmulatorKind, rates: FaultRates, seed: u64) -> Self {
        let state = Arc::new(ProxyState {
            request_lock: (kind == EmulatorKind::Moto).then(tokio::sync::Mutex::default),
            rng: Mutex::new(SimRng::new(seed)),
            rates: Mutex::new(rates),
            injected: Mutex::default(),
            tokens: Mutex::default(),
            complaints: Mutex::default(),
            operations: Mutex::default(),
        });
        let answering = Arc::clone(&state);
        let address = kind.running().await.url.trim_start_matches("http://");
        let http = HttpProxy::start(address, move |request, upstream| {
            let state = Arc::clone(&answering);
            async move { state.answer(request, &upstream).await }
        })
        .await;
        Self { url: format!("http://{}", http.address()), http, state }
    }

    /// Breaks every connection and refuses new ones, or lets them through again.
    pub(crate) fn cut(&self, cut: bool) {
        self.http.cut(cut);
    }

    /// Sets the probabilities of the faults.
    pub(crate) fn set_rates(&self, rates: FaultRates) {
        *self.state.rates.lock() = rates;
    }

    pub(crate) fn injected_faults(&self) -> InjectedFaults {
        *self.state.injected.lock()
    }

    /// Returns the operations that were called.
    pub(crate) fn operations(&self) -> Vec<String> {
        self.state.operations.lock().keys().cloned().collect()
    }

    /// Counts the calls of one operation.
    pub(crate) fn calls(&self, operation: &str) -> u64 {
        self.state.operations.lock().get(operation).copied().unwrap_or_default()
    }

    /// Asserts that DynamoDB would accept every request, and that each was safe to repeat.
    pub(crate) fn assert_strict(&self) {
        let complaints = self.state.complaints.lock();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}

/// Returns an answer in the format of DynamoDB.
fn answer(status: u16, body: &Value) -> HttpAnswer {
    HttpAnswer::new(status, "application/x-amz-json-1.0", body.to_string().as_bytes())
}

/// Returns an error in the format of DynamoDB.
fn failure(code: &str, more: Value) -> HttpAnswer {
    let mut body =
        json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "injected"});
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    answer(400, &body)
}

impl ProxyState {
    /// Answers a request; `None` cuts the connection.
    async fn answer(&self, request: HttpRequest, upstream: &Upstream) -> Option<HttpAnswer> {
        let operation = request.header("x-amz-target")?.rsplit('.').next()?.to_owned();
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        self.check_request(&operation, &body);
        *self.operations.lock().entry(operation.clone()).or_default() += 1;
        let rates = *self.rates.lock();
        if rates.closed && operation == "CreateTable" {
            return Some(failure("AccessDeniedException", json!({"message": "not authorized"})));
        }
        let chance = |probability| self.rng.lock().chance(probability);
        self.injected.lock().calls += 1;
        if chance(rates.cut) {
            self.injected.lock().cut += 1;
            return None;
        }
        if operation == "TransactWriteItems" && chance(rates.conflict) {
            self.injected.lock().conflict += 1;
            return Some(conflict(&body));
        }
        if chance(rates.throttled) {
            self.injected.lock().throttled += 1;
            if operation == "BatchGetItem" {
                return Some(self.answer_half(request, body, upstream).await);
            }
            let code =
                if chance(0.5) { "ProvisionedThroughputExceededException" } else { "ThrottlingException" };
            return Some(failure(code, json!({})));
        }
        let answer = self.send(&request, upstream).await;
        if chance(rates.lost) {
            self.injected.lock().lost += 1;
            return None;
        }
        Some(answer)
    }

    async fn send(&self, request: &HttpRequest, upstream: &Upstream) -> HttpAnswer {
        let _locked = match &self.request_lock {
            None => None,
            Some(request_lock) => Some(request_lock.lock().await),
        };
        upstream.send(request).await.unwrap()
    }

    /// Passes on half of a batch, and returns the other half as unprocessed.
    async fn answer_half(
        &self,
        mut request: HttpRequest,
        mut body: Value,
        upstream: &Upstream,
    ) -> HttpAnswer {
        let mut rest = serde_json::Map::new();
        let asked = body["RequestItems"].as_object_mut().unwrap();
        for (table, asked) in asked.iter_mut() {
            let keys = asked["Keys"].as_array_mut().unwrap();
            let left = keys.split_off(keys.len().div_ceil(2));
            if !left.is_empty() {
                let mut left_over = asked.clone();
                left_over["Keys"] = left.into();
                rest.insert(table.clone(), left_over);
            }
        }
        request.body = body.to_string().into_bytes();
        let sent = self.send(&request, upstream).await;
        let mut half: Value = serde_json::from_slice(sent.body()).unwrap();
        half["UnprocessedKeys"] = rest.into();
        answer(sent.status().unwrap(), &half)
    }

    /// Checks for requests that DynamoDB refuses and emulators may accept, and for requests that are not safe to repeat.
    fn check_request(&self, operation: &str, body: &Value) {
        let mut complaints = Vec::new();
        match operation {
            "TransactWriteItems" => {
                let actions = body["TransactItems"].as_array().map_or(0, Vec::len);
                if !(1..=100).contains(&actions) {
                    complaints.push(format!("a transaction of {actions} actions"));
                }
                match body["ClientRequestToken"].as_str() {
                    None => complaints.push("a transaction without a token".to_owned()),
                    Some(token) => {
                        let mut tokens = self.tokens.lock();
                        if tokens.entry(token.to_owned()).or_insert_with(|| body.clone()) != body {
                            complaints.push("one token for two transactions".to_owned());
                        }
                    }
                }
            }
            "BatchGetItem" => {
                let tables = body["RequestItems"].as_object().unwrap();
                let keys: usize =
                    tables.values().map(|asked| asked["Keys"].as_array().map_or(0, Vec::len)).sum();
                if !(1..=100).contains(&keys) {
                    complaints.push(format!("a batch of {keys} keys"));
                }
                if tables.values().any(|asked| asked["ConsistentRead"] != json!(true)) {
                    complaints.push("a batch that may be stale".to_owned());
                }
            }
            "Query" if (body.get("IndexName").is_some()) == (body["ConsistentRead"] == json!(true)) => {
                complaints.push(format!(
                    "a query of a table that may be stale, or of an index that may not: {body}"
                ));
            }
            "Scan" if body["ConsistentRead"] != json!(true) => {
                complaints.push("a scan that may be stale".to_owned())
            }
            "PutItem" => complaints.push("a write that cannot be repeated".to_owned()),
            _ => {}
        }
        self.complaints.lock().extend(complaints);
    }
}

/// Returns the error that the last item of a transaction is part of another one.
fn conflict(body: &Value) -> HttpAnswer {
    let count = body["TransactItems"].as_array().map_or(1, Vec::len);
    let mut reasons = vec![json!({"Code": "None"}); count];
    reasons[count - 1] =
        json!({"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"});
    failure("TransactionCanceledException", json!({"CancellationReasons": reasons}))
}
