//! The command line: arguments in, a report and an exit code out.

mod completions;
mod manual;
mod starter;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use sockdrill::check::{Address, Check, in_words};
use sockdrill::error::{Error, ExitCode};
use sockdrill::lab::{self, Isolation, Lab};
use sockdrill::passport::{self, OBSERVATIONS, Observation};
use sockdrill::profile::Profile;
use sockdrill::report::{CheckResult, Report};
use sockdrill::reproducer::Reproducer;
use sockdrill::runner::{self, Given, Invocation, Settings};
use sockdrill::scenario::{self, DrillFile};
use sockdrill::target::Target;
use sockdrill::{checks, servers};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Drills socket servers: behaves like every legal but hostile client, watches the server through the kernel, and says
/// what broke.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Checks a server: a reference server by name, a target file, or the command after `--`.
    Check(CheckArgs),
    /// Runs scenario files; `file.drill:14` addresses one case.
    Run(RunArgs),
    /// Writes a scenario as a Python program that shows without sockdrill what a server does.
    Repro(ReproArgs),
    /// Runs a reference server, correct or deliberately broken.
    Serve(ServeArgs),
    /// Lists what there is.
    List {
        /// What to list.
        what: Listing,
        /// How to print it.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Explains a check: requirement, why, how it is provoked, how servers are mended.
    Explain {
        /// The check's id, such as reset/mid-request.
        check: String,
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
    },
    /// Tells what this host permits, and how to permit the rest.
    Doctor,
    /// Writes a target with its profile and a first scenario, to be filled in; overwrites nothing.
    Init {
        /// Where.
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// Prints a script that completes command lines in a shell.
    Completions {
        /// The shell.
        shell: completions::Shell,
    },
    /// Prints the manual page.
    Man,
}

#[derive(Clone, Copy, ValueEnum)]
enum Conversion {
    Json,
}

#[derive(Clone, Copy, ValueEnum)]
enum Listing {
    Checks,
    Observations,
    Servers,
    Profiles,
    Steps,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    Text,
    Json,
    /// A page of documentation; of checks only, with the observations.
    Markdown,
}

#[derive(Clone, Copy, ValueEnum)]
enum IsolationArg {
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

#[derive(Args)]
struct CheckArgs {
    /// A reference server's name or a target file; left out where a command follows `--`.
    target: Option<String>,
    /// Only checks whose id matches; `*` stands for any text, a family's name for all of it.
    #[arg(long, value_name = "GLOB")]
    only: Vec<String>,
    /// No check whose id matches.
    #[arg(long, value_name = "GLOB")]
    skip: Vec<String>,
    /// Goes to every position and to thousands.
    #[arg(long)]
    deep: bool,
    /// How many cases of each property are drawn.
    #[arg(long, value_name = "N")]
    cases: Option<usize>,
    /// Counts broken recommendations as failures.
    #[arg(long)]
    strict: bool,
    /// Says of each check what it did: its scenarios, where they cut the request, and the time they took.
    #[arg(long, short)]
    verbose: bool,
    /// Fails unless at least this many checks have passed.
    #[arg(long, value_name = "N")]
    min_checks: Option<usize>,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Args)]
struct RunArgs {
    /// Scenario files, each perhaps with `:LINE`.
    #[arg(required = true)]
    files: Vec<String>,
    /// Prints every event of every case.
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Args)]
struct Shared {
    /// What the server speaks: a profile's name or file.
    #[arg(long, value_name = "PROFILE")]
    speaks: Option<String>,
    /// Where the server runs.
    #[arg(long, value_enum, default_value_t = IsolationArg::Auto)]
    isolation: IsolationArg,
    /// Which of several listeners to drill: a port, or an address as the error lists them.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// How many servers run side by side.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// The seed of generated payloads.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Writes the report as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Writes the report as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Writes the report as one HTML page that needs nothing from elsewhere.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Writes each failed scenario as a .drill file into this folder; cases of properties in it are repeated first.
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
    /// The server's command; {port}, {addr}, {path} and {dir} are filled in.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Args)]
struct ReproArgs {
    /// A scenario file, perhaps with `:LINE` for one of its cases.
    file: String,
    /// Where the program is written, instead of the standard output.
    #[arg(long, short, value_name = "OUT.py")]
    output: Option<PathBuf>,
    /// What the server speaks: a profile's name or file.
    #[arg(long, value_name = "PROFILE")]
    speaks: Option<String>,
    /// Which of several listeners is meant: a port, or an address as the error lists them.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// The server's command, in the place of the server that the file names.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Args)]
struct ServeArgs {
    /// The reference server; `sockdrill list servers` names them.
    name: String,
    /// The port to listen on; 0 for any.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The address to listen on.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// The path of a Unix socket to listen on instead.
    #[arg(long)]
    path: Option<PathBuf>,
    /// Breaks the requirement of this check on purpose.
    #[arg(long, value_name = "CHECK")]
    violate: Option<String>,
}

fn main() -> std::process::ExitCode {
    let code = match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            error.exit_code()
        }
    };
    std::process::ExitCode::from(code as u8)
}

