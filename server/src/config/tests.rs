use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use ecs_scheduler_core::ProviderDescriptor;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::values::{Environment, Flags, ValueSource, Values, decode_environment};
use super::{AuthConfig, Chosen, Config, LogLevel, report, resolve_token, setting};
use crate::access::OpenResource;
use crate::server::Server;

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn gather(flags: &Flags, environment: &Environment) -> Result<Values, Vec<String>> {
    Values::gather(Server::builder().providers(), flags, environment)
}

/// Returns the kind of a chosen provider, and those of its settings that have a value.
fn choice<P: ?Sized>(
    chosen: &Chosen<P>,
    descriptor: ProviderDescriptor,
) -> (&str, Vec<(&'static str, &str)>) {
    let value = |setting: &'static setting::Setting| Some((setting.key, chosen.settings.get(setting)?));
    (chosen.kind, descriptor.settings.iter().filter_map(value).collect())
}

fn store(config: &Config) -> (&str, Vec<(&'static str, &str)>) {
    choice(&config.store, config.store.provider.descriptor())
}

fn launcher(config: &Config) -> (&str, Vec<(&'static str, &str)>) {
    choice(&config.launcher, config.launcher.provider.descriptor())
}

fn resolve(pairs: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let values = gather(&Flags::new(), &environment(pairs))?;
    Config::resolve(&values).map_err(|refused| refused.0)
}

fn problem(pairs: &[(&str, &str)]) -> String {
    let mut problems = resolve(pairs).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.remove(0)
}

#[test]
fn only_the_launcher_must_be_chosen() {
    let config = resolve(&[("ECSS_LAUNCHER", "local")]).unwrap();
    assert_eq!(config.name, "ecs-scheduler");
    assert_eq!(config.listen.to_string(), "127.0.0.1:5000");
    assert_eq!((config.max_tasks.get(), config.history_days.get()), (50, 30));
    assert_eq!(config.log.level, LogLevel::Info);
    assert_eq!(store(&config), ("sqlite", vec![("sqlite.file", "data/scheduler.db")]));
    assert_eq!(launcher(&config), ("local", vec![("local.taskDefinitions", "data/task-definitions")]));
    let nothing = problem(&[]);
    assert!(nothing.starts_with("no launcher is chosen; set "), "{nothing}");
    assert!(nothing.contains("ECSS_LAUNCHER=local"), "{nothing}");
}

#[test]
fn an_empty_value_is_not_set() {
    let config = resolve(&[("ECSS_LAUNCHER", "local"), ("ECSS_NAME", ""), ("ECSS_SQLITE_FILE", "")]).unwrap();
    assert_eq!(config.name, "ecs-scheduler");
    assert_eq!(store(&config), ("sqlite", vec![("sqlite.file", "data/scheduler.db")]));
}

#[test]
fn values_are_expanded() {
    let config = resolve(&[("ECSS_LAUNCHER", "local"), ("ECSS_NAME", "s-{HOST}"), ("HOST", "7")]).unwrap();
    assert_eq!(config.name, "s-7");
    assert_eq!(
        problem(&[("ECSS_LAUNCHER", "local"), ("ECSS_NAME", "s-{NOPE}")]),
        "ECSS_NAME: {NOPE} names an environment variable that is not set"
    );
}

#[test]
fn allowed_hosts_are_names_without_scheme_and_port() {
    let hosts =
        |text| resolve(&[("ECSS_LAUNCHER", "local"), ("ECSS_ALLOWED_HOSTS", text)]).unwrap().allowed_hosts;
    assert_eq!(hosts(" Scheduler.Internal, jobs ,"), ["scheduler.internal", "jobs"]);
    assert_eq!(hosts("*"), ["*"]);
    assert_eq!(hosts("jobs."), ["jobs"]);
    for wrong in ["http://a", "a:5000", "a b", "*.example", ".", ","] {
        let problem = problem(&[("ECSS_LAUNCHER", "local"), ("ECSS_ALLOWED_HOSTS", wrong)]);
        assert!(problem.contains(wrong) && problem.contains("scheduler.internal"), "{problem}");
    }
}

#[test]
fn two_stores_are_refused_by_both_names() {
    assert_eq!(
        problem(&[("ECSS_LAUNCHER", "local"), ("ECSS_STORE", "memory"), ("ECSS_SQLITE_FILE", "x.db")]),
        "ECSS_STORE=memory and ECSS_SQLITE_FILE each choose a store; keep one of them"
    );
    let problems = resolve(&[("ECSS_LAUNCHER", "local"), ("ECSS_S3_BUCKET", "b"), ("ECSS_SQLITE_FILE", "x")])
        .unwrap_err();
    assert!(
        problems.contains(
            &"ECSS_SQLITE_FILE and ECSS_S3_BUCKET each choose a store; keep one of them".to_owned()
        )
    );
}

#[test]
fn naming_sqlite_beside_its_file_is_one_choice() {
    let pairs = [("ECSS_LAUNCHER", "local"), ("ECSS_STORE", "sqlite"), ("ECSS_SQLITE_FILE", "x.db")];
    assert_eq!(store(&resolve(&pairs).unwrap()), ("sqlite", vec![("sqlite.file", "x.db")]));
}

#[test]
fn parts_missing_in_this_build_are_named_with_a_remedy() {
    let absent: &[(&str, &str)] = &[
        #[cfg(not(feature = "aws"))]
        ("ECSS_ECS_CLUSTER", "ECS launcher"),
        #[cfg(not(feature = "aws"))]
        ("ECSS_S3_BUCKET", "S3 store"),
        #[cfg(not(feature = "aws"))]
        ("ECSS_DYNAMODB_TABLE", "DynamoDB store"),
        #[cfg(not(feature = "elasticsearch"))]
        ("ECSS_ELASTICSEARCH_INDEX", "Elasticsearch store"),
        #[cfg(not(feature = "postgres"))]
        ("ECSS_POSTGRES_URL", "PostgreSQL store"),
    ];
    for (variable, part) in absent {
        let text = problem(&[(variable, "x")]);
        assert!(text.starts_with(&format!("{variable} is set, but this build has no {part}; ")), "{text}");
        assert!(text.contains("ECSS_LAUNCHER=local") || text.contains("ECSS_SQLITE_FILE"), "{text}");
    }
    #[cfg(not(feature = "aws"))]
    assert!(problem(&[("ECSS_LAUNCHER", "ecs")]).contains("this build has no ECS launcher"));
}

#[cfg(feature = "postgres")]
#[test]
fn the_url_of_a_database_chooses_postgresql_and_is_not_shown() {
    let url = "postgres://me:secret@db/jobs";
    let config = resolve(&[("ECSS_LAUNCHER", "local"), ("ECSS_POSTGRES_URL", url)]).unwrap();
    assert_eq!(store(&config), ("postgres", vec![("postgres.url", url)]));
    assert!(!format!("{config:?}").contains("secret"));
    let two =
        problem(&[("ECSS_LAUNCHER", "local"), ("ECSS_POSTGRES_URL", url), ("ECSS_SQLITE_FILE", "x.db")]);
    assert_eq!(two, "ECSS_SQLITE_FILE and ECSS_POSTGRES_URL each choose a store; keep one of them");
}

#[cfg(feature = "elasticsearch")]
#[test]
fn an_index_chooses_elasticsearch() {
    let local = ("ECSS_LAUNCHER", "local");
    let hosts = ("ECSS_ELASTICSEARCH_HOSTS", "http://u:hush@es1, es2");
    let config = resolve(&[local, hosts, ("ECSS_ELASTICSEARCH_INDEX", "jobs")]).unwrap();
    let settings = vec![("elasticsearch.index", "jobs"), ("elasticsearch.hosts", hosts.1)];
    assert_eq!(store(&config), ("elasticsearch", settings));
    assert!(!format!("{config:?}").contains("hush"));
    assert_eq!(
        problem(&[local, hosts]),
        "ECSS_ELASTICSEARCH_HOSTS is set, but no index is named; set ECSS_ELASTICSEARCH_INDEX, or unset it"
    );
    assert_eq!(
        problem(&[local, ("ECSS_ELASTICSEARCH_INDEX", "jobs"), ("ECSS_STORE", "memory")]),
        "ECSS_STORE=memory and ECSS_ELASTICSEARCH_INDEX each choose a store; keep one of them"
    );
}

#[cfg(feature = "elasticsearch")]
#[test]
fn the_report_hides_users_and_passwords_of_nodes() {
    let pairs = [("ECSS_ELASTICSEARCH_HOSTS", "https://u:hush@es1/x@y,u:hush@es2,http://es3:9200")];
    let values = gather(&Flags::new(), &environment(&pairs)).unwrap();
    let lines = report::effective(&values);
    let line = lines.iter().find(|line| line.name == "ECSS_ELASTICSEARCH_HOSTS").unwrap();
    assert_eq!(line.value, "https://(hidden)@es1/x@y,(hidden)@es2,http://es3:9200");
}

#[cfg(feature = "aws")]
#[test]
fn a_table_chooses_dynamodb() {
    let pairs = [("ECSS_LAUNCHER", "local"), ("ECSS_DYNAMODB_TABLE", "jobs"), ("ECSS_S3_BUCKET", "jobs")];
    assert_eq!(store(&resolve(&pairs[..2]).unwrap()), ("dynamodb", vec![("dynamodb.table", "jobs")]));
    let two = problem(&pairs);
    assert_eq!(two, "ECSS_S3_BUCKET and ECSS_DYNAMODB_TABLE each choose a store; keep one of them");
}

#[cfg(feature = "aws")]
#[test]
fn a_bucket_chooses_s3_and_a_prefix_alone_is_an_error() {
    let pairs = [("ECSS_LAUNCHER", "local"), ("ECSS_S3_BUCKET", "jobs"), ("ECSS_S3_PREFIX", "prod")];
    let settings = vec![("s3.bucket", "jobs"), ("s3.prefix", "prod")];
    assert_eq!(store(&resolve(&pairs).unwrap()), ("s3", settings));
    assert_eq!(store(&resolve(&pairs[..2]).unwrap()), ("s3", vec![("s3.bucket", "jobs")]));
    let text = problem(&[("ECSS_LAUNCHER", "local"), ("ECSS_S3_PREFIX", "prod")]);
    assert_eq!(text, "ECSS_S3_PREFIX is set, but no bucket is named; set ECSS_S3_BUCKET");
}

#[cfg(feature = "aws")]
#[test]
fn a_cluster_implies_the_ecs_launcher() {
    let config = resolve(&[("ECSS_ECS_CLUSTER", "main"), ("ECSS_ECS_TAGS", "off")]).unwrap();
    let ecs = |tags| ("ecs", vec![("ecs.cluster", "main"), ("ecs.tags", tags)]);
    assert_eq!(launcher(&config), ecs("off"));
    let config = resolve(&[("ECSS_ECS_CLUSTER", "main"), ("ECSS_LAUNCHER", "ecs")]).unwrap();
    assert_eq!(launcher(&config), ecs("on"));
    let chosen = resolve(&[("ECSS_ECS_CLUSTER", "main"), ("ECSS_LAUNCHER", "local")]).unwrap();
    assert_eq!(chosen.launcher.kind, "local");
    assert!(problem(&[("ECSS_LAUNCHER", "ecs")]).contains("set ECSS_ECS_CLUSTER"));
    assert_eq!(
        problem(&[("ECSS_ECS_CLUSTER", "main"), ("ECSS_ECS_TAGS", "yes")]),
        "ECSS_ECS_TAGS is \"yes\"; it must be on or off"
    );
}

#[test]
fn tasks_get_firing_variables_unless_switched_off() {
    let local = ("ECSS_LAUNCHER", "local");
    assert!(resolve(&[local]).unwrap().task_variables);
    assert!(!resolve(&[local, ("ECSS_TASK_VARIABLES", "off")]).unwrap().task_variables);
    let wrong = problem(&[local, ("ECSS_TASK_VARIABLES", "none")]);
    assert_eq!(wrong, "ECSS_TASK_VARIABLES is \"none\"; it must be on or off");
}

#[cfg(feature = "aws")]
#[test]
fn names_roles_and_urls_of_another_form_are_refused() {
    let cluster = ("ECSS_ECS_CLUSTER", "main");
    let wrong = [
        ("ECSS_ECS_CLUSTER", "a b"),
        ("ECSS_ECS_CLUSTER", "arn:x"),
        ("ECSS_ECS_EVENTS_QUEUE", "a b"),
        ("ECSS_ECS_EVENTS_QUEUE", ".fifo"),
        ("ECSS_ECS_EVENTS_QUEUE", "https://sqs.eu-west-1.amazonaws.com"),
        ("ECSS_ECS_EVENTS_QUEUE", "sqs://host/1/events"),
        ("ECSS_AWS_ASSUME_ROLE", "x"),
        ("ECSS_AWS_ASSUME_ROLE", "arn:aws:iam::1:role/read"),
        ("ECSS_AWS_ASSUME_ROLE", "arn:aws:iam::123456789012:user/read"),
        ("ECSS_AWS_ASSUME_ROLE", "arn:aws:iam::123456789012:role/"),
        ("ECSS_ADVERTISE", "http://host:notaport"),
        ("ECSS_ADVERTISE", "http://a b"),
        ("ECSS_ADVERTISE", "http://"),
        ("ECSS_SERVER", "x y"),
        ("ECSS_SERVER", "http://host:notaport"),
    ];
    for (name, value) in wrong {
        let text = problem(&[cluster, (name, value)]);
        assert!(text.starts_with(&format!("{name} is \"{value}\"; ")), "{text}");
    }
    let right = [
        ("ECSS_ECS_CLUSTER", "batch_1"),
        ("ECSS_ECS_CLUSTER", "arn:aws-cn:ecs:cn-north-1:123456789012:cluster/batch"),
        ("ECSS_ECS_EVENTS_QUEUE", "task-events_1"),
        ("ECSS_ECS_EVENTS_QUEUE", "events.fifo"),
        ("ECSS_ECS_EVENTS_QUEUE", "http://localhost:4566/123456789012/events"),
        ("ECSS_AWS_ASSUME_ROLE", "arn:aws-us-gov:iam::123456789012:role/path/read"),
        ("ECSS_ADVERTISE", "http://[fd00::7]:5000/"),
        ("ECSS_SERVER", "http://jobs.internal/api/"),
    ];
    for pair in right {
        assert!(resolve(&[cluster, pair]).is_ok(), "{pair:?}");
    }
}

#[cfg(feature = "aws")]
#[test]
fn the_role_for_other_accounts_keeps_its_place_for_the_number() {
    let role = "arn:aws:iam::{{account}}:role/read";
    let config = resolve(&[("ECSS_ECS_CLUSTER", "main"), ("ECSS_AWS_ASSUME_ROLE", role)]).unwrap();
    assert_eq!(config.aws.assume_role.as_deref(), Some("arn:aws:iam::{account}:role/read"));
}

#[test]
fn an_address_that_others_reach_needs_authentication_or_auth_off_spelled_out() {
    let open =
        |auth| resolve(&[("ECSS_LAUNCHER", "local"), ("ECSS_LISTEN", "0.0.0.0:80"), ("ECSS_AUTH", auth)]);
    assert!(open("").unwrap_err()[0].contains("set ECSS_AUTH=tokens"));
    for auth in ["off", "OFF", "tokens"] {
        assert_eq!(open(auth).unwrap().listen.to_string(), "0.0.0.0:80");
    }
    let local = resolve(&[("ECSS_LAUNCHER", "local"), ("ECSS_LISTEN", "localhost:81")]).unwrap();
    assert_eq!(local.listen.to_string(), "127.0.0.1:81");
    assert!(resolve(&[("ECSS_LAUNCHER", "local"), ("ECSS_LISTEN", "[::1]:81")]).is_ok());
    assert!(problem(&[("ECSS_LAUNCHER", "local"), ("ECSS_LISTEN", "5000")]).contains("127.0.0.1:5000"));
}

#[test]
fn auth_is_a_list_of_methods_or_off() {
    let auth = |text: &str, open: &str| {
        resolve(&[("ECSS_LAUNCHER", "local"), ("ECSS_AUTH", text), ("ECSS_AUTH_OPEN", open)])
    };
    let tokens = auth(" Tokens ,", "docs, metrics").unwrap().auth;
    assert_eq!(
        (tokens.tokens, tokens.open.as_slice()),
        (true, &[OpenResource::Docs, OpenResource::Metrics][..])
    );
    assert_eq!(auth("off", "").unwrap().auth, AuthConfig::default());
    assert_eq!(auth("", "").unwrap().auth, AuthConfig::default());
    for wrong in ["none", "off,tokens", "tokens,off", ",", "oidc"] {
        let problems = auth(wrong, "").unwrap_err();
        assert_eq!(problems, [format!("ECSS_AUTH is \"{wrong}\"; it must be tokens or off")]);
    }
    assert!(auth("tokens", "jobs").unwrap_err()[0].contains("metrics, docs"));
}

#[test]
fn the_token_of_commands_is_one_word_and_that_of_a_file_wins() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "ecss_b_c\n").unwrap();
    let values = gather(&Flags::new(), &environment(&[("ECSS_TOKEN", "ecss_a_b")])).unwrap();
    assert_eq!(resolve_token(&values, None).unwrap().as_deref(), Some("ecss_a_b"));
    assert_eq!(resolve_token(&values, Some(&file)).unwrap().as_deref(), Some("ecss_b_c"));
    for wrong in ["", "a b", "ä"] {
        std::fs::write(&file, wrong).unwrap();
        let problem = resolve_token(&values, Some(&file)).unwrap_err();
        assert!(problem.contains("token create") && !problem.contains("a b"), "{problem}");
    }
    assert!(
        resolve_token(&values, Some(&folder.path().join("none"))).unwrap_err().contains("could not read")
    );
}

#[test]
fn every_problem_is_reported_at_once() {
    let problems = resolve(&[
        ("ECSS_NAME", "a b"),
        ("ECSS_MAX_TASKS", "0"),
        ("ECSS_HISTORY_DAYS", "0"),
        ("ECSS_LOG_LEVEL", "loud"),
        ("ECSS_STORE", "tape"),
        ("ECSS_LAUNCHER", "cannon"),
    ])
    .unwrap_err();
    let starts = [
        "ECSS_NAME is \"a b\"",
        "ECSS_MAX_TASKS is \"0\"",
        "ECSS_HISTORY_DAYS is \"0\"",
        "ECSS_LOG_LEVEL: \"loud\"",
        "ECSS_STORE is",
        "ECSS_LAUNCHER is",
    ];
    assert_eq!(problems.len(), starts.len());
    for (problem, start) in problems.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem}");
    }
}

