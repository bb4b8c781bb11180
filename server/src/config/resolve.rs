//! From raw values to a configuration: what is out of bounds, contradicts itself or is missing.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use ecs_scheduler_core::replica::ReplicaId;

use super::setting::STORE_SELECTORS;
use super::setting::{
    ADVERTISE, ALLOWED_HOSTS, AUTH, AWS_ASSUME_ROLE, AWS_EXTERNAL_ID, DATA_DIR, DYNAMODB_TABLE, ECS_CLUSTER,
    ECS_EVENTS_QUEUE, ECS_TAGS, HISTORY_DAYS, LAUNCHER, LISTEN, LOCAL_TASK_DEFINITIONS, LOG_FOLDER,
    LOG_LEVEL, MAX_TASKS, NAME, POSTGRES_URL, Part, REPLICA, S3_BUCKET, S3_PREFIX, SETTINGS, SQLITE_FILE,
    STORE, Setting, TASK_VARIABLES,
};
use super::values::Values;
use super::{
    ANY_HOST, AwsConfig, Config, ConfigRejected, ElasticsearchConfig, HISTORY_DAYS_LIMIT, LauncherConfig,
    LogConfig, LogLevel, MAX_TASKS_LIMIT, NAME_LIMIT, ReplicaConfig, Secret, StoreConfig,
};

impl Config {
    /// Gives the settings their meaning.
    ///
    /// # Errors
    ///
    /// Fails with every problem at once: values out of bounds, settings that contradict each other, parts that this
    /// build does not contain, a choice that is missing.
    pub fn resolve(values: &Values) -> Result<Self, ConfigRejected> {
        let mut problems = absent_parts(values, &|_| true);
        let parts_missing = !problems.is_empty();
        let name = collect_error(name(values), &mut problems);
        let listen = collect_error(listen(values), &mut problems);
        let allowed_hosts = collect_error(allowed_hosts(values), &mut problems).unwrap_or_default();
        let max_tasks = collect_error(max_tasks(values), &mut problems);
        let history_days = collect_error(history_days(values), &mut problems);
        let replica = collect_error(replica(values), &mut problems).unwrap_or_default();
        let level = collect_error(log_level(values), &mut problems);
        let task_variables =
            collect_error(on_or_off(values, &TASK_VARIABLES), &mut problems).unwrap_or_default();
        let store = collect_error(store(values), &mut problems);
        // A chosen ECS launcher that is missing was reported already.
        let launcher = if parts_missing && values.get(&LAUNCHER).is_none() {
            None
        } else {
            collect_error(launcher(values), &mut problems)
        };
        match (name, listen, max_tasks, history_days, level, store, launcher) {
            (
                Some(name),
                Some(listen),
                Some(max_tasks),
                Some(history_days),
                Some(level),
                Some(store),
                Some(launcher),
            ) if problems.is_empty() => {
                let log = LogConfig { level, folder: values.get(&LOG_FOLDER).map(|v| v.text.clone().into()) };
                let aws = AwsConfig {
                    assume_role: text(values, &AWS_ASSUME_ROLE),
                    external_id: text(values, &AWS_EXTERNAL_ID),
                };
                Ok(Self {
                    name,
                    listen,
                    allowed_hosts,
                    max_tasks,
                    history_days,
                    data_dir: data_dir(values),
                    log,
                    store,
                    launcher,
                    task_variables,
                    aws,
                    replica,
                })
            }
            _ => Err(ConfigRejected(problems)),
        }
    }
}

/// Gives those settings their meaning that a job is checked and decided by, for a command without a server: what is about
/// ports, logs and stores is left out. Where no launcher is chosen, it is that of ECS.
///
/// # Errors
///
/// Fails with every problem of these settings.
pub(crate) fn offline(values: &Values) -> Result<Config, ConfigRejected> {
    let of_a_server = [LISTEN.key, AUTH.key, REPLICA.key, ADVERTISE.key];
    let mut values = values.keeping(|setting| {
        !matches!(setting.part, Part::Log | Part::Store) && !of_a_server.contains(&setting.key)
    });
    values.set(&STORE, "memory");
    if [&LAUNCHER, &ECS_CLUSTER].iter().all(|setting| values.get(setting).is_none()) {
        let (setting, text) =
            if cfg!(feature = "aws") { (&ECS_CLUSTER, "default") } else { (&LAUNCHER, "local") };
        values.set(setting, text);
    }
    Config::resolve(&values)
}

fn collect_error<T>(outcome: Result<T, String>, problems: &mut Vec<String>) -> Option<T> {
    outcome.map_err(|problem| problems.push(problem)).ok()
}

fn absent_parts(values: &Values, of: &dyn Fn(&Setting) -> bool) -> Vec<String> {
    let mut problems = Vec::new();
    for setting in SETTINGS.iter().filter(|setting| of(setting) && values.get(setting).is_some()) {
        if let Part::Absent(part, remedy) = setting.part {
            problems.push(format!("{} is set, but this build has no {part}; {remedy}", setting.name()));
        }
    }
    problems
}

