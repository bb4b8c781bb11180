//! The settings of the scheduler itself: environment variable, key in the file, flag, default and meaning of each.
//!
//! Stores and launchers bring their own settings ([`Providers`](super::Providers)). The command line's flags, the keys that the
//! configuration file may have and `doc/configuration.md` all come from the two together.

use std::ops::Deref;

pub use ecs_scheduler_core::Setting;

/// A part of the product that settings belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The scheduler itself.
    Scheduler,
    /// The log.
    Log,
    /// The choice of a store, and the stores in this build.
    Store,
    /// The choice of a launcher, and the launchers in this build.
    Launcher,
    /// Access to AWS, beside the SDK's own variables and files.
    Aws,
    /// The commands that talk to a running server.
    Client,
    /// Something that this build does not contain: what it is, and what to do instead.
    Absent(&'static str, &'static str),
}

/// A setting and the part that it belongs to.
#[derive(Debug, Clone, Copy)]
pub struct ListedSetting {
    /// Where it belongs.
    pub part: Part,
    /// The setting.
    pub setting: Setting,
}

impl Deref for ListedSetting {
    type Target = Setting;

    fn deref(&self) -> &Setting {
        &self.setting
    }
}

impl ListedSetting {
    /// Returns the long flag, without dashes, if it has one: `ECSS_MAX_TASKS` → `max-tasks`.
    #[must_use]
    pub fn flag(&self) -> Option<String> {
        let offered = match self.part {
            Part::Scheduler | Part::Log | Part::Store | Part::Launcher | Part::Aws => !self.secret,
            Part::Client | Part::Absent(..) => false,
        };
        let name = self.variable.filter(|_| offered)?.strip_prefix("ECSS_")?;
        Some(name.to_ascii_lowercase().replace('_', "-"))
    }
}

const fn listed(part: Part, setting: Setting) -> ListedSetting {
    ListedSetting { part, setting }
}

const AWS: Part = if cfg!(feature = "aws") { Part::Aws } else { Part::Absent("AWS", "unset it") };