#[test]
fn python_level_names_are_known_in_any_case() {
    for (text, level) in [
        ("CRITICAL", LogLevel::Error),
        ("warning", LogLevel::Warning),
        ("Info", LogLevel::Info),
        ("NOTSET", LogLevel::Trace),
    ] {
        assert_eq!(text.parse(), Ok(level));
    }
}

#[test]
fn flags_win_over_environment_and_environment_over_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.yaml");
    std::fs::write(&file, "name: from-file\nmaxTasks: 3\nlisten: 127.0.0.1:1\nlauncher: local\n").unwrap();
    let environment = environment(&[
        ("ECSS_CONFIG_FILE", file.to_str().unwrap()),
        ("ECSS_MAX_TASKS", "4"),
        ("ECSS_LISTEN", "127.0.0.1:2"),
    ]);
    let flags = Flags::from([("listen", "127.0.0.1:3".to_owned())]);
    let values = gather(&flags, &environment).unwrap();
    let config = Config::resolve(&values).unwrap();
    assert_eq!((config.name.as_str(), config.max_tasks.get(), config.listen.port()), ("from-file", 4, 3));
    let origin = |setting| values.get(&setting).unwrap().origin.clone();
    assert_eq!(origin(setting::NAME), ValueSource::File(file));
    assert_eq!(origin(setting::MAX_TASKS), ValueSource::Environment("ECSS_MAX_TASKS"));
    assert_eq!(origin(setting::LISTEN), ValueSource::Flag("listen".to_owned()));
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let text = problem(&[("ECSS_CONFIG_FILE", "/nowhere/settings.yaml")]);
    assert!(text.starts_with("could not read configuration file /nowhere/settings.yaml: "), "{text}");
}