fn name(values: &Values) -> Result<String, String> {
    let name = values.text_or_default(&NAME);
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/');
    if name.len() > NAME_LIMIT || !name.bytes().all(fine) {
        return Err(format!(
            "ECSS_NAME is \"{name}\"; it must be 1 to {NAME_LIMIT} of letters, digits, \"-\", \"_\", \"/\", because tasks \
             are started by <name>/<job id>"
        ));
    }
    Ok(name.to_owned())
}

pub(crate) fn listen(values: &Values) -> Result<SocketAddr, String> {
    let text = values.text_or_default(&LISTEN);
    let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    let address = match local {
        Some(port) => SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        None => text.parse().map_err(|_| {
            format!("ECSS_LISTEN is \"{text}\"; it must be an IP address or localhost, a colon and a port: 127.0.0.1:5000")
        })?,
    };
    let auth = values.get(&AUTH).map(|value| value.text.as_str());
    if let Some(auth) = auth.filter(|auth| !auth.eq_ignore_ascii_case("off")) {
        return Err(format!("ECSS_AUTH is \"{auth}\"; the only value that this build knows is \"off\""));
    }
    if auth.is_none() && !address.ip().is_loopback() {
        return Err(format!(
            "ECSS_LISTEN is {address}, which other machines can reach, and nothing authenticates them; listen on \
             127.0.0.1, or set ECSS_AUTH=off if a proxy or the network restricts access"
        ));
    }
    Ok(address)
}

fn allowed_hosts(values: &Values) -> Result<Vec<String>, String> {
    let text = text(values, &ALLOWED_HOSTS).unwrap_or_default();
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    let wrong = |byte: u8| !(byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    names
        .map(|name| match name {
            ANY_HOST => Ok(name.to_owned()),
            _ if name.bytes().any(wrong) => Err(format!(
                "ECSS_ALLOWED_HOSTS has \"{name}\"; it must have names of hosts without scheme and port, separated by commas: \
                 scheduler.internal"
            )),
            _ => Ok(name.trim_end_matches('.').to_ascii_lowercase()),
        })
        .collect()
}

fn replica(values: &Values) -> Result<ReplicaConfig, String> {
    let id = text(values, &REPLICA)
        .map(|name| ReplicaId::new(&name).map_err(|error| format!("ECSS_REPLICA is \"{name}\"; {error}")));
    let advertise = text(values, &ADVERTISE).map(|url| {
        let host = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        match host.filter(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@', ' '])) {
            Some(host) => Ok(format!("http://{host}")),
            None => Err(format!("ECSS_ADVERTISE is \"{url}\"; it must be like http://10.0.0.7:5000")),
        }
    });
    Ok(ReplicaConfig { id: id.transpose()?, advertise: advertise.transpose()? })
}

fn max_tasks(values: &Values) -> Result<NonZeroU32, String> {
    let text = values.text_or_default(&MAX_TASKS);
    text.parse::<NonZeroU32>().ok().filter(|count| count.get() <= MAX_TASKS_LIMIT).ok_or_else(|| {
        format!("ECSS_MAX_TASKS is \"{text}\"; it must be a whole number from 1 to {MAX_TASKS_LIMIT}")
    })
}

fn history_days(values: &Values) -> Result<NonZeroU32, String> {
    let text = values.text_or_default(&HISTORY_DAYS);
    text.parse::<NonZeroU32>().ok().filter(|days| days.get() <= HISTORY_DAYS_LIMIT).ok_or_else(|| {
        format!("ECSS_HISTORY_DAYS is \"{text}\"; it must be a whole number from 1 to {HISTORY_DAYS_LIMIT}")
    })
}

fn log_level(values: &Values) -> Result<LogLevel, String> {
    values.text_or_default(&LOG_LEVEL).parse().map_err(|problem: String| format!("ECSS_LOG_LEVEL: {problem}"))
}

fn data_dir(values: &Values) -> PathBuf {
    values.text_or_default(&DATA_DIR).into()
}

/// Resolves the choice of a store, independent of other settings.
///
/// # Errors
///
/// Fails when two are chosen, or one that this build does not contain.
pub(crate) fn chosen_store(values: &Values) -> Result<StoreConfig, ConfigRejected> {
    let absent = absent_parts(values, &|setting| STORE_SELECTORS.contains(&setting.key));
    if !absent.is_empty() {
        return Err(ConfigRejected(absent));
    }
    store(values).map_err(|problem| ConfigRejected(vec![problem]))
}

fn store(values: &Values) -> Result<StoreConfig, String> {
    let kind = values.get(&STORE).map(|value| value.text.as_str());
    let mut chosen: Vec<String> = kind.map(|kind| format!("ECSS_STORE={kind}")).into_iter().collect();
    if kind == Some("sqlite") {
        chosen.clear();
    }
    for selector in STORE_SELECTORS {
        let setting = by_key(selector);
        if values.get(setting).is_some() || (selector == "sqlite.file" && kind == Some("sqlite")) {
            chosen.push(setting.name().to_owned());
        }
    }
    if chosen.len() > 1 {
        return Err(format!("{} each choose a store; keep one of them", chosen.join(" and ")));
    }
    if let Some(url) = text(values, &POSTGRES_URL) {
        return Ok(StoreConfig::Postgres { url: Secret(url) });
    }
    if let Some(table) = text(values, &DYNAMODB_TABLE) {
        ensure_name(&DYNAMODB_TABLE, &table, TABLE)?;
        return Ok(StoreConfig::DynamoDb { table });
    }
    if let Some(bucket) = text(values, &S3_BUCKET) {
        ensure_name(&S3_BUCKET, &bucket, BUCKET)?;
        return Ok(StoreConfig::S3 { bucket, prefix: text(values, &S3_PREFIX).unwrap_or_default() });
    }
    if values.get(&S3_PREFIX).is_some() {
        return Err("ECSS_S3_PREFIX is set, but no bucket is named; set ECSS_S3_BUCKET".to_owned());
    }
    if let Some(elasticsearch) = ElasticsearchConfig::find(values)? {
        return Ok(StoreConfig::Elasticsearch(elasticsearch));
    }
    match kind {
        Some("memory") => Ok(StoreConfig::Memory),
        None | Some("sqlite") => {
            let file = values.get(&SQLITE_FILE).map(|value| PathBuf::from(&value.text));
            Ok(StoreConfig::Sqlite { file: file.unwrap_or_else(|| data_dir(values).join("scheduler.db")) })
        }
        Some(other) => Err(format!(
            "ECSS_STORE is \"{other}\"; it knows sqlite and memory, and other stores are chosen by their own settings"
        )),
    }
}

/// How long the name of a DynamoDB table may be, so that `-journal` can stand behind it.
///
/// # Source
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html>
const TABLE: RangeInclusive<usize> = 3..=247;
/// How long the name of a bucket may be. New ones on AWS have 63 characters at most and no capital letters; old ones, and
/// those of other servers, may have both.
const BUCKET: RangeInclusive<usize> = 3..=255;

/// Refuses a name that no server takes. One that is an ARN is left to AWS.
fn ensure_name(setting: &Setting, name: &str, length: RangeInclusive<usize>) -> Result<(), String> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.starts_with("arn:") || (length.contains(&name.len()) && name.bytes().all(fine)) {
        return Ok(());
    }
    let (least, most) = (length.start(), length.end());
    Err(format!(
        "{} is \"{name}\"; it must be {least} to {most} of letters, digits, \"-\", \"_\", \".\"",
        setting.name()
    ))
}

