//! The settings as flags, made from the table of settings.

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use crate::config::setting::SETTINGS;
use crate::config::values::Flags;

/// A flag for each setting that has one.
#[derive(Debug, Clone, Default)]
pub struct SettingFlags(pub Flags);

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        SETTINGS.iter().fold(command, |command, setting| match setting.flag() {
            Some(flag) => command.arg(
                Arg::new(setting.key)
                    .long(flag)
                    .value_name(setting.value)
                    .help(format!("{} [{}]", first_sentence(setting.help), setting.name()))
                    .help_heading("Settings"),
            ),
            None => command,
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = SETTINGS.iter().filter(|setting| setting.flag().is_some()).filter_map(|setting| {
            matches.get_one::<String>(setting.key).map(|value| (setting.key, value.clone()))
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn first_sentence(help: &str) -> &str {
    let end = help.find(['.', ':', ';']).filter(|end| help[end + 1..].starts_with(' '));
    &help[..end.unwrap_or(help.len())]
}
