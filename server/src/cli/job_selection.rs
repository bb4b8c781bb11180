//! The selection of jobs for a command: documents in files, the jobs of a running server, or those of the configured
//! store.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use ecs_scheduler_core::job::{FieldError, Job, JobContext, prepare_create, strip_read_only};
use ecs_scheduler_core::schedule::Strictness;
use ecs_scheduler_core::{CheckResult, JobId, Launcher, ListFrom, Store, fault};
use serde_json::Value;

use super::jobs;
use crate::client::{Client, server_url};
use crate::config::Config;
use crate::crontab_rule::OlderJobs;
use crate::error::CommandError;
use crate::input::read_documents;
use crate::server::ServerBuilder;

/// The number of jobs of one page that is read from the store.
const PAGE_SIZE: NonZeroUsize = NonZeroUsize::new(1_000).expect("it is not zero");

/// The selected jobs.
#[derive(Debug, Clone, Default, Args)]
pub struct JobSelectionArgs {
    /// Job documents, or arrays of them as `import keda` prints them; without any, the jobs of the configured store
    files: Vec<PathBuf>,
    /// Read the jobs from the running server at this URL
    #[arg(long, value_name = "URL", conflicts_with = "files", value_parser = server_url)]
    server: Option<String>,
}

/// The selected jobs, and the errors of invalid ones.
#[derive(Debug, Default)]
pub(crate) struct JobSelection {
    pub(crate) jobs: Vec<Job>,
    /// The name of the job or file, and its errors.
    pub(crate) invalid: Vec<(String, String)>,
    /// The name of a job that an older version may have written, and how its days have changed since.
    pub(crate) moved: Vec<(JobId, String)>,
    /// The health of the store, if the jobs were read from it.
    pub(crate) store: Option<CheckResult>,
    /// The reason why the store could not be opened.
    pub(crate) open_error: Option<CommandError>,
}

impl JobSelection {
    /// Loads the jobs. A store that cannot be opened is recorded in `open_error`, so that the caller can report other
    /// findings too.
    ///
    /// # Errors
    ///
    /// Fails when a file, the server or a store that is open cannot be read.
    pub(crate) async fn load(
        args: &JobSelectionArgs,
        builder: &ServerBuilder,
        config: &Config,
        launcher: &Arc<dyn Launcher>,
    ) -> Result<Self, CommandError> {
        let (registry, channels) = (builder.registry()?, config.notify.channel_names());
        let context = |strictness| JobContext {
            registry: &registry,
            max_tasks: config.max_tasks,
            strictness,
            launcher: Some(&**launcher),
            channels: Some(&channels),
        };
        let mut found = Self::default();
        if let Some(server) = &args.server {
            let client = Client::new(server)?.with_token(config.token.as_deref())?;
            let answer = jobs::list_jobs(&client, "").await?;
            for view in answer["jobs"].as_array().into_iter().flatten() {
                found.add_view(view, &context(Strictness::Lenient));
            }
        } else if args.files.is_empty() {
            let store = match builder.open_store_read_only(config).await {
                Ok(store) => store,
                Err(error) => return Ok(Self { open_error: Some(error), ..found }),
            };
            let read = found.add_stored(&*store, &context(Strictness::Lenient)).await;
            let what = format!("store {}", config.store.kind);
            found.store = Some(match store.health_check().await {
                Ok(()) => CheckResult::passed(format!("{what}: it can be read and written")),
                Err(error) => CheckResult::failed(what, fault::chain(&error)),
            });
            store.close().await.map_err(|error| CommandError::caused("could not close the store", error))?;
            read?;
        } else {
            let cx = context(Strictness::Strict);
            let now = builder.clock().now();
            for file in &args.files {
                for (name, document) in read_documents(file)?.items {
                    found.add(&name, prepare_create(document, &cx, now).map(|prepared| prepared.job));
                }
            }
        }
        Ok(found)
    }

    async fn add_stored(&mut self, store: &dyn Store, cx: &JobContext<'_>) -> Result<(), CommandError> {
        let unreadable = |error| CommandError::caused("could not read the jobs", error);
        let older = OlderJobs::load(store).await.map_err(unreadable)?;
        let mut from = ListFrom::Skip(0);
        loop {
            let page = store.list(from, PAGE_SIZE).await.map_err(unreadable)?;
            let Some(last) = page.jobs.last() else { return Ok(()) };
            from = ListFrom::After(last.id.clone());
            for stored in &page.jobs {
                let job = stored.parse(cx);
                let changes = job.iter().flat_map(|job| older.changes(stored, job));
                self.moved.extend(changes.map(|change| (stored.id.clone(), change)));
                self.add(stored.id.as_str(), job);
            }
        }
    }

    fn add_view(&mut self, view: &Value, cx: &JobContext<'_>) {
        let mut fields = view.as_object().cloned().unwrap_or_default();
        let name = fields.remove("id").and_then(|id| id.as_str().map(str::to_owned)).unwrap_or_default();
        strip_read_only(&mut fields);
        match JobId::new(&name) {
            Ok(id) => self.add(&name, Job::parse(&id, &fields, cx)),
            Err(error) => self.invalid.push((name, fault::chain(&error))),
        }
    }

    fn add(&mut self, name: &str, job: Result<Job, Vec<FieldError>>) {
        match job {
            Ok(job) => self.jobs.push(job),
            Err(errors) => {
                let texts: Vec<String> =
                    errors.iter().map(|error| format!("{}: {}", error.pointer, error.explained())).collect();
                self.invalid.push((name.to_owned(), texts.join("; ")));
            }
        }
    }
}