fn complain(error: &Error) {
    let _ = writeln!(std::io::stderr(), "error: {}", error.chain());
}

/// Prints a line; a reader that has gone away is no error.
fn say(line: &str) {
    let _ = writeln!(anstream::stdout(), "{line}");
}

fn run(command: Command) -> Result<ExitCode, Error> {
    match command {
        Command::Check(arguments) => check(&arguments),
        Command::Run(arguments) => run_files(&arguments),
        Command::Repro(arguments) => repro(arguments),
        Command::Serve(arguments) => serve(&arguments),
        Command::List { what, format } => list(what, format),
        Command::Explain { check } => explain(&check),
        Command::Fmt { files, check, to } => fmt(&files, check, to),
        Command::Doctor => doctor(),
        Command::Init { folder } => init(&folder),
        Command::Completions { shell } => {
            say(shell.script(&Cli::command()).trim_end());
            Ok(ExitCode::Passed)
        }
        Command::Man => {
            say(manual::man_page(&Cli::command()).trim_end());
            Ok(ExitCode::Passed)
        }
    }
}

fn check(arguments: &CheckArgs) -> Result<ExitCode, Error> {
    let shared = &arguments.shared;
    let target = target(arguments.target.as_deref(), shared)?;
    let settings = Settings {
        only: arguments.only.clone(),
        skip: arguments.skip.clone(),
        deep: arguments.deep,
        cases: arguments.cases,
        saved: shared.artifacts.clone(),
        strict: arguments.strict,
        invocation: invocation(arguments),
        ..settings(shared)?
    };
    let report = runner::check(&target, &checks::all(), &settings, &|result| {
        say(&result.line());
        if arguments.verbose && result.scenarios > 0 {
            say(&format!("    {}", result.effort()));
        }
    })?;
    finish(&report, shared)?;
    let passed = report.summary().pass;
    if let Some(least) = arguments.min_checks.filter(|least| passed < *least) {
        say(&format!(
            "{passed} checks passed, and --min-checks wants {least}"
        ));
        return Ok(ExitCode::Failed);
    }
    Ok(report.exit_code())
}

fn invocation(arguments: &CheckArgs) -> Invocation {
    let shared = &arguments.shared;
    let mut target = Vec::new();
    target.extend(arguments.target.clone());
    if let Some(speaks) = &shared.speaks {
        target.extend(["--speaks".to_owned(), speaks.clone()]);
    }
    if let Some(listen) = &shared.listen {
        target.extend(["--listen".to_owned(), listen.clone()]);
    }
    if arguments.deep {
        target.push("--deep".to_owned());
    }
    if let Some(cases) = arguments.cases {
        target.extend(["--cases".to_owned(), cases.to_string()]);
    }
    let command = Target::command(shared.command.clone(), Profile::unknown());
    let command = (!shared.command.is_empty()).then(|| command.command_line());
    Invocation { target, command }
}