fn launcher(values: &Values) -> Result<LauncherConfig, String> {
    let cluster = text(values, &ECS_CLUSTER);
    match (values.get(&LAUNCHER).map(|value| value.text.as_str()), cluster) {
        (Some("local"), _) => {
            let folder = values.get(&LOCAL_TASK_DEFINITIONS).map(|value| PathBuf::from(&value.text));
            let definitions = folder.unwrap_or_else(|| data_dir(values).join("task-definitions"));
            Ok(LauncherConfig::Local { definitions })
        }
        (Some("ecs"), _) if !cfg!(feature = "aws") => Err("ECSS_LAUNCHER is \"ecs\", but this build has no ECS launcher; \
                                                          set ECSS_LAUNCHER=local to run tasks as local processes"
            .to_owned()),
        (Some("ecs") | None, Some(cluster)) => {
            Ok(LauncherConfig::Ecs { cluster, tags: on_or_off(values, &ECS_TAGS)?, events_queue: text(values, &ECS_EVENTS_QUEUE) })
        }
        (Some("ecs"), None) => {
            Err("ECSS_LAUNCHER is \"ecs\", but no cluster is named; set ECSS_ECS_CLUSTER".to_owned())
        }
        (Some(other), _) => Err(format!("ECSS_LAUNCHER is \"{other}\"; this build has {}", launcher_kinds())),
        (None, None) => Err(nothing_chosen()),
    }
}

fn launcher_kinds() -> &'static str {
    if cfg!(feature = "aws") { "ecs and local" } else { "local" }
}

fn nothing_chosen() -> String {
    let ecs =
        if cfg!(feature = "aws") { "ECSS_ECS_CLUSTER to start tasks on an ECS cluster, or " } else { "" };
    format!(
        "nothing says what starts tasks; set {ecs}ECSS_LAUNCHER=local to run the commands of task definitions as \
         processes of this machine"
    )
}

fn on_or_off(values: &Values, setting: &Setting) -> Result<bool, String> {
    match values.text_or_default(setting) {
        "on" => Ok(true),
        "off" => Ok(false),
        other => Err(format!("{} is \"{other}\"; it must be on or off", setting.name())),
    }
}

fn text(values: &Values, setting: &Setting) -> Option<String> {
    values.get(setting).map(|value| value.text.clone())
}

fn by_key(key: &str) -> &'static Setting {
    SETTINGS.iter().find(|setting| setting.key == key).expect("the key is in the table")
}
