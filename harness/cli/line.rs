//! The line on a terminal that tells how far a run is: drawn anew while it lasts, below all that is printed.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use rustix::process::getpgrp;
use rustix::termios::tcgetpgrp;
use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The line of this process, where one is drawn. All that is printed goes above it, whoever prints.
static DRAWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// The line, drawn until this is dropped.
#[must_use = "it is gone once this is dropped"]
pub(super) struct Line {
    bar: ProgressBar,
    text: Arc<Mutex<String>>,
}

impl Line {
    /// A line, where people look on: on terminals that can take back what was drawn, and not where a log is kept.
    pub(super) fn drawn() -> Option<Self> {
        let is_seen = io::stdout().is_terminal() && io::stderr().is_terminal();
        let is_log = std::env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false");
        // What is told of our own doings goes there too, line by line.
        let is_told = std::env::var_os("SOCKDRILL_LOG").is_some();
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if !is_seen || is_log || is_told || bar.is_hidden() {
            return None;
        }
        let text = Arc::<Mutex<String>>::default();
        bar.set_style(style(Arc::clone(&text))?);
        drawn().replace(bar.clone());
        Some(Self { bar, text })
    }

    /// Draws it anew. Who has been sent to the background leaves the terminal to others.
    pub(super) fn draw(&self, text: String) {
        *self.text.lock().unwrap_or_else(PoisonError::into_inner) = text;
        if !is_in_the_background() {
            self.bar.tick();
        }
    }
}

/// The text, and nothing in the background: the line is also drawn when something was written above it, or when a run that was stopped
/// goes on.
fn style(text: Arc<Mutex<String>>) -> Option<ProgressStyle> {
    let style = ProgressStyle::with_template("{line}").ok()?;
    let line = move |_: &ProgressState, line: &mut dyn Write| {
        if !is_in_the_background() {
            // Nothing keeps a string from being written to.
            let _ = line.write_str(&text.lock().unwrap_or_else(PoisonError::into_inner));
        }
    };
    Some(style.with_key("line", line))
}

/// Whether another has the terminal: who was stopped and goes on behind a shell's prompt.
fn is_in_the_background() -> bool {
    tcgetpgrp(io::stderr()).is_ok_and(|foreground| foreground != getpgrp())
}

impl Drop for Line {
    fn drop(&mut self) {
        drawn().take();
        self.bar.finish_and_clear();
    }
}

/// Writes something above the line, where one is drawn.
pub(super) fn above_it(write: impl FnOnce()) {
    let line = drawn().clone();
    match line {
        Some(line) => line.suspend(write),
        None => write(),
    }
}

fn drawn() -> MutexGuard<'static, Option<ProgressBar>> {
    DRAWN.lock().unwrap_or_else(PoisonError::into_inner)
}
