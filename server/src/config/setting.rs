//! The settings of the scheduler itself: environment variable, key in the file, flag, default and meaning of each.
//!
//! Stores and launchers bring their own settings ([`Providers`](super::Providers)). The command line's flags, the keys
//! that the configuration file may have and `doc/configuration.md` all come from the two together.

use std::ops::Deref;

use ecs_scheduler_core::PathKind;
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
    /// A part that this build does not contain: its name, and the remedy.
    Absent(&'static str, &'static str),
}

/// A setting and the part that it belongs to.
#[derive(Debug, Clone, Copy)]
pub struct ListedSetting {
    /// The part of the product.
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

/// The configuration file.
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
    "The name of this scheduler. Tasks have `startedBy` `<name>/<job id>`, so two schedulers on one cluster need \
     two names. The name is also part of every launch token: change it only while no launch is in progress. 1 to \
     64 letters, digits, `-`, `_`, `/`",
)
.with_default("ecs-scheduler")
.inherited();
/// The address of the API.
pub const LISTEN: Setting = Setting::new(
    "ECSS_LISTEN",
    "listen",
    "HOST:PORT",
    "The address of the API: an IP address or `localhost`, and a port; port 0 selects a free port. A client of the \
     API can start tasks, so an address other than loopback needs `ECSS_AUTH`",
)
.with_default("127.0.0.1:5000");
/// Authentication.
pub const AUTH: Setting = Setting::new(
    "ECSS_AUTH",
    "auth",
    "tokens|off",
    "How clients authenticate. With `tokens` they send access tokens: see [security](security.md). With `off`, every client \
     that reaches the address may do everything: put an authenticating proxy in front. An `ECSS_LISTEN` other than loopback \
     needs one of them",
)
.without_default("not set: as `off`, on loopback only");
/// The resources that need no token.
pub const AUTH_OPEN: Setting = Setting::new(
    "ECSS_AUTH_OPEN",
    "authOpen",
    "NAME,…",
    "The resources that need no access token although `ECSS_AUTH` is `tokens`, separated by commas: `metrics` for \
     `/metrics`, `docs` for `/docs` and the OpenAPI document",
)
.without_default("none");
/// The host names of the server.
pub const ALLOWED_HOSTS: Setting = Setting::new(
    "ECSS_ALLOWED_HOSTS",
    "allowedHosts",
    "NAME,…",
    "The host names of this server for clients and browsers, separated by commas, such as `scheduler.internal`. \
     The server refuses requests for other hosts, because a web page could resolve its own name to this server. \
     `*` allows every name, for a proxy that checks names. IP addresses, `localhost` and the host of \
     `ECSS_ADVERTISE` are always allowed",
)
.without_default("none: IP addresses and localhost");
/// A replica's name.
pub const REPLICA: Setting = Setting::new(
    "ECSS_REPLICA",
    "replica",
    "NAME",
    "The name of this process among the replicas on a shared store; each replica needs its own. A replica that \
     keeps its name over a restart resumes its jobs at once instead of after seconds. 1 to 64 letters, digits, \
     `-`, `_`, `.`",
)
.without_default("a random name");
/// A replica's address.
pub const ADVERTISE: Setting = Setting::new(
    "ECSS_ADVERTISE",
    "advertise",
    "URL",
    "The URL at which the other replicas on a shared store reach this one, such as `http://10.0.0.7:5000`. They \
     forward requests that only the owner of a job can answer. Required if `ECSS_LISTEN` is `0.0.0.0`",
)
.without_default("the address of ECSS_LISTEN");
/// The maximum number of tasks of each job.
pub const MAX_TASKS: Setting = Setting::new(
    "ECSS_MAX_TASKS",
    "maxTasks",
    "COUNT",
    "The maximum number of pending and running tasks of one job, also without `maxCount`; 1 to 10000",
)
.with_default("50");
/// The age up to which history is kept.
pub const HISTORY_DAYS: Setting = Setting::new(
    "ECSS_HISTORY_DAYS",
    "historyDays",
    "DAYS",
    "The number of days for which decisions and firings are kept; 1 to 36500. The newest 100 decisions of a job \
     and unfinished firings are kept at any age",
)
.with_default("30");
/// The budgets that jobs share.
pub const BUDGETS: Setting = Setting::new(
    "",
    "budgets",
    "BUDGETS",
    "The limits that jobs share, by name, each with a `selector` of labels and limits, such as `maxTasks` and \
     `dollarsPerDay`: see [budgets](budgets.md). In the file only",
)
.without_default("none: every job has its own limits only")
.only_in_file();
/// The channels of notifications.
pub const NOTIFY: Setting = Setting::new(
    "",
    "notify",
    "CHANNELS",
    "The channels of notifications, with `channels`, `allow` and `default` below it: see \
     [notifications](notifications.md). It has secrets, so it is in the file only, and is hidden when the configuration \
     is shown",
)
.only_in_file()
.secret();
/// The data folder.
pub const DATA_DIR: Setting = Setting::new(
    "ECSS_DATA_DIR",
    "dataDir",
    "FOLDER",
    "The folder for the scheduler's data: the default store, and the files of the local launcher. Created if missing",
)
.with_default("data")
.with_path(PathKind::Folder);
/// The log level.
pub const LOG_LEVEL: Setting = Setting::new(
    "ECSS_LOG_LEVEL",
    "log.level",
    "LEVEL",
    "The log level: `CRITICAL`, `ERROR`, `WARNING`, `INFO`, `DEBUG` or `TRACE`, in any case",
)
.with_default("INFO")
.inherited();
/// The log folder.
pub const LOG_FOLDER: Setting = Setting::new(
    "ECSS_LOG_FOLDER",
    "log.folder",
    "FOLDER",
    "A folder for an additional log file, `app.log`; created if missing. At 5 MiB the file is renamed to \
     `app.log.1`, which replaces an older one",
)
.without_default("none: standard error only")
.with_path(PathKind::Folder)
.inherited();
/// The choice of a store.
pub const STORE: Setting = Setting::new(
    "ECSS_STORE",
    "store",
    "KIND",
    "The store of jobs and history: `sqlite`, or `memory`, which loses everything when the process ends",
)
.with_default("sqlite");
/// The choice of a launcher.
pub const LAUNCHER: Setting = Setting::new(
    "ECSS_LAUNCHER",
    "launcher",
    "KIND",
    "The launcher of tasks: `ecs` starts them on an ECS cluster, `local` runs the commands of task definitions as \
     processes of this machine",
)
.without_default("`ecs` if ECSS_ECS_CLUSTER is set; otherwise required");
/// Whether tasks get the variables of their firing.
pub const TASK_VARIABLES: Setting = Setting::new(
    "ECSS_TASK_VARIABLES",
    "taskVariables",
    "on|off",
    "With `on`, every container of a task gets ECSS_FIRING_ID and ECSS_SCHEDULED_AT. With `off`, only the \
     containers in the job's `overrides` get them",
)
.with_default("on");
/// The role for other accounts.
pub const AWS_ASSUME_ROLE: Setting = Setting::new(
    "ECSS_AWS_ASSUME_ROLE",
    "aws.assumeRole",
    "ARN",
    "The role to assume for resources of another account, with `{{account}}` in place of the account's number (the \
     braces are doubled, because a single one names a variable): \
     `arn:aws:iam::{{account}}:role/ecs-scheduler-read`",
)
.without_default("none: this account's credentials are used");
/// The external id for that role.
pub const AWS_EXTERNAL_ID: Setting = Setting::new(
    "ECSS_AWS_EXTERNAL_ID",
    "aws.externalId",
    "ID",
    "The external id that the role of `ECSS_AWS_ASSUME_ROLE` requires",
)
.secret();
/// The server that client commands talk to.
pub const SERVER: Setting = Setting::new(
    "ECSS_SERVER",
    "server",
    "URL",
    "The server of commands such as `ecs-scheduler jobs …`; also `--server`",
)
.with_default("http://127.0.0.1:5000");
/// The token that client commands send.
pub const TOKEN: Setting = Setting::new(
    "ECSS_TOKEN",
    "token",
    "TOKEN",
    "The access token that such commands send; also `--token-file`, so that the token is in no variable",
)
.secret();

