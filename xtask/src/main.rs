//! Checks of this repository that no ready-made tool makes. `make check` runs them all.

mod bounds;
mod circles;
mod copies;
mod crates;
mod dependencies;
mod known;
mod layering;
mod licences;
mod names;
mod plan;
mod prose;
mod sizes;
mod tokens;
mod totals;
mod workspace;

use std::process::ExitCode;

use workspace::Workspace;

const USAGE: &str = "usage: cargo xtask bounds | circles | copies | crates [--write] | dependencies | layering | licences | names | plan \
    | prose | sizes | totals LOG";

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let violations = match arguments.as_slice() {
        ["bounds"] => bounds::check(&Workspace::load()?)?,
        ["circles"] => circles::check(&Workspace::load()?)?,
        ["copies"] => copies::check(&Workspace::load()?)?,
        ["crates"] => crates::check(&Workspace::load()?)?,
        ["crates", "--write"] => {
            crates::write(&Workspace::load()?)?;
            Vec::new()
        }
        ["dependencies"] => dependencies::check(&Workspace::load()?.root)?,
        ["layering"] => layering::check(&Workspace::load()?)?,
        ["licences"] => licences::check(&Workspace::load()?)?,
        ["names"] => names::check(&Workspace::load()?)?,
        ["plan"] => plan::check(&Workspace::load()?)?,
        ["prose"] => prose::check(&Workspace::load()?)?,
        ["sizes"] => sizes::check(&Workspace::load()?)?,
        ["totals", log] => {
            println!("{}", totals::sum(&std::fs::read_to_string(log)?));
            Vec::new()
        }
        _ => vec![USAGE.to_owned()],
    };
    for violation in &violations {
        eprintln!("{violation}");
    }
    Ok(if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