#[test]
fn a_configuration_file_without_an_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let pipe = pipe.to_str().unwrap();
    for (file, reason) in [("/dev/zero", "it is longer than 64 MiB"), (pipe, "it is a pipe without a writer")]
    {
        let text = problem(&[("ECSS_CONFIG_FILE", file)]);
        assert_eq!(text, format!("could not read configuration file {file}: {reason}"));
    }
}

#[test]
fn settings_that_are_not_utf_8_are_refused_and_other_variables_left_out() {
    let decode = |pairs: &[(&[u8], &[u8])]| {
        let text = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        decode_environment(pairs.iter().map(|(name, value)| (text(name), text(value))))
    };
    let fine = decode(&[(b"ECSS_NAME", b"blue"), (b"LS_COLORS", b"\xff"), (b"\xff", b"x")]);
    assert_eq!(fine, Ok(environment(&[("ECSS_NAME", "blue")])));
    let wrong = decode(&[(b"ECSS_NAME", b"blue"), (b"ECSS_DATA_DIR", b"/x/\xff"), (b"ECSS_\xff", b"")]);
    assert_eq!(
        wrong.unwrap_err(),
        ["ECSS_DATA_DIR is not UTF-8", "the name of the variable ECSS_\u{fffd} is not UTF-8"]
    );
}