/// The settings before those of stores, in the order in which they are documented.
pub const GENERAL: &[ListedSetting] = &[
    listed(Part::Scheduler, CONFIG_FILE),
    listed(Part::Scheduler, NAME),
    listed(Part::Scheduler, LISTEN),
    listed(Part::Scheduler, AUTH),
    listed(Part::Scheduler, AUTH_OPEN),
    listed(Part::Scheduler, ALLOWED_HOSTS),
    listed(Part::Scheduler, REPLICA),
    listed(Part::Scheduler, ADVERTISE),
    listed(Part::Scheduler, MAX_TASKS),
    listed(Part::Scheduler, HISTORY_DAYS),
    listed(Part::Scheduler, BUDGETS),
    listed(Part::Scheduler, NOTIFY),
    listed(Part::Scheduler, DATA_DIR),
    listed(Part::Log, LOG_LEVEL),
    listed(Part::Log, LOG_FOLDER),
    listed(Part::Store, STORE),
];
/// The settings before those of launchers.
pub const LAUNCHING: &[ListedSetting] =
    &[listed(Part::Launcher, LAUNCHER), listed(Part::Launcher, TASK_VARIABLES)];
/// The settings after those of stores and launchers.
pub const OTHER: &[ListedSetting] = &[
    listed(AWS, AWS_ASSUME_ROLE),
    listed(AWS, AWS_EXTERNAL_ID),
    listed(Part::Client, SERVER),
    listed(Part::Client, TOKEN),
];
