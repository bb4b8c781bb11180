//! `doc/configuration.md`, made from the table of settings.

use std::fmt::Write as _;

use super::setting::{ListedSetting, Part};

const HEAD: &str = "\
# Configuration

<!-- Made by `make docs` from server/src/config/setting.rs and the provider.rs of each backend; change it there. -->

A setting can be given in three places. A flag wins over an environment variable, an environment variable over the
file. An empty value counts as not set.

- **Flags** of `ecs-scheduler serve`: `--max-tasks 20`.
- **Environment variables**: `ECSS_MAX_TASKS=20`. In their values `{NAME}` becomes the value of another environment
  variable, and `{{` and `}}` become a brace: `ECSS_NAME=scheduler-{HOSTNAME}`. An unknown name or a single brace is an
  error.
- **A YAML file** that `ECSS_CONFIG_FILE` or `--config-file` names. A dot in a key is a level of nesting. An unknown
  key is an error, and the message suggests the nearest known key:

  ```yaml
  maxTasks: 20
  log:
    level: debug
  ```

  A value without quotes keeps its text: `0x1F`, `007`, `1.50` and `yes` mean themselves.

A variable that begins with `ECSS_` but is not a setting gives a warning with the nearest name, in `config check` and in the
log of `serve`. It is not an error, because other programs may use such names. A setting of a store or launcher that is not
chosen gives a warning, because it has no effect.

A path at which there is another kind of object, and one at which this user can create nothing, is an error before anything starts. The
same holds for the files in the data folder and in the log folder.

`ecs-scheduler config check` takes the same flags, environment and file. It shows the effective settings and their sources,
hides secrets, and reports all errors at once.
";

/// A heading, and the parts below it.
type Section = (&'static str, fn(Part) -> bool);

const SECTIONS: [Section; 7] = [
    ("Scheduler", |part| part == Part::Scheduler),
    ("Log", |part| part == Part::Log),
    ("Store", |part| part == Part::Store),
    ("Launcher", |part| part == Part::Launcher),
    ("AWS", |part| part == Part::Aws),
    ("Client commands", |part| part == Part::Client),
    ("Not in this build", |part| matches!(part, Part::Absent(..))),
];

/// Makes the page.
#[must_use]
pub fn page(settings: &[ListedSetting]) -> String {
    let mut page = HEAD.to_owned();
    for (title, belongs) in SECTIONS {
        if !settings.iter().any(|setting| belongs(setting.part)) {
            continue;
        }
        let _ = write!(page, "\n## {title}\n");
        if title == "Store" {
            page.push_str(STORE);
        }
        if title == "AWS" {
            page.push_str(AWS);
        }
        if title == "Not in this build" {
            page.push_str(ABSENT);
        }
        for setting in settings.iter().filter(|setting| belongs(setting.part)) {
            describe(&mut page, setting);
        }
    }
    page
}

const STORE: &str = "\nSettings that choose two different stores are an error that names both.\n";
const AWS: &str = "\
\nCredentials, region and endpoints come from the AWS SDK's own chain: `AWS_REGION`, `AWS_PROFILE`, `AWS_ACCESS_KEY_ID`, the
task's or the instance's role, `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_ECS`. The scheduler calls AWS only when a job needs it.\n";
const ABSENT: &str =
    "\nThese settings are known, but this build does not support them: setting one is an error.\n";

fn describe(page: &mut String, setting: &ListedSetting) {
    let _ = write!(page, "\n### `{}`\n", setting.name());
    if let Part::Absent(part, remedy) = setting.part {
        let _ = write!(page, "\nThis build has no {part}: {remedy}.\n");
        return;
    }
    let _ = write!(page, "\n{}.\n", setting.help);
    let _ = write!(
        page,
        "\n| value | default | flag | key in the file | in the Python version |\n|---|---|---|---|---|\n"
    );
    let flag = setting.flag().map_or_else(|| "–".to_owned(), |flag| format!("`--{flag}`"));
    let key = if setting.key == "configFile" { "–".to_owned() } else { format!("`{}`", setting.key) };
    let python = if setting.python { "yes" } else { "no" };
    let _ = writeln!(page, "| `{}` | {} | {flag} | {key} | {python} |", setting.value, setting.default);
}
