//! Task definitions: which revision a family means now, and what a revision contains.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ecs::types::{ContainerDefinition, TaskDefinition};
use ecs_scheduler_backend_aws::{Fault, READ_DEFINITION};
use ecs_scheduler_core::FaultKind;
use lru::LruCache;
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use crate::clients::{Clients, Regional};
use crate::sizes::{self, Need, Size};

/// How long an answer about a family holds.
const FRESH: Duration = Duration::from_mins(1);

/// How many revisions are kept; they never change.
const REVISIONS: NonZeroUsize = NonZeroUsize::new(1_024).expect("it is not zero");

/// What is known of one revision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Definition {
    /// Its ARN, which names the revision.
    pub(crate) arn: String,
    pub(crate) active: bool,
    /// `awsvpc`, `bridge`, …
    pub(crate) network_mode: Option<String>,
    /// `FARGATE`, `EC2`, …: what it was checked for.
    pub(crate) compatibilities: Vec<String>,
    /// Names of containers, and whether the task ends with them.
    pub(crate) containers: Vec<(String, bool)>,
    pub(crate) task_role: Option<String>,
    pub(crate) execution_role: Option<String>,
    pub(crate) size: Size,
    /// The sum of what the containers reserve.
    pub(crate) needs: Vec<Need>,
    /// Names of the volumes that are to be configured at launch.
    pub(crate) volumes: Vec<String>,
}

impl Definition {
    fn of(known: &TaskDefinition) -> Self {
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
                cpu: known.cpu().and_then(sizes::cpu),
                memory: known.memory().and_then(sizes::memory),
            },
            needs: known.container_definitions().iter().map(need).collect(),
            volumes: known
                .volumes()
                .iter()
                .filter(|volume| volume.configured_at_launch() == Some(true))
                .map(|volume| volume.name().unwrap_or_default().to_owned())
                .collect(),
        }
    }
}

fn need(container: &ContainerDefinition) -> Need {
    Need {
        name: container.name().unwrap_or_default().to_owned(),
        // No CPU units of its own.
        cpu: Some(container.cpu()).filter(|cpu| *cpu > 0),
        memory: container.memory(),
        memory_reservation: container.memory_reservation(),
    }
}

/// The answer about one family, and who is asking for it: one at a time.
type Entry = Arc<AsyncMutex<Option<(Instant, Option<Arc<Definition>>)>>>;

/// A name in a region: of the scheduler's own where there is none.
type Name = (Option<String>, String);

/// What is known of definitions; a family is read once a minute at most, whoever asks.
#[derive(Debug)]
pub(crate) struct Definitions {
    named: Mutex<HashMap<Name, Entry>>,
    started: Mutex<LruCache<Name, Entry>>,
    revisions: Mutex<LruCache<String, Arc<Definition>>>,
}

impl Default for Definitions {
    fn default() -> Self {
        Self {
            named: Mutex::default(),
            started: Mutex::new(LruCache::new(REVISIONS)),
            revisions: Mutex::new(LruCache::new(REVISIONS)),
        }
    }
}

impl Definitions {
    /// Returns what a family, `family:revision` or ARN means now, or nothing when there is none.
    pub(crate) async fn find(
        &self,
        clients: &Clients,
        at: &Regional,
        name: &str,
    ) -> Result<Option<Arc<Definition>>, Fault> {
        let entry = {
            let key = (at.place.region.clone(), name.to_owned());
            Arc::clone(self.named.lock().entry(key).or_default())
        };
        let mut known = entry.lock().await;
        if let Some((read, definition)) = &*known
            && read.elapsed() < FRESH
        {
            return Ok(definition.clone());
        }
        let definition = self.read(clients, at, name).await?;
        *known = Some((Instant::now(), definition.clone()));
        Ok(definition)
    }

    /// Forgets what a name means: ECS says that the revision is inactive. `arn` may be of any revision of the family.
    pub(crate) fn forget(&self, at: &Regional, arn: &str) {
        let family = family_of(arn);
        self.named.lock().retain(|(region, name), _| *region != at.place.region || family_of(name) != family);
        self.revisions.lock().pop(arn);
    }

    /// Returns a revision by its ARN; it never changes but for its state.
    pub(crate) async fn revision(
        &self,
        clients: &Clients,
        at: &Regional,
        arn: &str,
    ) -> Result<Option<Arc<Definition>>, Fault> {
        if let Some(known) = self.revisions.lock().get(arn) {
            return Ok(Some(Arc::clone(known)));
        }
        self.read(clients, at, arn).await
    }

    /// Returns what a call starts: a revision is read once, since its containers never change. Nothing where there is none, and
    /// where it may not be read, which is looked at again after a while.
    pub(crate) async fn started(
        &self,
        clients: &Clients,
        at: &Regional,
        name: &str,
    ) -> Result<Option<Arc<Definition>>, Fault> {
        let entry = {
            let key = (at.place.region.clone(), name.to_owned());
            Arc::clone(self.started.lock().get_or_insert(key, Entry::default))
        };
        let mut known = entry.lock().await;
        if let Some((read, definition)) = &*known
            && (read.elapsed() < FRESH || (definition.is_some() && names_revision(name)))
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
                        "containers that a job does not override are not told of their firing"
                    );
                }
                None
            }
            Ok(definition) => definition,
        };
        *known = Some((Instant::now(), definition.clone()));
        Ok(definition)
    }

    async fn read(
        &self,
        clients: &Clients,
        at: &Regional,
        name: &str,
    ) -> Result<Option<Arc<Definition>>, Fault> {
        // ECS knows no ARN of a family.
        let asked = if names_revision(name) { name } else { family_of(name) };
        let call = async {
            let answer = at.client.describe_task_definition().task_definition(asked).send().await;
            answer.map_err(|error| Fault::of(error, format!("could not read task definition \"{name}\"")))
        };
        match clients.paced(at, READ_DEFINITION, call).await {
            Ok(answer) => {
                let Some(definition) = answer.task_definition().map(|known| Arc::new(Definition::of(known)))
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
            // ECS's way to say that there is none.
            Err(fault) if fault.kind() == FaultKind::Config || fault.kind() == FaultKind::NotFound => {
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }
}

/// Tells whether a definition's name says which revision: `family:revision` or an ARN.
pub(crate) fn names_revision(name: &str) -> bool {
    name.rsplit('/').next().unwrap_or(name).contains(':')
}

fn family_of(name: &str) -> &str {
    let name = name.rsplit('/').next().unwrap_or(name);
    name.split(':').next().unwrap_or(name)
}
