//! How a run is carried out.

use super::audience::Audience;
use super::exclusive::Exclusive;
use super::interrupt::Interrupt;
use super::rounds::Rounds;
use super::unsaved::Unsaved;
use crate::launch::command_line;
use crate::launch::lab::Isolation;
use crate::model::partition::Partition;
use std::path::PathBuf;
use std::time::Duration;

/// How a run is carried out.
///
/// ```
/// use sockdrill::Settings;
///
/// let mut settings = Settings::default();
/// settings.skip.push("timeout".to_owned());
/// settings.seed = 7;
/// settings.strict = true;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Where servers run.
    pub isolation: Isolation,
    /// How many servers run at a time; waits overlap, so more than there are processors.
    pub jobs: usize,
    /// The seed of generated payloads.
    pub seed: u64,
    /// Every position and the large counts.
    pub deep: bool,
    /// A run that has found something ends after two minutes, what is left of it `inconclusive`; one that is deep goes on.
    pub fail_fast: bool,
    /// Nothing more is begun once so many have failed; what has begun comes to its end.
    pub max_fail: Option<usize>,
    /// How often what fails is tried again; what passes then is flaky.
    pub(crate) retries: usize,
    /// What is flaky fails the run.
    pub(crate) flaky_fails: bool,
    /// How often the whole run is made, where that is not once.
    pub(crate) rounds: Option<Rounds>,
    /// For how long a run goes on; what is left of it is `inconclusive`, and what tells the most is tried first. In a suite, each
    /// test is a run.
    pub budget: Option<Duration>,
    /// For how long a check goes on, or a case, beside waiting for others; then it is `inconclusive`, and the run goes on. `None`
    /// for far longer than any takes: a server that never rests keeps none of them going for ever.
    pub check_budget: Option<Duration>,
    /// The part of what is selected that a run tries, where others try the rest.
    pub partition: Option<Partition>,
    /// The report says where the time went.
    pub timings: bool,
    /// How many cases of each property are drawn; `None` for few, or with `deep` for many.
    pub cases: Option<usize>,
    /// Globs over check ids; empty means all.
    pub only: Vec<String>,
    /// Globs over check ids to leave out.
    pub skip: Vec<String>,
    /// The only checks among which `only` and `skip` choose, where there are such.
    pub(crate) among: Option<Vec<&'static str>>,
    /// What fails is made smaller before it is shown: a drawn case, and the scenario of a check.
    pub shrink: bool,
    /// The folder of cases that have failed before; those of properties are repeated first.
    pub saved: Option<PathBuf>,
    /// What a failure was judged by is kept with it.
    pub(crate) keeps_exhibits: bool,
    /// The folder in which each trial is saved with what was seen of it and its verdict.
    pub transcripts: Option<PathBuf>,
    /// What is observed of a server is observed also where few checks were asked for.
    pub(crate) observe: bool,
    /// What passes is told with all that was seen, too.
    pub(crate) verbose: bool,
    /// Recommendations count as requirements.
    pub strict: bool,
    /// Ends the run when it is raised.
    pub interrupt: Interrupt,
    /// Who follows the run while it lasts.
    pub(crate) audience: Audience,
    /// What could not be saved of the trials of all runs that have a clone of these settings.
    pub(crate) unsaved: Unsaved,
    /// Lets a trial be alone among those of all runs that have a clone of these settings.
    pub(crate) exclusive: Exclusive,
    /// The command that asked for the run, where one did: a failure shows how a part of it is repeated.
    pub(crate) invocation: Option<Invocation>,
}

/// The command that asked for a run, with a gap for the part of it that is to be repeated.
#[derive(Clone, Debug)]
pub(crate) struct Invocation {
    /// The words in front of the part: the program, and how it was to go about the run.
    pub before: Vec<String>,
    /// The words behind it.
    pub after: Vec<String>,
}

impl Invocation {
    /// The command that repeats a part of the run, as a person types it.
    pub(super) fn repeating(&self, part: &[&str]) -> String {
        let (before, after) = (self.before.iter(), self.after.iter());
        let part = part.iter().copied();
        command_line(
            before
                .map(String::as_str)
                .chain(part)
                .chain(after.map(String::as_str)),
        )
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            isolation: Isolation::Auto,
            jobs: 8,
            seed: 1,
            deep: false,
            fail_fast: true,
            max_fail: None,
            retries: 0,
            flaky_fails: false,
            rounds: None,
            budget: None,
            check_budget: None,
            partition: None,
            timings: false,
            cases: None,
            shrink: true,
            saved: None,
            keeps_exhibits: false,
            transcripts: None,
            observe: false,
            verbose: false,
            only: Vec::new(),
            skip: Vec::new(),
            among: None,
            strict: false,
            interrupt: Interrupt::default(),
            audience: Audience::default(),
            unsaved: Unsaved::default(),
            exclusive: Exclusive::default(),
            invocation: None,
        }
    }
}

impl Settings {
    /// Whether a run ends early that has found something.
    pub(super) fn fails_fast(&self) -> bool {
        self.fail_fast && !self.deep
    }

    /// The options of `sockdrill check` that say the same, but for what is chosen and the seed.
    pub(crate) fn options(&self) -> Vec<String> {
        // All of them are named, so that a new one is not forgotten.
        let Self {
            isolation,
            jobs: _,
            seed: _,
            deep,
            fail_fast: _,
            max_fail: _,
            retries: _,
            flaky_fails: _,
            rounds: _,
            budget: _,
            check_budget: _,
            partition: _,
            timings: _,
            cases,
            only: _,
            skip: _,
            among: _,
            shrink,
            saved,
            keeps_exhibits: _,
            transcripts: _,
            observe: _,
            verbose: _,
            strict,
            interrupt: _,
            audience: _,
            unsaved: _,
            exclusive: _,
            invocation: _,
        } = self;
        let mut words = Vec::new();
        let mut flag = |name: &str, is_set: bool| words.extend(is_set.then(|| name.to_owned()));
        flag("--deep", *deep);
        flag("--strict", *strict);
        flag("--no-shrink", !*shrink);
        let mut option = |name: &str, value: Option<String>| {
            let value = value.into_iter();
            words.extend(value.flat_map(|value| [name.to_owned(), value]));
        };
        option("--cases", cases.map(|cases| cases.to_string()));
        let is_usual = *isolation == Isolation::default();
        option(
            "--isolation",
            (!is_usual).then(|| isolation.word().to_owned()),
        );
        option(
            "--artifacts",
            saved.as_ref().map(|folder| folder.display().to_string()),
        );
        words
    }

    /// The command that runs a part of the run again, where a command asked for the run.
    pub(super) fn repeating(&self, part: &[&str]) -> Option<String> {
        let invocation = self.invocation.as_ref();
        invocation.map(|invocation| invocation.repeating(part))
    }
}
