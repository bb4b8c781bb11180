//! The settings as flags, made from the table of settings.

use std::convert::Infallible;

use clap::{Arg, ArgGroup, ArgMatches, Args, Command, FromArgMatches};

use crate::config::setting::ListedSetting;
use crate::config::values::Flags;

#[cfg(test)]
mod tests;

/// The name of the group that marks the commands with [`SettingFlags`].
const MARKER: &str = "settings";

/// The given flags of settings. `add_setting_flags` adds the flags to the command.
#[derive(Debug, Clone, Default)]
pub struct SettingFlags(pub Flags);

/// The key of a setting and its value.
type GivenFlag = (&'static str, String);

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        command.group(ArgGroup::new(MARKER))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given =
            matches.ids().filter_map(|id| matches.try_get_one::<GivenFlag>(id.as_str()).ok().flatten());
        Ok(Self(given.cloned().collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Adds a flag for each setting that has one, to this command and those below it that take [`SettingFlags`].
pub(crate) fn add_setting_flags(command: Command, settings: &[ListedSetting]) -> Command {
    let takes_flags = command.get_groups().any(|group| group.get_id() == MARKER);
    let flags = settings.iter().filter(|_| takes_flags).filter_map(flag);
    command.args(flags).mut_subcommands(|below| add_setting_flags(below, settings))
}

fn flag(setting: &ListedSetting) -> Option<Arg> {
    let key = setting.key;
    let given = move |text: &str| Ok::<GivenFlag, Infallible>((key, text.to_owned()));
    Some(
        Arg::new(key)
            .long(setting.flag()?)
            .value_name(setting.value)
            .value_parser(given)
            .help(format!("{} [{}]", setting.brief(), setting.name()))
            .help_heading("Settings"),
    )
}
