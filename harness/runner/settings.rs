//! How a run is carried out.

use crate::launch::lab::Isolation;
use std::path::PathBuf;
use tokio::sync::watch;

/// How a run is carried out.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where servers run.
    pub isolation: Isolation,
    /// How many servers run at a time; waits overlap, so more than there are processors.
    pub jobs: usize,
    /// The seed of generated payloads.
    pub seed: u64,
    /// Every position and the large counts.
    pub deep: bool,
    /// How many cases of each property are drawn; `None` for few, or with `deep` for many.
    pub cases: Option<usize>,
    /// Globs over check ids; empty means all.
    pub only: Vec<String>,
    /// Globs over check ids to leave out.
    pub skip: Vec<String>,
    /// A drawn case that fails is made as small as it goes.
    pub shrink: bool,
    /// The folder of cases that have failed before; those of properties are repeated first.
    pub saved: Option<PathBuf>,
    /// Recommendations count as requirements.
    pub strict: bool,
    /// Becomes true when the user ends the run.
    pub interrupt: watch::Receiver<bool>,
    /// How the target was named on the command line, for the command that repeats a failure.
    pub invocation: Invocation,
}

/// How a target was named on the command line.
#[derive(Clone, Debug, Default)]
pub struct Invocation {
    /// The words that name it and its profile.
    pub target: Vec<String>,
    /// The server's command, as it stood behind `--`.
    pub command: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            isolation: Isolation::Auto,
            jobs: 8,
            seed: 1,
            deep: false,
            cases: None,
            shrink: true,
            saved: None,
            only: Vec::new(),
            skip: Vec::new(),
            strict: false,
            interrupt: watch::channel(false).1,
            invocation: Invocation::default(),
        }
    }
}

impl Settings {
    /// The command that runs one check again.
    pub(super) fn command_for(&self, id: &str) -> String {
        let Invocation { target, command } = &self.invocation;
        let seed = self.seed.to_string();
        let mut words = vec!["sockdrill", "check"];
        words.extend(target.iter().map(String::as_str));
        words.extend(["--only", id, "--seed", &seed]);
        if let Some(command) = command {
            words.extend(["--", command]);
        }
        words.join(" ")
    }
}
