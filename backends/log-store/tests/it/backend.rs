//! A log and documents in memory, with faults.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use ecs_scheduler_backend_log_store::{
    CreateResult, Document, DocumentVersion, Documents, LogStore, LogStoreOptions, ObjectLog,
};
use ecs_scheduler_core::{FaultKind, JobId, Store, StoreError};
use ecs_scheduler_testing::store_suite::StoreFixture;
use parking_lot::Mutex;
use serde_json::value::RawValue;

/// The fault of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The call fails, and may be retried.
    Fail,
    /// The call takes effect, and its answer is lost.
    LoseAnswer,
    /// This call and all later ones have no effect.
    StopBefore,
    /// This call takes effect, and all later ones do not.
    StopAfter,
}

/// The log and the documents of a store; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryBackend(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
pub(crate) struct Inner {
    pub(crate) objects: BTreeMap<String, Vec<u8>>,
    documents: BTreeMap<JobId, (String, u64)>,
    versions: u64,
    pub(crate) reads: u64,
    pub(crate) calls: u64,
    planned_fault: Option<(u64, Fault)>,
    stopped: bool,
}

impl MemoryBackend {
    /// Injects a fault at the call with this number, from 1.
    pub(crate) fn inject_at(&self, call: u64, fault: Fault) {
        self.0.lock().planned_fault = Some((call, fault));
    }

    /// Removes all faults.
    pub(crate) fn clear_faults(&self) {
        let mut inner = self.0.lock();
        (inner.planned_fault, inner.stopped) = (None, false);
    }

    pub(crate) fn inner(&self) -> parking_lot::MutexGuard<'_, Inner> {
        self.0.lock()
    }

    /// Writes a document as another program.
    pub(crate) fn put(&self, id: &str, text: &str) {
        let mut inner = self.0.lock();
        inner.versions += 1;
        let version = inner.versions;
        inner.documents.insert(JobId::new(id).unwrap(), (text.to_owned(), version));
    }

    /// Returns each document with its name and its version.
    pub(crate) fn documents(&self) -> Vec<(JobId, String, u64)> {
        let inner = self.0.lock();
        let documents = inner.documents.iter();
        documents.map(|(id, (text, version))| (id.clone(), text.clone(), *version)).collect()
    }

    /// Puts a document back that had this version.
    pub(crate) fn restore(&self, id: &str, text: &str, version: u64) {
        let mut inner = self.0.lock();
        inner.versions = inner.versions.max(version);
        inner.documents.insert(JobId::new(id).unwrap(), (text.to_owned(), version));
    }

    /// Removes a document as another program.
    pub(crate) fn delete(&self, id: &str) {
        self.0.lock().documents.remove(&JobId::new(id).unwrap());
    }

    pub(crate) fn document(&self, id: &str) -> Option<String> {
        self.0.lock().documents.get(&JobId::new(id).unwrap()).map(|(text, _)| text.clone())
    }

    pub(crate) async fn open_with(&self, options: LogStoreOptions) -> Result<LogStore, StoreError> {
        LogStore::open("segments", "memory", Arc::new(self.clone()), Arc::new(self.clone()), options).await
    }

    /// Opens a store that takes snapshots often.
    pub(crate) async fn try_open(&self) -> Result<LogStore, StoreError> {
        let snapshot_every = NonZeroUsize::new(3).unwrap();
        self.open_with(LogStoreOptions { snapshot_every, ..LogStoreOptions::default() }).await
    }

    fn call<T>(&self, effect: impl FnOnce(&mut Inner) -> T) -> Result<T, StoreError> {
        let mut inner = self.0.lock();
        inner.calls += 1;
        let stopped = || StoreError::fault(FaultKind::Denied, "the backend is stopped");
        if inner.stopped {
            return Err(stopped());
        }
        let fault = inner.planned_fault.filter(|(call, _)| *call == inner.calls).map(|(_, fault)| fault);
        let unavailable = || StoreError::fault(FaultKind::Unavailable, "the backend does not answer");
        match fault {
            None => Ok(effect(&mut inner)),
            Some(Fault::Fail) => Err(unavailable()),
            Some(Fault::LoseAnswer) => {
                effect(&mut inner);
                Err(unavailable())
            }
            Some(Fault::StopBefore) => {
                inner.stopped = true;
                Err(stopped())
            }
            Some(Fault::StopAfter) => {
                effect(&mut inner);
                inner.stopped = true;
                Err(stopped())
            }
        }
    }
}

#[async_trait]
impl StoreFixture for MemoryBackend {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.try_open().await.expect("the store opens"))
    }
}

#[async_trait]
impl ObjectLog for MemoryBackend {
    async fn create(&self, name: &str, bytes: Vec<u8>) -> Result<CreateResult, StoreError> {
        tokio::task::yield_now().await;
        self.call(|inner| {
            if inner.objects.contains_key(name) {
                return CreateResult::Exists;
            }
            inner.objects.insert(name.to_owned(), bytes);
            CreateResult::Created
        })
    }

    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.call(|inner| inner.objects.get(name).cloned())
    }

    async fn names(&self, after: &str) -> Result<Vec<String>, StoreError> {
        self.call(|inner| inner.objects.keys().filter(|name| name.as_str() > after).cloned().collect())
    }

    async fn remove(&self, names: &[String]) -> Result<(), StoreError> {
        self.call(|inner| inner.objects.retain(|name, _| !names.contains(name)))
    }
}

fn version(number: u64) -> DocumentVersion {
    DocumentVersion::new(number.to_string())
}

#[async_trait]
impl Documents for MemoryBackend {
    async fn versions(&self) -> Result<Vec<(JobId, DocumentVersion)>, StoreError> {
        self.call(|inner| {
            inner.documents.iter().map(|(id, (_, number))| (id.clone(), version(*number))).collect()
        })
    }

    async fn read(&self, id: &JobId) -> Result<Option<Document>, StoreError> {
        let found = self.call(|inner| {
            inner.reads += 1;
            inner.documents.get(id).cloned()
        })?;
        let Some((text, number)) = found else { return Ok(None) };
        let document = RawValue::from_string(text).map_err(|error| {
            let message = format!("the document of job \"{id}\" is not JSON; correct it");
            StoreError::with_source(FaultKind::Config, message, error)
        })?;
        Ok(Some((document, version(number))))
    }

    async fn write(
        &self,
        id: &JobId,
        document: &RawValue,
        expected: Option<&DocumentVersion>,
    ) -> Result<DocumentVersion, StoreError> {
        tokio::task::yield_now().await;
        self.call(|inner| {
            if inner.documents.get(id).map(|(_, number)| version(*number)).as_ref() != expected {
                return Err(StoreError::Conflict(id.into()));
            }
            inner.versions += 1;
            let number = inner.versions;
            inner.documents.insert(id.clone(), (document.get().to_owned(), number));
            Ok(version(number))
        })?
    }

    async fn remove(&self, id: &JobId, expected: &DocumentVersion) -> Result<(), StoreError> {
        tokio::task::yield_now().await;
        self.call(|inner| {
            let found = inner.documents.get(id).map(|(_, number)| version(*number));
            if found.as_ref().is_some_and(|found| found != expected) {
                return Err(StoreError::Conflict(id.into()));
            }
            inner.documents.remove(id);
            Ok(())
        })?
    }
}