#[test]
fn a_variable_that_is_almost_a_setting_is_a_warning() {
    let values = gather(&Flags::new(), &environment(&[("ECSS_LISTNE", "x"), ("OTHER", "y")])).unwrap();
    assert_eq!(values.warnings, ["ECSS_LISTNE is not a setting (did you mean \"ECSS_LISTEN\"?)"]);
}

#[test]
fn report_hides_secrets_and_shows_origins() {
    let pairs = [("ECSS_POSTGRES_URL", "postgres://me:secret@db"), ("ECSS_DATA_DIR", "d")];
    let values = gather(&Flags::new(), &environment(&pairs)).unwrap();
    let lines = report::effective(&values);
    let line = |name| lines.iter().find(|line| line.name == name).unwrap();
    assert_eq!(line("ECSS_POSTGRES_URL").value, "(hidden)");
    assert_eq!(line("ECSS_DATA_DIR").origin, "environment ECSS_DATA_DIR");
    assert_eq!(
        (line("ECSS_NAME").value.as_str(), line("ECSS_NAME").origin.as_str()),
        ("ecs-scheduler", "default")
    );
    let of_elasticsearch = lines.iter().any(|line| line.name == "ECSS_ELASTICSEARCH_INDEX");
    assert_eq!(of_elasticsearch, cfg!(feature = "elasticsearch"), "what this build lacks is not listed");
}

