//! The line on a terminal that tells how far a run is: drawn anew while it lasts, below all that is printed.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::process::getpgrp;
use rustix::termios::tcgetpgrp;
use std::io::{self, IsTerminal};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The line of this process, where one is drawn. All that is printed goes above it, whoever prints.
static DRAWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// The line, drawn until this is dropped.
#[must_use = "it is gone once this is dropped"]
pub(super) struct Line(ProgressBar);

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
        bar.set_style(ProgressStyle::with_template("{msg}").ok()?);
        drawn().replace(bar.clone());
        Some(Self(bar))
    }

    /// Draws it anew. Who has been sent to the background leaves the terminal to others.
    pub(super) fn draw(&self, text: String) {
        match tcgetpgrp(io::stderr()) {
            Ok(foreground) if foreground != getpgrp() => {}
            _ => self.0.set_message(text),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        drawn().take();
        self.0.finish_and_clear();
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
