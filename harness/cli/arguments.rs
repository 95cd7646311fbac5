//! The command line as clap reads it: commands, their options, and a line on each.

use super::mended::Language;
use crate::launch::lab::Isolation;
use crate::model::address::listener;
use crate::model::literal::{Shown, duration, wait};
use crate::model::partition::Partition;
use crate::report::concluded::NoTests;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

/// Drills socket servers: behaves like every legal but hostile client, watches the server through the kernel, and says
/// what broke.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
pub(super) struct Cli {
    /// When words are coloured: `auto` is on terminals, as NO_COLOR and CLICOLOR_FORCE say.
    #[arg(long, value_enum, global = true, value_name = "WHEN", default_value_t = ColorArg::Auto)]
    pub(super) color: ColorArg,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Checks a server: a reference server by name, a target file, or the command after `--`.
    Check(CheckArgs),
    /// Runs scenario files, and those of folders; `file.drill:14` addresses one case.
    Run(RunArgs),
    /// Writes a scenario as a Python program that shows without sockdrill what a server does.
    Repro(ReproArgs),
    /// Runs a reference server, correct or deliberately broken.
    Serve(ServeArgs),
    /// Makes one report of those of all parts of a run, or of several targets.
    Report(ReportArgs),
    /// Tells what got better and worse from one report to a later one; fails where anything is worse.
    Diff(DiffArgs),
    /// Runs a failure again that `--artifacts` has bundled, on its server or on another build of it.
    Replay(ReplayArgs),
    /// Judges again what was seen, as `--artifacts` and `--transcripts` have saved it; no server is started.
    Judge(JudgeArgs),
    /// Lists what there is.
    List {
        /// What to list.
        what: Listing,
        /// How to print it.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Explains a check: what is done to a server as a picture, why, where it has happened, and mended code in five languages.
    Explain {
        /// The check's id, such as reset/mid-request; or the name of an observation, or of a kind of defect, such as framing.
        check: String,
        /// Shows code in this language alone; of a kind of defect a whole server, to be saved.
        #[arg(long, value_enum)]
        lang: Option<Language>,
    },
    /// Formats scenario files in place.
    Fmt {
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Changes nothing; fails if a file is not formatted.
        #[arg(long)]
        check: bool,
        /// Prints the file in another form instead.
        #[arg(long, value_enum)]
        to: Option<Conversion>,
        /// How mistakes in the files are told.
        #[arg(long, value_enum, default_value_t = MessageFormat::Human)]
        message_format: MessageFormat,
    },
    /// Shows what the project file, the environment and the program itself say of each option.
    Config(ConfigArgs),
    /// Tells what this host permits, and how to permit the rest.
    Doctor,
    /// Writes a target, a first scenario and, in a package, a test file that run as they are; overwrites nothing.
    Init(InitArgs),
    /// Writes a target with its profile from what a client says to the server, and what the server may promise in comments.
    Learn(LearnArgs),
    /// Writes what a client does with a server as a scenario.
    Record(RecordArgs),
    /// Prints a script that completes command lines in a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Prints the manual page.
    Man,
}

impl Command {
    /// How mistakes in files are told.
    pub(super) fn message_format(&self) -> MessageFormat {
        match self {
            Self::Run(arguments) => arguments.message_format,
            Self::Fmt { message_format, .. } => *message_format,
            _ => MessageFormat::Human,
        }
    }
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(super) enum ColorArg {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Conversion {
    /// The JSON form.
    Json,
    /// The `.drill` form, without comments.
    Drill,
    /// Pictures for people: clients on the left, the server on the right, a row a step.
    Picture,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(super) enum MessageFormat {
    /// Each in its line, with a caret.
    Human,
    /// One a line, as compilers do: FILE:LINE:COLUMN: error: MESSAGE.
    Short,
    /// One a line, as JSON.
    Json,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Listing {
    Checks,
    Observations,
    Servers,
    Profiles,
    Steps,
    Needs,
    Promises,
    Invariants,
    /// What the kernel may answer to a system call, with the page that says so.
    Answers,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
    /// A page of documentation: of checks, with the observations, of promises, with all words of a profile, or of steps.
    Markdown,
    /// A grammar by which editors colour scenario files; of steps only.
    Textmate,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum IsolationArg {
    Auto,
    Namespace,
    Host,
}

impl From<IsolationArg> for Isolation {
    fn from(isolation: IsolationArg) -> Self {
        match isolation {
            IsolationArg::Auto => Self::Auto,
            IsolationArg::Namespace => Self::Namespace,
            IsolationArg::Host => Self::Host,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum NoTestsArg {
    /// It passes.
    Pass,
    /// It passes, and says so.
    Warn,
    /// It does not pass.
    Fail,
}

impl From<NoTestsArg> for NoTests {
    fn from(no_tests: NoTestsArg) -> Self {
        match no_tests {
            NoTestsArg::Pass => Self::Pass,
            NoTestsArg::Warn => Self::Warn,
            NoTestsArg::Fail => Self::Fail,
        }
    }
}

#[derive(Args)]
pub(super) struct CheckArgs {
    /// A reference server's name or a target file; left out where a command follows `--`. Several are drilled one after the other.
    #[arg(value_name = "TARGET")]
    pub(super) targets: Vec<String>,
    /// Only checks whose id matches; `*` stands for any text, a family's name for all of it.
    #[arg(long, value_name = "GLOB")]
    pub(super) only: Vec<String>,
    /// No check whose id matches.
    #[arg(long, value_name = "GLOB")]
    pub(super) skip: Vec<String>,
    /// Goes to every position and to thousands.
    #[arg(long)]
    pub(super) deep: bool,
    /// How many cases of each property are drawn.
    #[arg(long, value_name = "N")]
    pub(super) cases: Option<usize>,
    /// Shows a failure as it was found, which is sooner: neither its scenario nor a drawn case is made smaller.
    #[arg(long)]
    pub(super) no_shrink: bool,
    /// Says of each check what it did: its scenarios, where they cut the request, and the time they took.
    #[arg(long, short)]
    pub(super) verbose: bool,
    /// Fails unless at least this many checks have passed.
    #[arg(long, value_name = "N")]
    pub(super) min_checks: Option<usize>,
    #[command(flatten)]
    pub(super) shared: Shared,
}

#[derive(Args)]
pub(super) struct RunArgs {
    /// Scenario files, each perhaps with `:LINE`, and folders of them.
    #[arg(value_name = "FILES_OR_FOLDERS")]
    pub(super) files: Vec<String>,
    /// Only cases that have this text in their names; `*` stands for any text.
    #[arg(long, value_name = "TEXT")]
    pub(super) only: Vec<String>,
    /// No case that has this text in its name.
    #[arg(long, value_name = "TEXT")]
    pub(super) skip: Vec<String>,
    /// Prints every event of every case.
    #[arg(long, short)]
    pub(super) verbose: bool,
    /// How mistakes in the files are told.
    #[arg(long, value_enum, default_value_t = MessageFormat::Human)]
    pub(super) message_format: MessageFormat,
    #[command(flatten)]
    pub(super) shared: Shared,
}

#[derive(Args)]
pub(super) struct ConfigArgs {
    /// What to do with it.
    pub(super) what: Showing,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub(super) format: ListFormat,
    #[command(flatten)]
    pub(super) config: ConfigFile,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Showing {
    Show,
}

/// Which project file has its say.
#[derive(Args, Clone, Default)]
pub(super) struct ConfigFile {
    /// The project file, in the place of the sockdrill.toml of this folder or of one above it.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Reads no project file.
    #[arg(long, conflicts_with_all = ["config", "profile"])]
    pub(super) no_config: bool,
    /// The profile of the project file, such as ci, whose options come before its defaults.
    #[arg(long, value_name = "NAME")]
    pub(super) profile: Option<String>,
}

/// How much of a run is done, in which order, and how often.
#[derive(Args, Clone)]
pub(super) struct Selection {
    /// Only what this expression means, such as 'test(reset) - tag(slow)'; the words are those of nextest.
    #[arg(short = 'E', long, value_name = "EXPRESSION")]
    pub(super) filter_expr: Vec<String>,
    /// Only what has failed before and has not passed since; all, where nothing has.
    #[arg(long)]
    pub(super) last_failed: bool,
    /// Lists what is selected, and starts no server.
    #[arg(long)]
    pub(super) list: bool,
    /// How the list is printed.
    #[arg(long, value_enum, requires = "list", default_value_t = ListFormat::Text)]
    pub(super) format: ListFormat,
}

/// When a run ends, and how often all of it is tried.
#[derive(Args, Clone)]
pub(super) struct Effort {
    /// Begins nothing more once something has failed; what has begun comes to its end.
    #[arg(long, conflicts_with_all = ["no_fail_fast", "max_fail"])]
    pub(super) fail_fast: bool,
    /// Goes on to the end of a run that has found something, however long it takes; usually one of checks ends after two minutes then.
    #[arg(long, conflicts_with = "max_fail")]
    pub(super) no_fail_fast: bool,
    /// Begins nothing more once so many have failed; `all` is --no-fail-fast.
    #[arg(long, value_name = "N", value_parser = max_fail)]
    pub(super) max_fail: Option<MaxFail>,
    /// Tries each so often; the first failure is told.
    #[arg(long, value_name = "N", value_parser = times, conflicts_with = "repeat_for")]
    pub(super) repeat: Option<usize>,
    /// Tries all again and again for this time, such as 10m.
    #[arg(long = "for", value_name = "TIME", value_parser = budget)]
    pub(super) repeat_for: Option<Duration>,
    /// Tries what fails so often again; what passes then is flaky. A crash is none.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) retries: usize,
    /// What is flaky passes or fails the run.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = FlakyArg::Pass)]
    pub(super) flaky: FlakyArg,
}

/// How much may fail before a run begins nothing more.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum MaxFail {
    All,
    So(usize),
}

fn max_fail(text: &str) -> Result<MaxFail, String> {
    match text {
        "all" => Ok(MaxFail::All),
        text => times(text)
            .map(MaxFail::So)
            .map_err(|error| format!("{error}, or all")),
    }
}

/// How often something is done that is done at all.
fn times(text: &str) -> Result<usize, String> {
    let times = text.parse().ok().filter(|times| *times > 0);
    times.ok_or_else(|| "write a number from 1 up".to_owned())
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(super) enum FlakyArg {
    Pass,
    Fail,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(super) enum ListFormat {
    Text,
    Json,
}

#[derive(Args, Clone)]
pub(super) struct Shared {
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    pub(super) effort: Effort,
    #[command(flatten)]
    pub(super) config: ConfigFile,
    /// What the server speaks: a profile's name or file.
    #[arg(long, value_name = "PROFILE")]
    pub(super) speaks: Option<String>,
    /// Where the server runs.
    #[arg(long, value_enum, default_value_t = IsolationArg::Auto)]
    pub(super) isolation: IsolationArg,
    /// Which of several listeners to drill: a port, or an address as the error lists them.
    #[arg(long, value_name = "ADDRESS", value_parser = listener)]
    pub(super) listen: Option<String>,
    /// Drills a server that somebody else has started, as its clients see it: HOST:PORT of this host.
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) address: Option<String>,
    /// Lets `--address` be one of another host, which is yours or whose owner has agreed.
    #[arg(long)]
    pub(super) i_own_this_host: bool,
    /// Lets a server at an address be flooded: by more than 64 connections, or by more than 1 MiB.
    #[arg(long)]
    pub(super) flood: bool,
    /// How long the server may take to listen, such as 1m; the target file's ready-within otherwise, or 10s, or not at all at an
    /// address.
    #[arg(long, value_name = "TIME", value_parser = ready_within)]
    pub(super) ready_within: Option<Duration>,
    /// What becomes of a run in which nothing was tried: all was skipped, or nothing selected.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = NoTestsArg::Fail)]
    pub(super) no_tests: NoTestsArg,
    /// Ends the run after this time, such as 30s; what is left out is said, and what tells the most is tried first.
    #[arg(long, value_name = "TIME", value_parser = budget)]
    pub(super) budget: Option<Duration>,
    /// Ends a check, or a case, that takes longer than this beside waiting for others; usually 10m, and more where its scenarios say
    /// so.
    #[arg(long, value_name = "TIME", value_parser = budget)]
    pub(super) check_budget: Option<Duration>,
    /// Tries a part of what is selected, such as slice:1/3 or hash:1/3; `report merge` makes one report of all parts.
    #[arg(long, value_name = "PART")]
    pub(super) partition: Option<Partition>,
    /// Says where the time went, and which checks took the longest.
    #[arg(long)]
    pub(super) timings: bool,
    /// Counts broken recommendations as failures.
    #[arg(long)]
    pub(super) strict: bool,
    /// How many servers run side by side.
    #[arg(long, value_name = "N")]
    pub(super) jobs: Option<usize>,
    /// The seed of generated payloads.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
    #[command(flatten)]
    pub(super) forms: Forms,
    /// Writes what happens while it happens, an object of JSON a line; `-` is the standard output, and all else goes to the other one.
    #[arg(long, value_name = "FILE")]
    pub(super) events: Option<PathBuf>,
    /// Writes each failed scenario as a .drill file into this folder, and beside it a folder with all that was seen; cases of
    /// properties in it are repeated first.
    #[arg(long, value_name = "DIR")]
    pub(super) artifacts: Option<PathBuf>,
    /// Saves each trial with all that was seen of it and its verdict, as JSON, into this folder.
    #[arg(long, value_name = "DIR")]
    pub(super) transcripts: Option<PathBuf>,
    /// The server's command; {port}, {addr}, {path} and {dir} are filled in.
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<String>,
}

#[derive(Args)]
pub(super) struct ReportArgs {
    /// What to do with them.
    pub(super) what: Reporting,
    /// Reports of `--json`.
    #[arg(required = true)]
    pub(super) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) forms: Forms,
}

#[derive(Args)]
pub(super) struct DiffArgs {
    /// The earlier report of `--json`.
    #[arg(value_name = "OLD.json")]
    pub(super) old: PathBuf,
    /// The later one, of the same server or of another build.
    #[arg(value_name = "NEW.json")]
    pub(super) new: PathBuf,
    /// Writes what is otherwise as JSON.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct ReplayArgs {
    /// The bundle: a folder below that of `--artifacts`.
    #[arg(value_name = "DIR")]
    pub(super) folder: PathBuf,
    #[command(flatten)]
    pub(super) forms: Forms,
    /// The server's command, in the place of the one that had failed.
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<String>,
}

#[derive(Args)]
pub(super) struct JudgeArgs {
    /// A bundle of `--artifacts`, a folder of `--transcripts`, or a file of it.
    #[arg(value_name = "DIR_OR_FILE")]
    pub(super) place: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Reporting {
    /// One report of all parts of a run.
    Merge,
    /// A page to look at, beside each report.
    Html,
}

/// The forms in which a report is written down.
#[derive(Args, Clone)]
pub(super) struct Forms {
    /// Writes the report as JSON.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Writes the report as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
    /// Writes the report as one HTML page that needs nothing from elsewhere.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// Writes the findings as JSON that GitLab shows beside a change (Code Climate).
    #[arg(long, value_name = "FILE")]
    pub(super) code_quality: Option<PathBuf>,
}

impl Forms {
    /// Names each file by the way from the root, so that another folder can be gone to.
    pub(super) fn spell_out(&mut self) {
        let all = [
            &mut self.json,
            &mut self.junit,
            &mut self.html,
            &mut self.code_quality,
        ];
        for path in all.into_iter().flatten() {
            if let Ok(absolute) = std::path::absolute(&*path) {
                *path = absolute;
            }
        }
    }
}

/// The time that a server has to begin.
fn ready_within(text: &str) -> Result<Duration, String> {
    wait(text).map_err(|error| error.to_string())
}

/// The time that a run has, or a check.
fn budget(text: &str) -> Result<Duration, String> {
    match duration(text) {
        Ok(Duration::ZERO) => {
            Err("no time is no budget; write how long it may take, such as 30s".to_owned())
        }
        Ok(budget) => Ok(budget),
        Err(error) => Err(error.to_string()),
    }
}

#[derive(Args)]
pub(super) struct InitArgs {
    /// Where.
    #[arg(default_value = ".")]
    pub(super) folder: PathBuf,
    /// The server's command; {port}, {addr}, {path} and {dir} are filled in. Without it a terminal is asked for it.
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<String>,
}

#[derive(Args)]
pub(super) struct LearnArgs {
    /// The target file to write.
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: PathBuf,
    #[command(flatten)]
    pub(super) pair: PairArgs,
}

#[derive(Args)]
pub(super) struct RecordArgs {
    /// The scenario file to write.
    #[arg(long, short, value_name = "FILE.drill")]
    pub(super) output: PathBuf,
    #[command(flatten)]
    pub(super) pair: PairArgs,
}

/// A server and a client of its own.
#[derive(Args)]
pub(super) struct PairArgs {
    /// The server: its command in one argument, a target file, or the name of a reference server.
    #[arg(long, value_name = "COMMAND")]
    pub(super) server: String,
    /// Replaces the file if there is one.
    #[arg(long)]
    pub(super) force: bool,
    /// How long the client may run each time.
    #[arg(long, value_name = "TIME", default_value = CLIENT_WITHIN, value_parser = ready_within)]
    pub(super) within: Duration,
    /// Where server and client run.
    #[arg(long, value_enum, default_value_t = IsolationArg::Auto)]
    pub(super) isolation: IsolationArg,
    /// Which of several listeners is meant: a port, or an address as the error lists them.
    #[arg(long, value_name = "ADDRESS", value_parser = listener)]
    pub(super) listen: Option<String>,
    /// How long the server may take to listen, such as 1m.
    #[arg(long, value_name = "TIME", value_parser = ready_within)]
    pub(super) ready_within: Option<Duration>,
    /// The client's command, which ends by itself; {port}, {addr} and {path} are filled in.
    #[arg(last = true, required = true, value_name = "CLIENT")]
    pub(super) client: Vec<String>,
}

/// So long a client may run that is learned from, where nobody says otherwise.
const CLIENT_WITHIN: &str = "30s";

impl PairArgs {
    /// The words that say again how the server is run.
    pub(super) fn server_words(&self) -> Vec<String> {
        let listen = self.listen.clone();
        let ready_within = self.ready_within.map(|time| Shown(time).to_string());
        let words = [
            ("--isolation", self.isolation.given()),
            ("--listen", listen),
            ("--ready-within", ready_within),
        ];
        of_those_given(words)
    }

    /// The words that say again how the client is run.
    pub(super) fn client_words(&self) -> Vec<String> {
        let within = Shown(self.within).to_string();
        of_those_given([("--within", Some(within).filter(|it| it != CLIENT_WITHIN))])
    }
}

impl IsolationArg {
    /// The word, where it says more than is the case anyway.
    fn given(self) -> Option<String> {
        let value = self.to_possible_value()?;
        let is_given = !matches!(self, Self::Auto);
        is_given.then(|| value.get_name().to_owned())
    }

    /// The words that say the same again.
    pub(super) fn words(self) -> Vec<String> {
        of_those_given([("--isolation", self.given())])
    }
}

fn of_those_given<const N: usize>(options: [(&str, Option<String>); N]) -> Vec<String> {
    let given = options
        .into_iter()
        .filter_map(|(name, value)| Some([name.to_owned(), value?]));
    given.flatten().collect()
}

#[derive(Args)]
pub(super) struct ReproArgs {
    /// A scenario file, perhaps with `:LINE` for one of its cases.
    pub(super) file: String,
    /// Where the program is written, instead of the standard output.
    #[arg(long, short, value_name = "OUT.py")]
    pub(super) output: Option<PathBuf>,
    /// What the server speaks: a profile's name or file.
    #[arg(long, value_name = "PROFILE")]
    pub(super) speaks: Option<String>,
    /// Which of several listeners is meant: a port, or an address as the error lists them.
    #[arg(long, value_name = "ADDRESS", value_parser = listener)]
    pub(super) listen: Option<String>,
    #[command(flatten)]
    pub(super) config: ConfigFile,
    /// The server's command, in the place of the server that the file names.
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<String>,
}

#[derive(Args)]
pub(super) struct ServeArgs {
    /// The reference server; `sockdrill list servers` names them.
    pub(super) name: String,
    /// The port to listen on; 0 for any.
    #[arg(long, default_value_t = 0)]
    pub(super) port: u16,
    /// The address to listen on.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub(super) host: IpAddr,
    /// The path of a Unix socket to listen on instead.
    #[arg(long)]
    pub(super) path: Option<PathBuf>,
    /// Breaks the requirement of this check on purpose.
    #[arg(long, value_name = "CHECK")]
    pub(super) violate: Option<String>,
    /// Speaks TLS, with a certificate of its own for `localhost`.
    #[arg(long)]
    pub(super) tls: bool,
}
