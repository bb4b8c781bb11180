//! The one table of settings: environment variable, key in the file, flag, default and meaning of each.
//!
//! The command line's flags, the keys that the configuration file may have and `doc/configuration.md` all come from it.

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

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The path in the configuration file, its parts joined by dots: `local.taskDefinitions`.
    pub key: &'static str,
    /// The environment variable; absent for what only the file can say.
    pub variable: Option<&'static str>,
    /// Where it belongs.
    pub part: Part,
    /// The default; in words where it is not a plain value.
    pub default: &'static str,
    /// The form of its values: `HOST:PORT`.
    pub value: &'static str,
    /// Whether its value is hidden when the configuration is shown. A secret has no flag.
    pub secret: bool,
    /// Whether the Python version had it.
    pub python: bool,
    /// Its meaning, in sentences without a full stop at the end.
    pub help: &'static str,
}

impl Setting {
    /// Returns the name that messages use: the variable, else the key.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.variable.unwrap_or(self.key)
    }

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

const NO_ECS: Part = Part::Absent("ECS launcher", "set ECSS_LAUNCHER=local to run tasks as local processes");
const ECS: Part = if cfg!(feature = "aws") { Part::Launcher } else { NO_ECS };
const AWS: Part = if cfg!(feature = "aws") { Part::Aws } else { Part::Absent("AWS", "unset it") };
const S3: Part = if cfg!(feature = "aws") { Part::Store } else { Part::Absent("S3 store", USE_SQLITE) };
const DYNAMODB: Part =
    if cfg!(feature = "aws") { Part::Store } else { Part::Absent("DynamoDB store", USE_SQLITE) };
const ELASTICSEARCH: Part = if cfg!(feature = "elasticsearch") {
    Part::Store
} else {
    Part::Absent("Elasticsearch store", USE_SQLITE)
};
const POSTGRES: Part =
    if cfg!(feature = "postgres") { Part::Store } else { Part::Absent("PostgreSQL store", USE_SQLITE) };
const USE_SQLITE: &str = "unset it and use ECSS_SQLITE_FILE";

/// A setting with an environment variable and nothing special about it.
const fn setting(
    variable: &'static str,
    key: &'static str,
    part: Part,
    value: &'static str,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting { key, variable: Some(variable), part, default, value, secret: false, python: false, help }
}

/// Marks a setting that the Python version had.
const fn inherited(setting: Setting) -> Setting {
    Setting { python: true, ..setting }
}