#[test]
fn the_table_has_no_name_key_or_flag_twice() {
    let mut names = std::collections::BTreeSet::new();
    for setting in Server::builder().providers().settings() {
        assert!(names.insert(setting.key.to_owned()), "{}", setting.key);
        if let Some(variable) = setting.variable {
            assert!(names.insert(variable.to_owned()), "{variable}");
        }
        if let Some(flag) = setting.flag() {
            assert!(names.insert(format!("--{flag}")), "{flag}");
        }
    }
}

#[cfg(all(feature = "aws", feature = "elasticsearch"))]
#[test]
fn every_variable_of_the_python_version_is_a_setting_and_expanded() {
    let variables = [
        "ECSS_ECS_CLUSTER",
        "ECSS_NAME",
        "ECSS_LOG_LEVEL",
        "ECSS_LOG_FOLDER",
        "ECSS_SQLITE_FILE",
        "ECSS_S3_BUCKET",
        "ECSS_S3_PREFIX",
        "ECSS_DYNAMODB_TABLE",
        "ECSS_ELASTICSEARCH_INDEX",
        "ECSS_ELASTICSEARCH_HOSTS",
        "ECSS_CONFIG_FILE",
    ];
    let builder = Server::builder();
    let inherited: Vec<&str> = builder
        .providers()
        .settings()
        .iter()
        .filter(|setting| setting.python)
        .filter_map(|setting| setting.variable)
        .collect();
    assert!(variables.iter().all(|variable| inherited.contains(variable)), "{inherited:?}");
    assert_eq!(inherited.len(), variables.len());
    for variable in variables {
        let pairs = [(variable, "{{a}}-{STAGE}.x"), ("STAGE", "prod"), ("ECSS_LAUNCHER", "local")];
        let values = gather(&Flags::new(), &environment(&pairs));
        let expanded = "{a}-prod.x";
        match values {
            Ok(values) => {
                let lines = report::effective(&values);
                assert!(
                    lines.iter().any(|line| line.name == variable && line.value == expanded),
                    "{variable}"
                );
            }
            // The file is read at once.
            Err(problems) => assert!(problems[0].contains(expanded), "{variable}: {problems:?}"),
        }
    }
}

#[test]
fn settings_without_any_value_are_equal_to_their_defaults() {
    let local = ("ECSS_LAUNCHER", "local");
    let default = resolve(&[local]).unwrap().store;
    assert_eq!(default, resolve(&[local, ("ECSS_SQLITE_FILE", "data/scheduler.db")]).unwrap().store);
    assert_ne!(default, resolve(&[local, ("ECSS_SQLITE_FILE", "other.db")]).unwrap().store);
    assert_ne!(default, resolve(&[local, ("ECSS_STORE", "memory")]).unwrap().store);
}

#[test]
fn an_unknown_kind_is_refused_with_the_installed_ones() {
    let tape = problem(&[("ECSS_LAUNCHER", "local"), ("ECSS_STORE", "tape")]);
    let known = "known are sqlite and memory; choose another store by its own setting";
    assert_eq!(tape, format!("ECSS_STORE is \"tape\"; {known}"));
    let cannon = problem(&[("ECSS_LAUNCHER", "cannon")]);
    let kinds = if cfg!(feature = "aws") { "ecs and local" } else { "local" };
    assert_eq!(cannon, format!("ECSS_LAUNCHER is \"cannon\"; this build has {kinds}"));
}
