//! `doc/cli.md`, generated from the definition of the command line.

use std::fmt::Write as _;

use clap::Command;

use crate::error::EXIT_CODES;

const HEAD: &str = "\
# Command line

<!-- Made by `make docs` from server/src/cli; change it there. -->

Without a command, `ecs-scheduler` serves. The default output is a table; `--json` prints the API's answer. Settings of
`serve` are flags, environment variables or lines of a file: [configuration](configuration.md).

Results go to standard output; the log and errors go to standard error.

| exit code | when |
|---|---|
";

/// Makes the page of this command line.
#[must_use]
pub fn page(command: Command) -> String {
    let mut page = HEAD.to_owned();
    for (code, when) in EXIT_CODES {
        let _ = writeln!(page, "| {code} | {when} |");
    }
    let mut command = command.term_width(100);
    command.build();
    describe(&mut page, &mut command, "");
    page
}

fn describe(page: &mut String, command: &mut Command, parents: &str) {
    let name = format!("{parents}{}", command.get_name());
    let help = command.clone().render_long_help().to_string();
    let _ = write!(page, "\n## `{name}`\n\n```text\n");
    for line in help.trim_end().lines() {
        let _ = writeln!(page, "{}", line.trim_end());
    }
    page.push_str("```\n");
    for below in
        command.get_subcommands_mut().filter(|below| !below.is_hide_set() && below.get_name() != "help")
    {
        describe(page, below, &format!("{name} "));
    }
}
