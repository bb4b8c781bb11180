//! Refused calls, and their error messages.

use ecs_scheduler_backend_dynamodb::{DynamoDbOptions, DynamoDbStore, diagnose, permissions};
use ecs_scheduler_core::{
    DecisionId, DecisionQuery, FaultKind, FiringState, JobStore as _, Journal as _, Permission, Settled,
    Settlement, StoreError, StoreMaintenance as _, TickOutcome,
};
use ecs_scheduler_fake_aws::{Fake, FakeOptions};
use serde_json::json;

use crate::emulator::EmulatorKind;
use crate::help::{TestTables, advance_of, aws, draft, firing, new_job, random_text, settlement};
use crate::proxy::{FaultRates, Proxy};

fn message<T: std::fmt::Debug>(result: Result<T, StoreError>, expected: FaultKind) -> String {
    let error = result.expect_err("it is refused");
    assert!(matches!(&error, StoreError::Fault { kind, .. } if *kind == expected), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn a_missing_table_that_may_not_be_created_is_named_with_the_permission() {
    let tables = TestTables::on(EmulatorKind::Ministack);
    let proxy =
        Proxy::start(EmulatorKind::Ministack, FaultRates { closed: true, ..FaultRates::default() }, 1).await;
    let options = DynamoDbOptions::new(tables.table.as_str());
    let said = message(DynamoDbStore::open(&aws(&proxy.url), options).await, FaultKind::Denied);
    assert!(said.contains(&tables.table) && said.contains("allow dynamodb:CreateTable"), "{said}");
}

#[tokio::test]
async fn a_table_with_another_key_is_refused() {
    let tables = TestTables::on(EmulatorKind::Ministack);
    let table = json!({
        "KeySchema": [{"AttributeName": "id"}],
        "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
    });
    tables.create_as_recorded(&table).await;
    let said = message(
        tables.try_open(std::sync::Arc::new(ecs_scheduler_core::SystemClock)).await,
        FaultKind::Config,
    );
    assert!(said.contains("has the key [\"id\"]") && said.contains("ECSS_DYNAMODB_TABLE"), "{said}");
}

#[tokio::test]
async fn examine_creates_no_tables() {
    let tables = TestTables::on(EmulatorKind::Ministack);
    let url = &EmulatorKind::Ministack.running().await.url;
    let options = DynamoDbOptions::new(tables.table.as_str());
    for missing in [true, false] {
        let seen = diagnose(&aws(url), &options).await;
        assert!(seen.len() == 2 && seen.iter().all(|look| look.problem.is_none()), "{seen:?}");
        assert!(seen.iter().all(|look| look.what.contains("missing") == missing), "{seen:?}");
        if missing {
            drop(tables.store().await);
        }
    }
    let other = DynamoDbOptions::new(format!("{}-journal", tables.table));
    let seen = diagnose(&aws(url), &other).await;
    assert!(seen[0].problem.as_ref().is_some_and(|problem| problem.contains("has the key")), "{seen:?}");
}

#[tokio::test]
async fn a_table_of_a_newer_layout_is_refused() {
    let tables = TestTables::on(EmulatorKind::Ministack);
    drop(tables.store().await);
    tables.write_layout(99).await;
    let said = message(
        tables.try_open(std::sync::Arc::new(ecs_scheduler_core::SystemClock)).await,
        FaultKind::Config,
    );
    assert!(said.contains("layout 99") && said.contains("use the newer version"), "{said}");
}

#[tokio::test]
async fn a_damaged_item_is_named() {
    let tables = TestTables::on(EmulatorKind::Ministack);
    let store = tables.store().await;
    let job = store.create(new_job("nightly", "{}")).await.unwrap();
    tables.damage_job_meta("nightly").await;
    let said = message(store.get(std::slice::from_ref(&job.id)).await, FaultKind::Config);
    assert!(said.contains("job#nightly") && said.contains("\"uid\"") && said.contains("backup"), "{said}");
}

#[tokio::test]
async fn a_firing_that_is_too_large_is_refused_without_a_change() {
    let tables = TestTables::on(EmulatorKind::Ministack);
    let store = tables.store().await;
    let job = store.create(new_job("nightly", "{}")).await.unwrap();
    let mut firing = firing(&job, 1);
    let settlement =
        Settlement { firing: Some(firing.clone()), ..settlement(&job, vec![draft(TickOutcome::Pending, 1)]) };
    let settled = store.settle(vec![settlement]).await.unwrap();
    let [Settled::Recorded(ids)] = &settled[..] else { panic!("{settled:?}") };
    firing.decision = DecisionId(ids[0].0);
    let launching = advance_of(&firing, FiringState::Launching, 0);
    store.advance(launching.clone()).await.unwrap();
    let mut large = advance_of(&launching.to, FiringState::Launched, 1);
    large.to.note = Some(random_text(7_000_000));
    let said = message(store.advance(large).await, FaultKind::Config);
    assert!(said.contains("at most 350 KB") && said.contains("number of tasks"), "{said}");
    assert_eq!(store.open_firings().await.unwrap(), [launching.to]);
}

#[tokio::test]
async fn permanent_throttling_is_reported() {
    let tables = TestTables::on(EmulatorKind::Ministack);
    let proxy = Proxy::start(EmulatorKind::Ministack, FaultRates::default(), 1).await;
    let options = DynamoDbOptions::new(tables.table.as_str());
    let store = DynamoDbStore::open(&aws(&proxy.url), options).await.unwrap();
    proxy.set_rates(FaultRates { throttled: 1.0, ..FaultRates::default() });
    message(store.health_check().await, FaultKind::Throttled);
    proxy.set_rates(FaultRates::default());
    store.health_check().await.unwrap();
}

#[tokio::test]
async fn the_listed_permissions_are_sufficient() {
    let fake = Fake::start(FakeOptions::default()).await.unwrap();
    let allow = |permission: Permission| json!({"Effect": "Allow", "Action": permission.action, "Resource": permission.resource});
    let statements: Vec<_> = permissions("jobs").into_iter().map(allow).collect();
    fake.configure(|settings| settings.permissions.policy = Some(json!({ "Statement": statements })));
    let store = DynamoDbStore::open(&aws(&fake.url()), DynamoDbOptions::new("jobs")).await.unwrap();
    let job = store.create(new_job("nightly", "{}")).await.unwrap();
    store.settle(vec![settlement(&job, vec![draft(TickOutcome::Idle, 1)])]).await.unwrap();
    assert_eq!(store.decisions(&DecisionQuery::default()).await.unwrap().len(), 1);
    store.remove(&job.id, None).await.unwrap();
    store.health_check().await.unwrap();
    let others = DynamoDbOptions::new("others");
    let said = message(DynamoDbStore::open(&aws(&fake.url()), others).await, FaultKind::Denied);
    assert!(said.contains("\"others\""), "{said}");
}

#[tokio::test]
async fn every_call_is_in_the_listed_permissions() {
    let tables = TestTables::on(EmulatorKind::Ministack);
    let proxy = Proxy::start(EmulatorKind::Ministack, FaultRates::default(), 1).await;
    let store =
        DynamoDbStore::open(&aws(&proxy.url), DynamoDbOptions::new(tables.table.as_str())).await.unwrap();
    store.create(new_job("nightly", "{}")).await.unwrap();
    store.health_check().await.unwrap();
    let permitted: Vec<String> =
        permissions(&tables.table).into_iter().map(|permission| permission.action).collect();
    for operation in proxy.operations() {
        // A transaction needs the permissions of its actions only.
        let is_permitted =
            operation == "TransactWriteItems" || permitted.contains(&format!("dynamodb:{operation}"));
        assert!(is_permitted, "{operation} is not among {permitted:?}");
    }
}
