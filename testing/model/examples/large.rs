//! Checks the model over its whole state space, in the forms that take too long for every run of the tests.

use std::process::ExitCode;

use ecs_scheduler_model::{CatchUp, Config, Trouble, search};

fn main() -> ExitCode {
    let late = Trouble { refusals: false, ..Trouble::ALL };
    let runs = [
        ("two replicas, both edits", Config::REPLICAS),
        (
            "two replicas, both edits, catch-up of all ticks",
            Config { catch_up: CatchUp::All, ..Config::REPLICAS },
        ),
        ("two replicas, both edits, refusals, two ticks", Config::REPLICAS.until(3).with(with_refusals())),
        (
            "two replicas, an edit of the schedule, late messages",
            Config::REPLICAS.edited(true, false).with(late),
        ),
        ("one process, both edits, late messages, refusals", Config::ALONE.with(Trouble::ALL)),
    ];
    let mut code = ExitCode::SUCCESS;
    for (name, config) in runs {
        let found = search(config, 2, None);
        let seconds = found.took.as_secs_f64();
        println!("{name}: {} states, {} steps, {seconds:.0} s", found.states, found.steps);
        for (property, actions) in found.counterexamples {
            println!("  does not hold: {property}\n  {actions:?}");
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn with_refusals() -> Trouble {
    Trouble { refusals: true, ..Trouble::USUAL }
}