/// The file that the others may be in.
pub const CONFIG_FILE: Setting = inherited(setting(
    "ECSS_CONFIG_FILE",
    "configFile",
    Part::Scheduler,
    "FILE",
    "none",
    "A YAML file with settings. It cannot name another file",
));
/// The scheduler's name.
pub const NAME: Setting = inherited(setting(
    "ECSS_NAME",
    "name",
    Part::Scheduler,
    "NAME",
    "ecs-scheduler",
    "The name of this scheduler. Its tasks are started by `<name>/<job id>`, so two schedulers on one cluster need \
     two names; it is also part of every launch token, so change it only while no launch is open. 1 to 64 of letters, \
     digits, `-`, `_`, `/`",
));
/// The address of the API.
pub const LISTEN: Setting = setting(
    "ECSS_LISTEN",
    "listen",
    Part::Scheduler,
    "HOST:PORT",
    "127.0.0.1:5000",
    "Where the API listens: an IP address or `localhost`, and a port; port 0 takes a free one. Anyone who can reach it can \
     start tasks, so an address other than loopback is refused unless `ECSS_AUTH=off` is spelled out",
);
/// Authentication.
pub const AUTH: Setting = setting(
    "ECSS_AUTH",
    "auth",
    Part::Scheduler,
    "off",
    "not set",
    "`off` lets anyone who reaches the address use the API, and is what a non-loopback `ECSS_LISTEN` asks for: put a \
     proxy that authenticates in front",
);
/// The names of the host.
pub const ALLOWED_HOSTS: Setting = setting(
    "ECSS_ALLOWED_HOSTS",
    "allowedHosts",
    Part::Scheduler,
    "NAME,…",
    "none: IP addresses and localhost",
    "The host names under which clients and browsers reach this server, separated by commas, such as `scheduler.internal`. A \
     request that names another host is refused, because a web page can point a name of its own at this server. `*` lets every \
     name in, for a proxy that checks it. IP addresses, `localhost` and the host of `ECSS_ADVERTISE` are always let in",
);
/// A replica's name.
pub const REPLICA: Setting = setting(
    "ECSS_REPLICA",
    "replica",
    Part::Scheduler,
    "NAME",
    "a random name",
    "The name of this process among the replicas on a shared store; each needs its own. One that keeps its name over \
     a restart takes its shards of the jobs back at once, instead of after seconds. 1 to 64 of letters, digits, `-`, \
     `_`, `.`",
);
/// A replica's address.
pub const ADVERTISE: Setting = setting(
    "ECSS_ADVERTISE",
    "advertise",
    Part::Scheduler,
    "URL",
    "the address of ECSS_LISTEN",
    "Where the other replicas on a shared store reach this one, such as `http://10.0.0.7:5000`: they pass on what only \
     the replica that looks at a job can do. Needed where `ECSS_LISTEN` is `0.0.0.0`",
);
/// The bound of every job.
pub const MAX_TASKS: Setting = setting(
    "ECSS_MAX_TASKS",
    "maxTasks",
    Part::Scheduler,
    "COUNT",
    "50",
    "The most tasks that one job may have at any moment, also a job without `maxCount`; 1 to 10000",
);
/// How long history is kept.
pub const HISTORY_DAYS: Setting = setting(
    "ECSS_HISTORY_DAYS",
    "historyDays",
    Part::Scheduler,
    "DAYS",
    "30",
    "How many days decisions and firings are kept; 1 to 36500. The newest 100 decisions of a job stay however old they are, and \
     so does a firing that is not finished",
);
/// The folder of everything that is kept.
pub const DATA_DIR: Setting = setting(
    "ECSS_DATA_DIR",
    "dataDir",
    Part::Scheduler,
    "FOLDER",
    "data",
    "The folder for what the scheduler keeps: the default store and what the local launcher notes. Created when missing",
);
/// How much is logged.
pub const LOG_LEVEL: Setting = inherited(setting(
    "ECSS_LOG_LEVEL",
    "log.level",
    Part::Log,
    "LEVEL",
    "INFO",
    "How much is logged: `CRITICAL`, `ERROR`, `WARNING`, `INFO`, `DEBUG` or `TRACE`, in any case",
));
/// Where the log is kept.
pub const LOG_FOLDER: Setting = inherited(setting(
    "ECSS_LOG_FOLDER",
    "log.folder",
    Part::Log,
    "FOLDER",
    "none: standard error only",
    "Also logs to `app.log` in this folder, which is created when missing. At 5 MiB the file becomes `app.log.1`, and \
     an older one goes",
));
/// Which store.
pub const STORE: Setting = setting(
    "ECSS_STORE",
    "store",
    Part::Store,
    "KIND",
    "sqlite",
    "Where jobs and history are kept: `sqlite`, or `memory`, which forgets everything at the end",
);
/// The keys of the settings that choose a store by being set.
pub const STORE_SELECTORS: [&str; 5] =
    ["sqlite.file", "s3.bucket", "dynamodb.table", "elasticsearch.index", "postgres.url"];