/// The file that the others may be in.
pub const CONFIG_FILE: Setting = Setting::new(
    "ECSS_CONFIG_FILE",
    "configFile",
    "FILE",
    "A YAML file with settings. It cannot name another file",
)
.inherited();
/// The scheduler's name.
pub const NAME: Setting = Setting::new(
    "ECSS_NAME",
    "name",
    "NAME",
    "The name of this scheduler. Its tasks are started by `<name>/<job id>`, so two schedulers on one cluster need \
     two names; it is also part of every launch token, so change it only while no launch is open. 1 to 64 of letters, \
     digits, `-`, `_`, `/`",
)
.with_default("ecs-scheduler")
.inherited();
/// The address of the API.
pub const LISTEN: Setting = Setting::new(
    "ECSS_LISTEN",
    "listen",
    "HOST:PORT",
    "Where the API listens: an IP address or `localhost`, and a port; port 0 takes a free one. Anyone who can reach it can \
     start tasks, so an address other than loopback is refused unless `ECSS_AUTH=off` is spelled out",
)
.with_default("127.0.0.1:5000");
/// Authentication.
pub const AUTH: Setting = Setting::new(
    "ECSS_AUTH",
    "auth",
    "off",
    "`off` lets anyone who reaches the address use the API, and is what a non-loopback `ECSS_LISTEN` asks for: put a \
     proxy that authenticates in front",
)
.without_default("not set");
/// The names of the host.
pub const ALLOWED_HOSTS: Setting = Setting::new(
    "ECSS_ALLOWED_HOSTS",
    "allowedHosts",
    "NAME,…",
    "The host names under which clients and browsers reach this server, separated by commas, such as `scheduler.internal`. A \
     request that names another host is refused, because a web page can point a name of its own at this server. `*` lets every \
     name in, for a proxy that checks it. IP addresses, `localhost` and the host of `ECSS_ADVERTISE` are always let in",
)
.without_default("none: IP addresses and localhost");
/// A replica's name.
pub const REPLICA: Setting = Setting::new(
    "ECSS_REPLICA",
    "replica",
    "NAME",
    "The name of this process among the replicas on a shared store; each needs its own. One that keeps its name over \
     a restart takes its shards of the jobs back at once, instead of after seconds. 1 to 64 of letters, digits, `-`, \
     `_`, `.`",
)
.without_default("a random name");
/// A replica's address.
pub const ADVERTISE: Setting = Setting::new(
    "ECSS_ADVERTISE",
    "advertise",
    "URL",
    "Where the other replicas on a shared store reach this one, such as `http://10.0.0.7:5000`: they pass on what only \
     the replica that looks at a job can do. Needed where `ECSS_LISTEN` is `0.0.0.0`",
)
.without_default("the address of ECSS_LISTEN");
/// The bound of every job.
pub const MAX_TASKS: Setting = Setting::new(
    "ECSS_MAX_TASKS",
    "maxTasks",
    "COUNT",
    "The most tasks that one job may have at any moment, also a job without `maxCount`; 1 to 10000",
)
.with_default("50");
/// How long history is kept.
pub const HISTORY_DAYS: Setting = Setting::new(
    "ECSS_HISTORY_DAYS",
    "historyDays",
    "DAYS",
    "How many days decisions and firings are kept; 1 to 36500. The newest 100 decisions of a job stay however old they are, and \
     so does a firing that is not finished",
)
.with_default("30");
/// The folder of everything that is kept.
pub const DATA_DIR: Setting = Setting::new(
    "ECSS_DATA_DIR",
    "dataDir",
    "FOLDER",
    "The folder for what the scheduler keeps: the default store and what the local launcher notes. Created when missing",
)
.with_default("data");
/// How much is logged.
pub const LOG_LEVEL: Setting = Setting::new(
    "ECSS_LOG_LEVEL",
    "log.level",
    "LEVEL",
    "How much is logged: `CRITICAL`, `ERROR`, `WARNING`, `INFO`, `DEBUG` or `TRACE`, in any case",
)
.with_default("INFO")
.inherited();
/// Where the log is kept.
pub const LOG_FOLDER: Setting = Setting::new(
    "ECSS_LOG_FOLDER",
    "log.folder",
    "FOLDER",
    "Also logs to `app.log` in this folder, which is created when missing. At 5 MiB the file becomes `app.log.1`, and \
     an older one goes",
)
.without_default("none: standard error only")
.inherited();
/// Which store.
pub const STORE: Setting = Setting::new(
    "ECSS_STORE",
    "store",
    "KIND",
    "Where jobs and history are kept: `sqlite`, or `memory`, which forgets everything at the end",
)
.with_default("sqlite");
/// Which launcher.
pub const LAUNCHER: Setting = Setting::new(
    "ECSS_LAUNCHER",
    "launcher",
    "KIND",
    "The launcher. `ecs` starts them on an ECS cluster, `local` runs the commands of task definitions as processes \
     of this machine",
)
.without_default("`ecs` where ECSS_ECS_CLUSTER is set; else it must be chosen");
/// Whether tasks get the variables of their firing.
pub const TASK_VARIABLES: Setting = Setting::new(
    "ECSS_TASK_VARIABLES",
    "taskVariables",
    "on|off",
    "Whether every container of a task gets ECSS_FIRING_ID and ECSS_SCHEDULED_AT. With `off`, only the containers that a \
     job's `overrides` name get them",
)
.with_default("on");
/// The role for other accounts.
pub const AWS_ASSUME_ROLE: Setting = Setting::new(
    "ECSS_AWS_ASSUME_ROLE",
    "aws.assumeRole",
    "ARN",
    "The role to assume for what is in another account, with `{{account}}` where the account's number belongs (a doubled \
     brace, because a single one names a variable): `arn:aws:iam::{{account}}:role/ecs-scheduler-read`",
)
.without_default("none: this account's credentials are used");
/// The external id for that role.
pub const AWS_EXTERNAL_ID: Setting = Setting::new(
    "ECSS_AWS_EXTERNAL_ID",
    "aws.externalId",
    "ID",
    "The external id that the role of `ECSS_AWS_ASSUME_ROLE` asks for",
)
.secret();
/// The server that client commands talk to.
pub const SERVER: Setting = Setting::new(
    "ECSS_SERVER",
    "server",
    "URL",
    "The server that `ecs-scheduler jobs …` talks to; also `--server`",
)
.with_default("http://127.0.0.1:5000");

/// The settings before those of stores, in the order in which they are documented.
pub const GENERAL: &[ListedSetting] = &[
    listed(Part::Scheduler, CONFIG_FILE),
    listed(Part::Scheduler, NAME),
    listed(Part::Scheduler, LISTEN),
    listed(Part::Scheduler, AUTH),
    listed(Part::Scheduler, ALLOWED_HOSTS),
    listed(Part::Scheduler, REPLICA),
    listed(Part::Scheduler, ADVERTISE),
    listed(Part::Scheduler, MAX_TASKS),
    listed(Part::Scheduler, HISTORY_DAYS),
    listed(Part::Scheduler, DATA_DIR),
    listed(Part::Log, LOG_LEVEL),
    listed(Part::Log, LOG_FOLDER),
    listed(Part::Store, STORE),
];
/// The settings before those of launchers.
pub const LAUNCHING: &[ListedSetting] =
    &[listed(Part::Launcher, LAUNCHER), listed(Part::Launcher, TASK_VARIABLES)];
/// The settings after those of stores and launchers.
pub const OTHER: &[ListedSetting] =
    &[listed(AWS, AWS_ASSUME_ROLE), listed(AWS, AWS_EXTERNAL_ID), listed(Part::Client, SERVER)];
