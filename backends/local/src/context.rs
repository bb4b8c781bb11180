//! The state that the launcher and the supervisors of its tasks share.

use std::collections::HashSet;
use std::fs::File;
use std::path::PathBuf;

use ecs_scheduler_core::{TaskId, Timestamp};
use parking_lot::Mutex;

use crate::data_dir::DataDir;
use crate::definition_store::DefinitionStore;
use crate::options::LocalOptions;
use crate::task_table::TaskTable;

/// The settings, files and tasks of one launcher.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) options: LocalOptions,
    /// The folder of definitions as an absolute path: relative working directories begin there.
    pub(crate) definitions_folder: PathBuf,
    pub(crate) data: DataDir,
    /// The boot id of the machine.
    pub(crate) boot: Option<String>,
    pub(crate) definitions: Mutex<DefinitionStore>,
    pub(crate) tasks: Mutex<TaskTable>,
    /// The fields that were already logged as ignored, by job.
    pub(crate) logged_ignored: Mutex<HashSet<String>>,
    /// The open file whose lock makes this launcher the owner of the data folder.
    pub(crate) _lock: File,
}

impl Context {
    pub(crate) fn now(&self) -> Timestamp {
        self.options.clock.now()
    }

    pub(crate) fn task_id(&self, name: &str) -> TaskId {
        TaskId::new(format!("arn:aws:ecs:local:000000000000:task/{}/{name}", self.options.cluster))
    }
}
