//! Progress of long work: a bar on a terminal, nothing elsewhere.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on standard error, which is removed when it is dropped.
#[derive(Debug)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// Shows a bar of so many steps under a heading.
    pub(super) fn new(heading: &'static str, steps: u64) -> Self {
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let template = "{msg:10} {wide_bar} {human_pos}/{human_len}, {eta} left";
        let style = ProgressStyle::with_template(template).expect("the template is a sound one");
        let bar = ProgressBar::with_draw_target(Some(steps), target).with_style(style).with_message(heading);
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// Advances the bar by a number of steps.
    pub(super) fn advance(&self, steps: u64) {
        self.0.inc(steps);
    }

    /// Sets the position and the number of steps, if the number becomes known late.
    pub(super) fn set(&self, done: u64, steps: u64) {
        self.0.set_length(steps);
        self.0.set_position(done);
    }

    /// Starts the next phase under another heading.
    pub(super) fn start_phase(&self, heading: &'static str) {
        self.0.set_message(heading);
        self.0.reset();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
