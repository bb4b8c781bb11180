//! Performance goals of the scheduler, each beside a bare limit or a peer measured in the same run.
//!
//! `cargo bench -p ecs-scheduler` measures all of it, `cargo bench -p ecs-scheduler -- burst` one part: `burst`,
//! `lateness`, `million`, `http`, `history`. Each figure is one line of JSON on standard output: its value and goal, what was
//! measured beside it, and the ratio of both. Wall times depend on the machine and what else it does; ratios much less.
//! `doc/benchmarks.md` shows and explains a run.

mod burst;
mod figure;
mod history;
mod http;
mod instant;
mod jobs;
mod lateness;
mod million;
mod stopwatch;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The parts, by name.
const PARTS: [&str; 5] = ["burst", "lateness", "million", "http", "history"];
/// Decisions of the history, unless a number is given.
const DECISIONS: usize = 1_000_000;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with("--bench")).collect();
    ecs_scheduler::allocator::use_small_pages();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let [role, file] = &*arguments
        && role == million::ROLE
    {
        return runtime.block_on(million::load(file.as_ref()));
    }
    let url = arguments.iter().find(|word| word.contains("://"));
    let decisions = arguments.iter().find_map(|word| word.parse().ok()).unwrap_or(DECISIONS);
    for part in PARTS {
        if !arguments.is_empty() && !arguments.iter().any(|wanted| part.contains(wanted.as_str())) {
            continue;
        }
        match part {
            "burst" => runtime.block_on(burst::measure())?,
            "lateness" => runtime.block_on(lateness::measure())?,
            "million" => runtime.block_on(million::measure())?,
            "http" => runtime.block_on(http::measure())?,
            _ => runtime.block_on(history::measure(decisions, url.map(String::as_str)))?,
        }
    }
    Ok(())
}