fn settings(shared: &Shared) -> Result<Settings, Error> {
    let defaults = Settings::default();
    Ok(Settings {
        isolation: shared.isolation.into(),
        jobs: shared.jobs.unwrap_or(defaults.jobs),
        seed: shared.seed,
        interrupt: runner::interrupts()?,
        ..defaults
    })
}

/// The target that the command line names: a reference server, a file, or a command.
fn target(name: Option<&str>, shared: &Shared) -> Result<Target, Error> {
    let speaks = shared.speaks.as_deref().map(Profile::find).transpose()?;
    let mut target = match (name, shared.command.is_empty()) {
        (Some(_), false) => {
            return Err(Error::Usage(
                "give a TARGET or a COMMAND after `--`, not both".to_owned(),
            ));
        }
        (None, true) => {
            return Err(Error::Usage(
                "give a TARGET, or the server's command after `--`: sockdrill check -- ./server --port {port}".to_owned(),
            ));
        }
        (None, false) => Target::command(shared.command.clone(), Profile::unknown()),
        (Some(name), true) => Target::find(name)?,
    };
    if let Some(speaks) = speaks {
        target.profile = speaks;
    }
    if shared.listen.is_some() {
        target.listen.clone_from(&shared.listen);
    }
    Ok(target)
}

/// Writes the reports that were asked for, and the end of the text.
fn finish(report: &Report, shared: &Shared) -> Result<(), Error> {
    for line in report.closing_text().trim_end().lines() {
        say(line);
    }
    if let Some(path) = &shared.json {
        write(path, &report.to_json())?;
    }
    if let Some(path) = &shared.junit {
        write(path, &report.to_junit())?;
    }
    if let Some(path) = &shared.html {
        write(path, &report.to_html())?;
    }
    if let Some(folder) = &shared.artifacts {
        for result in &report.results {
            write_artifact(folder, result)?;
        }
    }
    Ok(())
}

fn write_artifact(folder: &Path, result: &CheckResult) -> Result<(), Error> {
    let Some(scenario) = &result.scenario else {
        return Ok(());
    };
    let path = folder.join(runner::artifact_name(result));
    std::fs::create_dir_all(folder).map_err(Error::file("making", folder))?;
    write(
        &path,
        &format!("# {}: {}\n{scenario}", result.id, result.requirement),
    )
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(Error::file("writing", path))
}

fn run_files(arguments: &RunArgs) -> Result<ExitCode, Error> {
    let shared = &arguments.shared;
    let commanded = !shared.command.is_empty();
    let given = Given {
        target: commanded.then(|| target(None, shared)).transpose()?,
        speaks: shared.speaks.clone(),
        program: None,
    };
    let mut cases = Vec::new();
    for file in &arguments.files {
        cases.extend(runner::cases_of(file, &given)?);
    }
    let settings = settings(shared)?;
    let report = runner::run_cases(&cases, &settings, &|result| {
        say(&result.line());
        if arguments.verbose {
            for line in &result.transcript {
                say(&format!("    {line}"));
            }
        }
    })?;
    finish(&report, shared)?;
    Ok(report.exit_code())
}

fn repro(arguments: ReproArgs) -> Result<ExitCode, Error> {
    let command = arguments.command;
    let given = Given {
        target: (!command.is_empty()).then(|| Target::command(command, Profile::unknown())),
        speaks: arguments.speaks,
        program: None,
    };
    let cases = runner::cases_of(&arguments.file, &given)?;
    let Some(first) = cases.first() else {
        return Err(Error::NothingSelected(format!(
            "there is no case in {}",
            arguments.file
        )));
    };
    let mut target = first.target.clone();
    target.listen = arguments.listen.or(target.listen);
    let scenarios: Vec<_> = cases.iter().map(|case| &case.scenario).collect();
    let reproducer = Reproducer::of(&scenarios, &target)?;
    for limit in &reproducer.limits {
        let _ = writeln!(std::io::stderr(), "warning: {limit}");
    }
    match &arguments.output {
        Some(path) => write(path, &reproducer.program)?,
        None => say(reproducer.program.trim_end()),
    }
    Ok(ExitCode::Passed)
}

