//! Checks the model over its whole state space, in the forms that take too long for every run of the tests.

use std::process::ExitCode;

use ecs_scheduler_model::{CatchUp, Config, Faults, search};

fn main() -> ExitCode {
    let late = Faults { refusals: false, ..Faults::ALL };
    let runs = [
        ("two replicas, both edits", Config::REPLICAS),
        (
            "two replicas, both edits, catch-up of all ticks",
            Config { catch_up: CatchUp::All, ..Config::REPLICAS },
        ),
        (
            "two replicas, both edits, refusals, two ticks",
            Config::REPLICAS.until(3).with_faults(with_refusals()),
        ),
        (
            "two replicas, an edit of the schedule, late messages",
            Config::REPLICAS.with_edits(true, false).with_faults(late),
        ),
        ("one process, both edits, late messages, refusals", Config::ALONE.with_faults(Faults::ALL)),
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

fn with_refusals() -> Faults {
    Faults { refusals: true, ..Faults::USUAL }
}
