//! Resolves raw values to a configuration, and finds values that are out of bounds, contradictory or missing.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use ecs_scheduler_core::Budget;
use ecs_scheduler_core::replica::ReplicaId;

use super::choice::{StoreConfig, choose_launcher, choose_store, launcher_config, without_effect};
use super::paths::wrong_paths;
use super::setting::{
    ADVERTISE, ALLOWED_HOSTS, AUTH, AUTH_OPEN, AWS_ASSUME_ROLE, AWS_EXTERNAL_ID, BUDGETS, DATA_DIR,
    HISTORY_DAYS, LAUNCHER, LISTEN, LOG_FOLDER, LOG_LEVEL, ListedSetting, MAX_TASKS, NAME, NOTIFY, Part,
    REPLICA, SERVER, STORE, Setting, TASK_VARIABLES, TOKEN,
};
use super::types::{
    ANY_HOST, AuthConfig, AwsConfig, Config, HISTORY_DAYS_LIMIT, LogConfig, LogLevel, MAX_TASKS_LIMIT,
    NAME_LIMIT, ReplicaConfig,
};
use super::values::Values;
use crate::access::OpenResource;
use crate::client::server_url;
use crate::error::ConfigRejected;
use crate::notify::NotifyConfig;

/// The kind of the launcher that checks jobs offline if none is chosen, and imported jobs always.
const ECS: &str = "ecs";
/// The cluster of that launcher; it is never called.
const OFFLINE_CLUSTER: &str = "default";

impl Config {
    /// Resolves all settings.
    ///
    /// # Errors
    ///
    /// Fails with all problems at once: values out of bounds, contradictory settings, parts that this build does not
    /// contain, a missing choice.
    pub fn resolve(values: &Values) -> Result<Self, ConfigRejected> {
        let mut problems = absent_parts(values, &|_| true);
        let parts_missing = !problems.is_empty();
        let name = collect_error(name(values), &mut problems);
        let listen = collect_error(listen(values), &mut problems);
        let auth = collect_error(auth(values), &mut problems).flatten().unwrap_or_default();
        let allowed_hosts = collect_error(allowed_hosts(values), &mut problems).unwrap_or_default();
        let max_tasks = collect_error(max_tasks(values), &mut problems);
        let history_days = collect_error(history_days(values), &mut problems);
        let notify = collect_errors(notify(values), &mut problems);
        let budgets = collect_errors(budgets(values), &mut problems);
        let replica = collect_error(replica(values), &mut problems).unwrap_or_default();
        let assume_role = collect_error(assume_role(values), &mut problems).flatten();
        let client_token = collect_error(client(values), &mut problems).flatten();
        let level = collect_error(log_level(values), &mut problems);
        let task_variables = collect_error(task_variables(values), &mut problems).unwrap_or_default();
        let store = collect_error(choose_store(values), &mut problems);
        // A chosen ECS launcher that is missing was reported already.
        let launcher = if parts_missing && values.get(&LAUNCHER).is_none() {
            None
        } else {
            collect_error(choose_launcher(values), &mut problems)
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
                let aws = AwsConfig { assume_role, external_id: text(values, &AWS_EXTERNAL_ID) };
                Ok(Self {
                    name,
                    listen,
                    auth,
                    allowed_hosts,
                    max_tasks,
                    history_days,
                    data_dir: data_dir(values),
                    log,
                    store,
                    launcher,
                    task_variables,
                    aws,
                    budgets,
                    notify,
                    replica,
                    token: client_token,
                })
            }
            _ => Err(ConfigRejected(problems)),
        }
    }
}

/// Resolves the settings of a server that is about to start. Also returns the warnings: variables that are no settings, and
/// settings without an effect.
///
/// # Errors
///
/// As [`Config::resolve`], and for each path that the server cannot use.
pub(crate) fn of_server(values: &Values) -> Result<(Config, Vec<String>), ConfigRejected> {
    let resolved = Config::resolve(values);
    let wrong = wrong_paths(values, resolved.as_ref().ok());
    match resolved {
        Ok(config) if wrong.is_empty() => {
            let without_effect = without_effect(values, &config.store, &config.launcher);
            let warnings = values.warnings.iter().cloned().chain(without_effect).collect();
            Ok((config, warnings))
        }
        Ok(_) => Err(ConfigRejected(wrong)),
        Err(ConfigRejected(problems)) => Err(ConfigRejected([problems, wrong].concat())),
    }
}