fn serve(arguments: &ServeArgs) -> Result<ExitCode, Error> {
    let server = servers::find(&arguments.name).ok_or_else(|| unknown_server(&arguments.name))?;
    let address = match &arguments.path {
        Some(path) => Address::Path(path.clone()),
        None => Address::Inet(SocketAddr::new(arguments.host, arguments.port)),
    };
    let served = match &arguments.violate {
        None => servers::serve(server, &address),
        Some(id) => {
            let check = checks::find(id).ok_or_else(|| unknown_check(id))?;
            let counterexample = &check.counterexample;
            if counterexample.instead_of != server.name {
                return Err(Error::Usage(format!(
                    "{id} is broken by a variant of `{0}`: sockdrill serve {0} --violate {id}",
                    counterexample.instead_of
                )));
            }
            (counterexample.serve)(&address)
        }
    };
    served
        .map(|()| ExitCode::Passed)
        .map_err(|source| Error::Start {
            program: format!("{} on {address}", server.name),
            source,
        })
}

fn unknown_server(name: &str) -> Error {
    let known: Vec<_> = servers::SERVERS.iter().map(|server| server.name).collect();
    Error::Unknown {
        kind: "reference server",
        name: name.to_owned(),
        hint: format!("; there are {}", known.join(", ")),
    }
}

fn unknown_check(id: &str) -> Error {
    Error::Unknown {
        kind: "check",
        name: id.to_owned(),
        hint: "; `sockdrill list checks` names them".to_owned(),
    }
}

fn list(what: Listing, format: Format) -> Result<ExitCode, Error> {
    let rows: Vec<Row> = match what {
        Listing::Checks => checks::all().into_iter().map(check_row).collect(),
        Listing::Observations => OBSERVATIONS.iter().map(observation_row).collect(),
        Listing::Servers => servers::SERVERS
            .iter()
            .map(|server| named(server.name, server.about))
            .collect(),
        Listing::Profiles => Profile::built_in()
            .iter()
            .map(|(name, text)| named(name, &first_comment(text)))
            .collect(),
        Listing::Steps => scenario::usages()
            .into_iter()
            .map(|usage| Row {
                json: serde_json::json!({ "step": usage, "about": "" }),
                name: usage,
                about: String::new(),
            })
            .collect(),
    };
    match (format, what) {
        (Format::Json, _) => {
            let rows: Vec<_> = rows.into_iter().map(|row| row.json).collect();
            say(&serde_json::Value::Array(rows).to_string());
        }
        (Format::Markdown, Listing::Checks) => say(manual::checks_page().trim_end()),
        (Format::Markdown, _) => {
            return Err(Error::Usage(
                "only `list checks` has a --format markdown, which holds the observations too"
                    .to_owned(),
            ));
        }
        (Format::Text, _) => {
            let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
            for Row { name, about, .. } in rows {
                say(format!("{name:<width$}  {about}").trim_end());
            }
        }
    }
    Ok(ExitCode::Passed)
}

/// A line of a list, and all there is to say of it.
struct Row {
    name: String,
    about: String,
    json: serde_json::Value,
}

fn named(name: &str, about: &str) -> Row {
    Row {
        name: name.to_owned(),
        about: about.to_owned(),
        json: serde_json::json!({ "name": name, "about": about }),
    }
}

fn check_row(check: &Check) -> Row {
    Row {
        name: check.id.to_owned(),
        about: check.requirement.to_owned(),
        json: serde_json::json!({
            "id": check.id,
            "family": check.family(),
            "requirement": check.requirement,
            "why": check.why,
            "provoked": check.provoked,
            "cure": check.cure,
            "needs": check.needs.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "severity": check.severity.word(),
            "counterexample": {
                "instead_of": check.counterexample.instead_of,
                "command": format!("sockdrill serve {}", check.counterexample_arguments().join(" ")),
            },
        }),
    }
}

