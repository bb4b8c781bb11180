//! A cache of task definitions: the revision that a family means now, and the content of each revision.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ecs::types::{ContainerDefinition, TaskDefinition};
use ecs_scheduler_backend_aws::{Fault, READ_DEFINITION};
use ecs_scheduler_core::{FaultKind, TaskSize};
use lru::LruCache;
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use crate::clients::{Clients, RegionClients};
use crate::log_destination::ContainerLog;
use crate::sizes::{ResourceReservation, Size};

/// Time for which the answer about a family is used.
const TTL: Duration = Duration::from_mins(1);

/// Number of cached revisions; they never change.
const MAX_REVISIONS: NonZeroUsize = NonZeroUsize::new(1_024).expect("it is not zero");

/// The known content of one revision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Definition {
    /// Its ARN, which names the revision.
    pub(crate) arn: String,
    pub(crate) active: bool,
    /// `awsvpc`, `bridge`, …
    pub(crate) network_mode: Option<String>,
    /// `FARGATE`, `EC2`, …: the launch types that ECS checked it for.
    pub(crate) compatibilities: Vec<String>,
    /// Names of containers, and whether the task ends with them.
    pub(crate) containers: Vec<(String, bool)>,
    pub(crate) task_role: Option<String>,
    pub(crate) execution_role: Option<String>,
    pub(crate) size: Size,
    /// Its operating system and its processor, where they are given: `LINUX`, `ARM64`.
    pub(crate) platform: (Option<String>, Option<String>),
    /// The reservation of each container.
    pub(crate) reservations: Vec<ResourceReservation>,
    /// Names of the volumes that are configured at launch.
    pub(crate) volumes: Vec<String>,
    /// Where the containers write their output.
    pub(crate) logs: Vec<ContainerLog>,
}

impl Definition {
    fn from_sdk(known: &TaskDefinition) -> Self {
        let containers = known.container_definitions().iter();
        Self {
            arn: known.task_definition_arn().unwrap_or_default().to_owned(),
            active: known.status().is_none_or(|status| status.as_str() == "ACTIVE"),
            network_mode: known.network_mode().map(|mode| mode.as_str().to_owned()),
            compatibilities: known.compatibilities().iter().map(|one| one.as_str().to_owned()).collect(),
            containers: containers
                .map(|one| (one.name().unwrap_or_default().to_owned(), one.essential().unwrap_or(true)))
                .collect(),
            task_role: known.task_role_arn().map(str::to_owned),
            execution_role: known.execution_role_arn().map(str::to_owned),
            size: Size {
                cpu: known.cpu().and_then(TaskSize::parse_cpu),
                memory: known.memory().and_then(TaskSize::parse_memory),
            },
            platform: known.runtime_platform().map_or((None, None), |platform| {
                let system = platform.operating_system_family().map(|one| one.as_str().to_owned());
                (system, platform.cpu_architecture().map(|one| one.as_str().to_owned()))
            }),
            reservations: known.container_definitions().iter().map(reservation).collect(),
            volumes: known
                .volumes()
                .iter()
                .filter(|volume| volume.configured_at_launch() == Some(true))
                .map(|volume| volume.name().unwrap_or_default().to_owned())
                .collect(),
            logs: known.container_definitions().iter().map(ContainerLog::from_sdk).collect(),
        }
    }
}

fn reservation(container: &ContainerDefinition) -> ResourceReservation {
    ResourceReservation {
        name: container.name().unwrap_or_default().to_owned(),
        // Zero means no CPU units of its own.
        cpu: Some(container.cpu()).filter(|cpu| *cpu > 0),
        memory: container.memory(),
        memory_reservation: container.memory_reservation(),
    }
}

/// The cached answer about one name. Its lock makes callers ask one at a time.
type DefinitionSlot = Arc<AsyncMutex<Option<(Instant, Option<Arc<Definition>>)>>>;

/// A name in a region; without a region, in the scheduler's own.
type DefinitionKey = (Option<String>, String);

/// A cache of definitions. A family is read at most once a minute, for all callers together.
#[derive(Debug)]
pub(crate) struct DefinitionCache {
    by_name: Mutex<HashMap<DefinitionKey, DefinitionSlot>>,
    launched: Mutex<LruCache<DefinitionKey, DefinitionSlot>>,
    revisions: Mutex<LruCache<String, Arc<Definition>>>,
}

impl Default for DefinitionCache {
    fn default() -> Self {
        Self {
            by_name: Mutex::default(),
            launched: Mutex::new(LruCache::new(MAX_REVISIONS)),
            revisions: Mutex::new(LruCache::new(MAX_REVISIONS)),
        }
    }
}