/// Resolves the settings that check and decide jobs, for a command without a server: settings of ports, logs and stores
/// are ignored. The default launcher is that of ECS.
///
/// # Errors
///
/// Fails with all problems of these settings.
pub(crate) fn offline(values: &Values) -> Result<Config, ConfigRejected> {
    let of_a_server = [LISTEN.key, AUTH.key, AUTH_OPEN.key, REPLICA.key, ADVERTISE.key];
    let mut values = values.keeping(|setting| {
        !matches!(setting.part, Part::Log | Part::Store | Part::Client) && !of_a_server.contains(&setting.key)
    });
    values.set(&STORE, "memory");
    let launchers = values.providers().launchers();
    let selectors = launchers.filter_map(|launcher| launcher.descriptor().selector());
    let is_chosen = selectors.chain([&LAUNCHER]).any(|setting| values.get(setting).is_some());
    if !is_chosen {
        let present = values.providers().present_launchers().into_iter();
        match present.filter(|launcher| launcher.kind == ECS).find_map(|launcher| launcher.selector()) {
            Some(selector) => values.set(selector, OFFLINE_CLUSTER),
            None => values.set(&LAUNCHER, "local"),
        }
    }
    Config::resolve(&values)
}

/// Resolves as [`offline`], but with the ECS launcher if another one is configured: imported jobs ran on ECS or will.
///
/// # Errors
///
/// As [`offline`].
pub(crate) fn offline_on_ecs(values: &Values) -> Result<Config, ConfigRejected> {
    let config = offline(values)?;
    let Some(ecs) = values.providers().launcher(ECS).filter(|_| config.launcher.kind != ECS) else {
        return Ok(config);
    };
    let mut defaults = values.keeping(|_| false);
    if let Some(selector) = ecs.descriptor().selector() {
        defaults.set(selector, OFFLINE_CLUSTER);
    }
    Ok(Config { launcher: launcher_config(ecs, &defaults), ..config })
}

fn collect_error<T>(outcome: Result<T, String>, problems: &mut Vec<String>) -> Option<T> {
    outcome.map_err(|problem| problems.push(problem)).ok()
}

fn collect_errors<T: Default>(outcome: Result<T, Vec<String>>, problems: &mut Vec<String>) -> T {
    outcome.unwrap_or_else(|mut wrong| {
        problems.append(&mut wrong);
        T::default()
    })
}

fn absent_parts(values: &Values, of: &dyn Fn(&ListedSetting) -> bool) -> Vec<String> {
    let mut problems = Vec::new();
    for setting in
        values.providers().settings().iter().filter(|setting| of(setting) && values.get(setting).is_some())
    {
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
            "ECSS_NAME is \"{name}\"; it must be 1 to {NAME_LIMIT} of letters, digits, \"-\", \"_\", \"/\", \
             because tasks are started by <name>/<job id>"
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
            format!(
                "ECSS_LISTEN is \"{text}\"; it must be an IP address or localhost, a colon and a port: \
                     127.0.0.1:5000"
            )
        })?,
    };
    if values.get(&AUTH).is_none() && !address.ip().is_loopback() {
        return Err(format!(
            "ECSS_LISTEN is {address}, which other machines can reach, and the API does not authenticate clients; \
             set ECSS_AUTH=tokens, listen on 127.0.0.1, or set ECSS_AUTH=off if a proxy or the network restricts access"
        ));
    }
    Ok(address)
}

/// Resolves how clients authenticate; nothing if that is not set.
fn auth(values: &Values) -> Result<Option<AuthConfig>, String> {
    let words = |text: &str| -> Vec<String> {
        text.split(',').map(|word| word.trim().to_ascii_lowercase()).filter(|word| !word.is_empty()).collect()
    };
    let given = text(values, &AUTH);
    let methods = given.as_deref().map(words);
    let tokens = match methods.as_deref() {
        None => false,
        Some([only]) if only == "off" => false,
        Some(all) if !all.is_empty() && all.iter().all(|method| method == "tokens") => true,
        Some(_) => {
            let given = given.unwrap_or_default();
            return Err(format!("ECSS_AUTH is \"{given}\"; it must be tokens or off"));
        }
    };
    let mut open = Vec::new();
    for name in text(values, &AUTH_OPEN).as_deref().map(words).unwrap_or_default() {
        let found = OpenResource::ALL.into_iter().find(|resource| resource.as_str() == name);
        open.push(found.ok_or_else(|| {
            let known = OpenResource::ALL.map(OpenResource::as_str).join(", ");
            format!("ECSS_AUTH_OPEN has \"{name}\"; it must have names separated by commas: {known}")
        })?);
    }
    Ok(methods.map(|_| AuthConfig { tokens, open }))
}