/// The database file.
pub const SQLITE_FILE: Setting = inherited(setting(
    "ECSS_SQLITE_FILE",
    "sqlite.file",
    Part::Store,
    "FILE",
    "scheduler.db in ECSS_DATA_DIR",
    "The SQLite database; its folder is created when missing. A file that the Python version wrote is taken over",
));
/// The bucket.
pub const S3_BUCKET: Setting = inherited(setting(
    "ECSS_S3_BUCKET",
    "s3.bucket",
    S3,
    "BUCKET",
    "none",
    "The S3 bucket with the jobs, for one scheduler at a time; created when missing. A bucket that the Python version wrote \
     is taken over",
));
/// The folder in the bucket.
pub const S3_PREFIX: Setting = inherited(setting(
    "ECSS_S3_PREFIX",
    "s3.prefix",
    S3,
    "PREFIX",
    "none: the bucket itself",
    "The folder in the bucket, with or without a slash at its end: a job is `<prefix>/<id>.json`",
));
/// The table.
pub const DYNAMODB_TABLE: Setting = inherited(setting(
    "ECSS_DYNAMODB_TABLE",
    "dynamodb.table",
    DYNAMODB,
    "TABLE",
    "none",
    "The DynamoDB table with the jobs; history is in a second one, `<table>-journal`. Both are created when missing. A table \
     that the Python version wrote is taken over and stays readable for it",
));
/// The index of jobs.
pub const ELASTICSEARCH_INDEX: Setting = inherited(setting(
    "ECSS_ELASTICSEARCH_INDEX",
    "elasticsearch.index",
    ELASTICSEARCH,
    "INDEX",
    "none",
    "The index, or alias of one, with the jobs, in Elasticsearch 7 to 9 or OpenSearch 1 to 3; a journal is kept beside it in \
     `<index>-journal`. Both are created when missing. An index that the Python version wrote is taken over",
));
/// The nodes of the cluster.
pub const ELASTICSEARCH_HOSTS: Setting = inherited(setting(
    "ECSS_ELASTICSEARCH_HOSTS",
    "elasticsearch.hosts",
    ELASTICSEARCH,
    "URL,…",
    "none",
    "The nodes of the cluster, separated by commas: `host`, `host:port` or a URL, with `user:password@` where the cluster \
     asks for it. The port is 9200 unless it is given, and 443 for `https`. The next node is asked when one does not answer",
));
/// An API key.
pub const ELASTICSEARCH_API_KEY: Setting = Setting {
    secret: true,
    ..setting(
        "ECSS_ELASTICSEARCH_API_KEY",
        "elasticsearch.apiKey",
        ELASTICSEARCH,
        "KEY",
        "none",
        "An API key of Elasticsearch, encoded as Kibana shows it, or as `id:key`; for nodes whose URL has no user",
    )
};
/// Whom to trust.
pub const ELASTICSEARCH_CA_FILE: Setting = setting(
    "ECSS_ELASTICSEARCH_CA_FILE",
    "elasticsearch.caFile",
    ELASTICSEARCH,
    "FILE",
    "none: the system's certificates",
    "A PEM file of certificates that are trusted beside the system's, for a cluster that signs its own",
);
/// The client's options as the Python version had them.
pub const ELASTICSEARCH_CLIENT: Setting = Setting {
    variable: None,
    secret: true,
    ..inherited(setting(
        "",
        "elasticsearch.client",
        ELASTICSEARCH,
        "OBJECT",
        "none",
        "Options of the Elasticsearch client, as the Python version's file had them: hosts, logins and certificates are \
         honoured where the settings above do not say otherwise; time-outs, retries and sniffing have no effect",
    ))
};
/// Which launcher.
pub const LAUNCHER: Setting = setting(
    "ECSS_LAUNCHER",
    "launcher",
    Part::Launcher,
    "KIND",
    "`ecs` where ECSS_ECS_CLUSTER is set; else it must be chosen",
    "The launcher. `ecs` starts them on an ECS cluster, `local` runs the commands of task definitions as processes \
     of this machine",
);
/// Whether tasks get the variables of their firing.
pub const TASK_VARIABLES: Setting = setting(
    "ECSS_TASK_VARIABLES",
    "taskVariables",
    Part::Launcher,
    "on|off",
    "on",
    "Whether every container of a task gets ECSS_FIRING_ID and ECSS_SCHEDULED_AT. With `off`, only the containers that a \
     job's `overrides` name get them",
);
/// The local launcher's definitions.
pub const LOCAL_TASK_DEFINITIONS: Setting = setting(
    "ECSS_LOCAL_TASK_DEFINITIONS",
    "local.taskDefinitions",
    Part::Launcher,
    "FOLDER",
    "task-definitions in ECSS_DATA_DIR",
    "The folder of task-definition JSON for the `local` launcher, one file per family",
);
/// The ECS cluster.
pub const ECS_CLUSTER: Setting = inherited(setting(
    "ECSS_ECS_CLUSTER",
    "ecs.cluster",
    ECS,
    "CLUSTER",
    "none",
    "The ECS cluster that tasks are started on, by name or ARN, unless a job's `launch.cluster` names another",
));
/// Whether tasks are tagged.
pub const ECS_TAGS: Setting = setting(
    "ECSS_ECS_TAGS",
    "ecs.tags",
    ECS,
    "on|off",
    "on",
    "Whether tasks get the tags `ecss:job` and `ecss:firing`, which needs the permission `ecs:TagResource`. Without \
     them, tasks of a call whose answer was lost are identified by their creation time",
);
/// Where task-state events arrive.
pub const ECS_EVENTS_QUEUE: Setting = setting(
    "ECSS_ECS_EVENTS_QUEUE",
    "ecs.eventsQueue",
    ECS,
    "QUEUE",
    "none: tasks are described every few seconds",
    "The SQS queue, by name or URL, to which an EventBridge rule sends `ECS Task State Change` events. Only this \
     process may read it: each replica needs its own",
);
/// The role for other accounts.
pub const AWS_ASSUME_ROLE: Setting = setting(
    "ECSS_AWS_ASSUME_ROLE",
    "aws.assumeRole",
    AWS,
    "ARN",
    "none: this account's credentials are used",
    "The role to assume for what is in another account, with `{{account}}` where the account's number belongs (a doubled \
     brace, because a single one names a variable): `arn:aws:iam::{{account}}:role/ecs-scheduler-read`",
);
/// The external id for that role.
pub const AWS_EXTERNAL_ID: Setting = Setting {
    secret: true,
    ..setting(
        "ECSS_AWS_EXTERNAL_ID",
        "aws.externalId",
        AWS,
        "ID",
        "none",
        "The external id that the role of `ECSS_AWS_ASSUME_ROLE` asks for",
    )
};
/// The server that client commands talk to.
pub const SERVER: Setting = setting(
    "ECSS_SERVER",
    "server",
    Part::Client,
    "URL",
    "http://127.0.0.1:5000",
    "The server that `ecs-scheduler jobs …` talks to; also `--server`",
);