fn observation_row(observation: &Observation) -> Row {
    Row {
        name: observation.name.to_owned(),
        about: observation.about.to_owned(),
        json: serde_json::json!({
            "name": observation.name,
            "id": observation.id,
            "about": observation.about,
            "needs": observation.needs.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }),
    }
}

fn first_comment(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.trim_start_matches('#').trim().to_owned()
}

fn explain(id: &str) -> Result<ExitCode, Error> {
    if let Some(observation) = passport::find(id) {
        say(&format!("{id}\n\n{}\n", observation.about));
        say(&format!(
            "It is observed and never judged: `{}` in the passport that `sockdrill check` prints at its end.",
            observation.name
        ));
        if !observation.needs.is_empty() {
            say(&format!("needs: {}", in_words(observation.needs)));
        }
        return Ok(ExitCode::Passed);
    }
    let check = checks::find(id).ok_or_else(|| unknown_check(id))?;
    say(&format!("{}\n\n{}\n", check.id, check.requirement));
    for (title, text) in [
        ("why", check.why),
        ("how it is provoked", check.provoked),
        ("how servers are mended", check.cure),
    ] {
        say(&format!(
            "{title}:\n  {}\n",
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        ));
    }
    say(&format!("needs: {}", check.needs_in_words()));
    say("a server that breaks it, and this check on it:");
    let arguments = check.counterexample_arguments().join(" ");
    say(&format!(
        "  sockdrill check --speaks {} --only {} -- sockdrill serve {arguments}",
        check.counterexample.instead_of, check.id
    ));
    Ok(ExitCode::Passed)
}

fn fmt(files: &[PathBuf], only_check: bool, to: Option<Conversion>) -> Result<ExitCode, Error> {
    let mut code = ExitCode::Passed;
    for path in files {
        if let Some(Conversion::Json) = to {
            say(DrillFile::read(path)?.to_json()?.trim_end());
            continue;
        }
        let text = std::fs::read_to_string(path).map_err(Error::file("reading", path))?;
        let formatted = scenario::format(&path.display().to_string(), &text)?;
        if formatted == text {
            continue;
        }
        if only_check {
            say(&format!("{} is not formatted", path.display()));
            code = ExitCode::Failed;
        } else {
            write(path, &formatted)?;
        }
    }
    Ok(code)
}

fn init(folder: &Path) -> Result<ExitCode, Error> {
    for line in starter::write(folder)? {
        say(&line);
    }
    let (target, first) = (
        folder.join("server.toml"),
        folder.join("scenarios/first.drill"),
    );
    say(&format!(
        "next: write your command and one exchange into {}, then try",
        target.display()
    ));
    say(&format!("  sockdrill check {}", target.display()));
    say(&format!("  sockdrill run {}", first.display()));
    Ok(ExitCode::Passed)
}

fn doctor() -> Result<ExitCode, Error> {
    let mut code = ExitCode::Passed;
    for (name, isolation) in [
        ("namespace", Isolation::Namespace),
        ("host", Isolation::Host),
    ] {
        match Lab::open(isolation) {
            Ok(_) => say(&format!("ok       {name}: servers can run in it")),
            Err(error) => {
                say(&format!("missing  {name}: {}", error.chain()));
                if isolation == Isolation::Host {
                    code = ExitCode::CouldNotRun;
                } else {
                    for advice in ADVICE {
                        say(&format!("         {advice}"));
                    }
                }
            }
        }
    }
    for (what, seen) in lab::capabilities() {
        let word = if seen { "ok     " } else { "missing" };
        say(&format!("{word}  {what}"));
    }
    Ok(code)
}

/// How to permit namespaces, where a host does not.
const ADVICE: &[&str] = &[
    "Ubuntu 23.10 and later: sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    "Debian before 11: sysctl kernel.unprivileged_userns_clone=1",
    "Docker: run with --security-opt seccomp=unconfined --cap-add SYS_ADMIN, or as it is with --isolation host",
    "without a namespace, sockdrill runs servers on the plain host and skips what needs a network of its own",
];