fn allowed_hosts(values: &Values) -> Result<Vec<String>, String> {
    let Some(text) = text(values, &ALLOWED_HOSTS) else { return Ok(Vec::new()) };
    let refusal = |name: &str| {
        format!(
            "ECSS_ALLOWED_HOSTS has \"{name}\"; it must have names of hosts without scheme and port, separated by \
             commas: scheduler.internal"
        )
    };
    let mut names = text.split(',').map(str::trim).filter(|name| !name.is_empty()).peekable();
    if names.peek().is_none() {
        return Err(refusal(&text));
    }
    let wrong = |byte: u8| !(byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    names
        .map(|name| match name.trim_end_matches('.') {
            _ if name == ANY_HOST => Ok(name.to_owned()),
            host if host.is_empty() || host.bytes().any(wrong) => Err(refusal(name)),
            host => Ok(host.to_ascii_lowercase()),
        })
        .collect()
}

/// Resolves the role for other accounts. Its text was expanded: `{account}` is the placeholder.
fn assume_role(values: &Values) -> Result<Option<String>, String> {
    let Some(role) = text(values, &AWS_ASSUME_ROLE) else { return Ok(None) };
    let parts: Vec<&str> = role.splitn(6, ':').collect();
    let is_account =
        |text: &str| text == "{account}" || (text.len() == 12 && text.bytes().all(|c| c.is_ascii_digit()));
    let is_name = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_graphic());
    match parts.as_slice() {
        ["arn", partition, "iam", "", account, resource]
            if is_name(partition)
                && is_account(account)
                && resource.strip_prefix("role/").is_some_and(is_name) =>
        {
            Ok(Some(role))
        }
        _ => Err(format!(
            "ECSS_AWS_ASSUME_ROLE is \"{role}\"; it must be the ARN of a role, such as \
             arn:aws:iam::{{{{account}}}}:role/ecs-scheduler-read"
        )),
    }
}

/// Resolves the server of commands.
///
/// # Errors
///
/// Fails when it is not the URL of a server.
pub(crate) fn server(values: &Values) -> Result<String, String> {
    let text = values.text_or_default(&SERVER);
    server_url(text).map_err(|why| format!("ECSS_SERVER is \"{text}\"; {why}"))
}

fn task_variables(values: &Values) -> Result<bool, String> {
    let parsed = TASK_VARIABLES.parse_switch(values.text_or_default(&TASK_VARIABLES));
    parsed.map_err(|error| error.message)
}

/// Checks the settings of commands, and returns the token that they send.
fn client(values: &Values) -> Result<Option<String>, String> {
    server(values).and_then(|_| token(values, None))
}

/// Resolves the token of commands: that of a file, if one is given.
///
/// # Errors
///
/// Fails when the file cannot be read, or the token cannot be sent.
pub(crate) fn token(values: &Values, file: Option<&Path>) -> Result<Option<String>, String> {
    let (name, token) = match file {
        Some(file) => {
            let name = format!("token file \"{}\"", file.display());
            let text =
                std::fs::read_to_string(file).map_err(|error| format!("could not read {name}: {error}"))?;
            (name, Some(text.trim().to_owned()))
        }
        None => (TOKEN.name().to_owned(), text(values, &TOKEN)),
    };
    match token {
        Some(token) if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err(format!(
                "{name} has no access token: it must be one word, as `ecs-scheduler token create` prints it"
            ))
        }
        token => Ok(token),
    }
}

fn replica(values: &Values) -> Result<ReplicaConfig, String> {
    let id = text(values, &REPLICA)
        .map(|name| ReplicaId::new(&name).map_err(|error| format!("ECSS_REPLICA is \"{name}\"; {error}")));
    let advertise = text(values, &ADVERTISE).map(|url| {
        let host = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        let is_host = |host: &&str| {
            !host.contains(['/', '?', '#', '@']) && server_url(&format!("http://{host}")).is_ok()
        };
        match host.filter(is_host) {
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

fn budgets(values: &Values) -> Result<Vec<Budget>, Vec<String>> {
    text(values, &BUDGETS).map_or_else(|| Ok(Vec::new()), |text| crate::budgets::parse(&text))
}

fn notify(values: &Values) -> Result<NotifyConfig, Vec<String>> {
    if !values.unset.is_empty() {
        return Err(values.unset.clone());
    }
    text(values, &NOTIFY).map_or_else(|| Ok(NotifyConfig::default()), |text| NotifyConfig::parse(&text))
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
/// Fails when two are chosen, or one that this build does not contain, and when its settings are invalid.
pub(crate) fn chosen_store(values: &Values) -> Result<StoreConfig, ConfigRejected> {
    let selectors: Vec<_> =
        values.providers().stores().filter_map(|provider| provider.descriptor().selector).collect();
    let absent = absent_parts(values, &|setting| selectors.contains(&setting.key));
    if !absent.is_empty() {
        return Err(ConfigRejected(absent));
    }
    choose_store(values).map_err(|problem| ConfigRejected(vec![problem]))
}

fn text(values: &Values, setting: &Setting) -> Option<String> {
    values.get(setting).map(|value| value.text.clone())
}