/// The PostgreSQL database.
pub const POSTGRES_URL: Setting = Setting {
    secret: true,
    ..setting(
        "ECSS_POSTGRES_URL",
        "postgres.url",
        POSTGRES,
        "URL",
        "none",
        "The PostgreSQL database with jobs and history: `postgres://user:password@host:5432/database?sslmode=verify-full`. \
         Missing tables are made. See stores/postgres.md",
    )
};

/// Every setting, in the order in which they are documented.
pub const SETTINGS: &[Setting] = &[
    CONFIG_FILE,
    NAME,
    LISTEN,
    AUTH,
    ALLOWED_HOSTS,
    REPLICA,
    ADVERTISE,
    MAX_TASKS,
    HISTORY_DAYS,
    DATA_DIR,
    LOG_LEVEL,
    LOG_FOLDER,
    STORE,
    SQLITE_FILE,
    S3_BUCKET,
    S3_PREFIX,
    DYNAMODB_TABLE,
    ELASTICSEARCH_INDEX,
    ELASTICSEARCH_HOSTS,
    ELASTICSEARCH_API_KEY,
    ELASTICSEARCH_CA_FILE,
    ELASTICSEARCH_CLIENT,
    LAUNCHER,
    TASK_VARIABLES,
    LOCAL_TASK_DEFINITIONS,
    ECS_CLUSTER,
    ECS_TAGS,
    ECS_EVENTS_QUEUE,
    AWS_ASSUME_ROLE,
    AWS_EXTERNAL_ID,
    SERVER,
    POSTGRES_URL,
];