impl DefinitionCache {
    /// Returns the current meaning of a family, `family:revision` or ARN, or nothing if there is none.
    pub(crate) async fn find(
        &self,
        clients: &Clients,
        at: &RegionClients,
        name: &str,
    ) -> Result<Option<Arc<Definition>>, Fault> {
        let entry = {
            let key = (at.scope.region.clone(), name.to_owned());
            Arc::clone(self.by_name.lock().entry(key).or_default())
        };
        let mut known = entry.lock().await;
        if let Some((read, definition)) = &*known
            && read.elapsed() < TTL
        {
            return Ok(definition.clone());
        }
        let definition = self.fetch(clients, at, name).await?;
        *known = Some((Instant::now(), definition.clone()));
        Ok(definition)
    }

    /// Drops the cached meaning of a name, because ECS says that the revision is inactive. `arn` may name any
    /// revision of the family.
    pub(crate) fn invalidate(&self, at: &RegionClients, arn: &str) {
        let family = family_of(arn);
        self.by_name
            .lock()
            .retain(|(region, name), _| *region != at.scope.region || family_of(name) != family);
        self.revisions.lock().pop(arn);
    }

    /// Returns a revision by its ARN. Only its status ever changes.
    pub(crate) async fn revision(
        &self,
        clients: &Clients,
        at: &RegionClients,
        arn: &str,
    ) -> Result<Option<Arc<Definition>>, Fault> {
        if let Some(known) = self.revisions.lock().get(arn) {
            return Ok(Some(Arc::clone(known)));
        }
        self.fetch(clients, at, arn).await
    }

    /// Returns the definition that a call starts. A revision is read once, since its containers never change. Returns
    /// nothing if there is none, or if it may not be read; both are checked again after a while.
    pub(crate) async fn find_for_launch(
        &self,
        clients: &Clients,
        at: &RegionClients,
        name: &str,
    ) -> Result<Option<Arc<Definition>>, Fault> {
        let entry = {
            let key = (at.scope.region.clone(), name.to_owned());
            Arc::clone(self.launched.lock().get_or_insert(key, DefinitionSlot::default))
        };
        let mut known = entry.lock().await;
        if let Some((read, definition)) = &*known
            && (read.elapsed() < TTL || (definition.is_some() && names_revision(name)))
        {
            return Ok(definition.clone());
        }
        let definition = match self.revision(clients, at, name).await {
            Err(fault) if fault.kind().is_transient() => return Err(fault),
            Err(fault) => {
                if known.is_none() {
                    let error = ecs_scheduler_core::fault::chain(&fault);
                    tracing::warn!(
                        definition = name,
                        error,
                        "containers that the job does not override get no firing variables"
                    );
                }
                None
            }
            Ok(definition) => definition,
        };
        *known = Some((Instant::now(), definition.clone()));
        Ok(definition)
    }

    async fn fetch(
        &self,
        clients: &Clients,
        at: &RegionClients,
        name: &str,
    ) -> Result<Option<Arc<Definition>>, Fault> {
        // ECS accepts no ARN of a family.
        let asked = if names_revision(name) { name } else { family_of(name) };
        let call = async {
            let answer = at.client.describe_task_definition().task_definition(asked).send().await;
            answer
                .map_err(|error| Fault::from_sdk(error, format!("could not read task definition \"{name}\"")))
        };
        match clients.call_paced(&at.scope, READ_DEFINITION, call).await {
            Ok(answer) => {
                let Some(definition) =
                    answer.task_definition().map(|known| Arc::new(Definition::from_sdk(known)))
                else {
                    return Ok(None);
                };
                self.revisions.lock().put(definition.arn.clone(), Arc::clone(&definition));
                // An ARN without a revision names a region and an account too.
                if asked != name && !definition.arn.starts_with(&format!("{name}:")) {
                    return Ok(None);
                }
                Ok(Some(definition))
            }
            // ECS answers in this way if there is no such definition.
            Err(fault) if fault.kind() == FaultKind::Config || fault.kind() == FaultKind::NotFound => {
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }
}

/// Tells whether a name includes the revision: `family:revision` or an ARN.
pub(crate) fn names_revision(name: &str) -> bool {
    name.rsplit('/').next().unwrap_or(name).contains(':')
}

fn family_of(name: &str) -> &str {
    let name = name.rsplit('/').next().unwrap_or(name);
    name.split(':').next().unwrap_or(name)
}
