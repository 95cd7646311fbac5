//! `sockdrill init`: a target with its profile, a first scenario and, in a package, its test; they run as they are.

use super::arguments::InitArgs;
use super::output::{say, say_aside, warn};
use super::target::commanded;
use super::words::words;
use crate::checks;
use crate::launch::lab::{Isolation, Lab};
use crate::launch::{Backends, Server, Target, command_line};
use crate::model::action::Action;
use crate::model::dialogue::{ClientSteps, scenario};
use crate::model::error::{Error, ExitCode};
use crate::model::profile::{Profile, Transport};
use crate::model::promise::PROMISES;
use crate::model::scenario::Scenario;
use crate::model::subject::{Place, Subject};
use crate::runner::block_on;
use std::fs::OpenOptions;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

const TARGET: &str = r#"# How your server is started, and what it speaks: sockdrill check server.toml

# The program and its arguments. {port} is a port that sockdrill chooses; {addr}, {path} (for a Unix socket) and {dir} (a
# folder of its own) are filled in likewise. A server that always takes the same port can leave them out.
command = {command}
# Where somebody else has started it, address="127.0.0.1:8080" stands in its place; only what its clients see is judged then.

# How long it may take to listen.
# ready-within = "10s"

# Which of several listeners to drill.
# listen = "8080"

# [environment]
# LOG_LEVEL = "debug"

# What a client says and what it gets for it. Single quotes keep the backslashes: \r, \n, \x00. In a reply, {any} stands
# for any bytes, {line} for any without a newline. Without an exchange, only what every server owes is checked.
# `sockdrill learn` writes exchanges from what a client of yours says.
[profile]
transport = "{transport}" # tcp, udp, unix or unix-datagram

# [[profile.exchange]]
# send = 'hello\r\n'
# reply = 'hello\r\n'
# Whether it opens a conversation, and is made once a connection; false promises that it can be made again.
# once = false

# What the server promises is held against it; what it does not promise is observed and reported, never judged.
[profile.promises]
{promises}
# Failures that are known and have a reason do not fail a run; one that has gone away does.
# [[known]]
# check = "{check}"
# reason = "issue 17"
# until = "2030-12-31"
"#;

/// The test file of a package, which goes through `cargo test` and `cargo nextest`.
const TEST: &str = include_str!("sockets.rs.txt");

/// What stands for a command that nobody has told.
const PLACEHOLDER: &[&str] = &["./your-server", "--port", "{port}"];

pub(super) fn init(arguments: &InitArgs) -> Result<ExitCode, Error> {
    let folder = &arguments.folder;
    let package = Package::at(folder);
    let told = told_command(&arguments.command, package.as_ref())?;
    let command = told.clone().unwrap_or_else(|| owned(PLACEHOLDER));
    let transport = match &told {
        Some(command) => listens_on(&commanded(command)?),
        None => Transport::Tcp,
    };
    let first = first_scenarios(transport);
    let files = [
        ("server.toml", Some(target(&command, transport))),
        ("scenarios/first.drill", Some(first)),
        (
            "tests/sockets.rs",
            package.as_ref().map(|_| TEST.to_owned()),
        ),
    ];
    for (name, text) in files
        .into_iter()
        .filter_map(|(name, text)| Some((name, text?)))
    {
        say(&written(&folder.join(name), &text)?);
    }
    if package.is_some() {
        say("paste into Cargo.toml:");
        say(&format!(
            "  [dev-dependencies]\n  sockdrill = \"{}\"\n\n  [[test]]\n  name = \"sockets\"\n  harness = false",
            env!("CARGO_PKG_VERSION")
        ));
    }
    say_what_is_next(folder, told.is_some(), package.is_some());
    Ok(ExitCode::Passed)
}

fn say_what_is_next(folder: &Path, has_command: bool, has_package: bool) {
    let shown = |name: &str| {
        let path = folder.join(name);
        command_line([path.to_string_lossy().as_ref()])
    };
    let target = shown("server.toml");
    say(&match has_command {
        true => "next:".to_owned(),
        false => format!("next: write the command that starts your server into {target}, then"),
    });
    say(&format!("  sockdrill check {target}"));
    say(&format!(
        "  sockdrill run {}",
        shown("scenarios/first.drill")
    ));
    if has_package {
        say("  cargo test --test sockets");
    }
}

/// The command that starts the server: as it was given, or answered, or as the package has it; `None` where nobody says.
fn told_command(given: &[String], package: Option<&Package>) -> Result<Option<Vec<String>>, Error> {
    if !given.is_empty() {
        return Ok(Some(given.to_vec()));
    }
    let guess = package.map(Package::command);
    if !std::io::stdin().is_terminal() {
        return Ok(guess);
    }
    let usual = guess.clone().unwrap_or_else(|| owned(PLACEHOLDER));
    say_aside(&format!(
        "The command that starts your server, with {{port}} for its port [{}]:",
        command_line(usual.iter().map(String::as_str))
    ));
    let mut answer = String::new();
    let standard_input = Path::new("the standard input");
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(Error::file("reading", standard_input))?;
    match words(&answer)? {
        none if none.is_empty() => Ok(guess),
        command => Ok(Some(command)),
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A package of Rust in the folder that the files are for.
struct Package {
    name: String,
}

impl Package {
    fn at(folder: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(folder.join("Cargo.toml")).ok()?;
        let manifest: toml::Table = text.parse().ok()?;
        let first = |table: &toml::Value| table.get("name")?.as_str().map(str::to_owned);
        let programs = manifest.get("bin").and_then(toml::Value::as_array);
        let program = programs.and_then(|programs| first(programs.first()?));
        let name = program.or_else(|| first(manifest.get("package")?))?;
        Some(Self { name })
    }

    /// How its server is most likely started.
    fn command(&self) -> Vec<String> {
        let program = format!("target/debug/{}", self.name);
        owned(&[&program, "--port", "{port}"])
    }
}

/// What the server listens on, as starting it once shows; TCP where it does not start, which is told.
fn listens_on(target: &Target) -> Transport {
    let found = block_on(async {
        let lab = Arc::new(Lab::of(target, Isolation::Auto)?);
        let _backends = Backends::start(target, &lab).await?;
        let server = Server::start(target, lab).await?;
        Ok::<_, Error>(server.transport())
    });
    found.and_then(|found| found).unwrap_or_else(|error| {
        warn(&format!(
            "the command was tried and does not work yet: {}",
            error.chain()
        ));
        Transport::Tcp
    })
}

/// The text of the target file, with every promise there is. The failure that may be known is one of the catalogue.
fn target(command: &[String], transport: Transport) -> String {
    let check = checks::all().last().map_or("*", |check| check.id);
    let promises = PROMISES.iter();
    let promises = promises.map(|row| format!("# {}\n# {}\n", row.about, row.setting()));
    TARGET
        .replace("{promises}", &promises.collect::<String>())
        .replace("{check}", check)
        .replace("{transport}", &transport.to_string())
        .replace("{command}", &array(command))
}

/// Words as a list of TOML.
pub(super) fn array(words: &[String]) -> String {
    toml::Value::from(words.to_vec()).to_string()
}

/// The text of a file with two scenarios for a server of which nothing is known but what it listens on.
fn first_scenarios(transport: Transport) -> String {
    let subject = Subject::of(Profile::unknown(), Place::on(transport));
    let polite = |who| ClientSteps::of(who).polite(&subject).lines();
    let alone = scenario("a client comes and goes", &[("alice", 1)], vec![polite(0)]);
    let rude = ClientSteps::of(1).connect().send("hel");
    let rude = match transport.is_datagram() {
        true => rude.then(Action::Close),
        false => rude.then(Action::Reset),
    };
    let disturbed = scenario(
        "half a message, and the next client comes all the same",
        &[("alice", 1), ("mallory", 1)],
        vec![rude.lines(), polite(0)],
    );
    drill_text(
        "# A client that leaves in the middle of its request must not disturb the next one.",
        Some("../server.toml"),
        &[alone, disturbed],
    )
}

/// The text of a scenario file.
fn drill_text(comment: &str, server: Option<&str>, cases: &[Scenario]) -> String {
    let server = server.map(|server| format!("server: {server}\n"));
    let cases = cases.iter().map(|case| format!("\n{case}"));
    format!(
        "{comment}\n{}{}",
        server.unwrap_or_default(),
        cases.collect::<String>()
    )
}

/// Writes a file unless there is one; says what became of it.
fn written(path: &Path, text: &str) -> Result<String, Error> {
    Ok(match write_new(path, text)? {
        true => format!("wrote     {}", path.display()),
        false => format!("is there  {}, and is left as it is", path.display()),
    })
}

/// Writes a file unless there is one; says whether it did.
fn write_new(path: &Path, text: &str) -> Result<bool, Error> {
    let failed = Error::file("writing", path);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(Error::file("making", folder))?;
    }
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => {
            let written = file.write_all(text.as_bytes());
            written.map_err(failed)?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::DrillFile;
    use crate::model::profile::Promises;

    #[test]
    fn file_that_is_written_is_understood_with_each_promise_taken_out_of_its_comment() {
        let read = |text: &str| Target::parse("server", text, Path::new("")).unwrap();
        let written = target(&owned(PLACEHOLDER), Transport::Tcp);
        assert_eq!(read(&written).profile.promises, Promises::default());
        assert_eq!(read(&written).command, PLACEHOLDER);
        for row in PROMISES {
            let comment = format!("# {} = ", row.name);
            assert_eq!(written.matches(&comment).count(), 1, "{comment}");
            let text = written.replace(&comment, &comment[2..]);
            let promises = read(&text).profile.promises;
            assert_ne!(promises, Promises::default(), "{}", row.name);
        }
    }

    #[test]
    fn first_scenarios_are_understood_over_every_transport_and_in_canonical_form() {
        for transport in Transport::ALL {
            let text = first_scenarios(*transport);
            let file = DrillFile::parse_over("first.drill", &text, Some(*transport));
            assert_eq!(file.unwrap().cases.len(), 2, "{text}");
            assert_eq!(crate::drill::format("first.drill", &text).unwrap(), text);
        }
    }

    #[test]
    fn command_of_a_package_is_that_of_its_first_program() {
        let folder = tempfile::tempdir().unwrap();
        let of = |text: &str| {
            std::fs::write(folder.path().join("Cargo.toml"), text).unwrap();
            Package::at(folder.path()).map(|package| package.name)
        };
        assert_eq!(of("[package]\nname = \"a\"\n").as_deref(), Some("a"));
        let two = "[package]\nname = \"a\"\n[[bin]]\nname = \"b\"\n[[bin]]\nname = \"c\"\n";
        assert_eq!(of(two).as_deref(), Some("b"));
        assert_eq!(of("[workspace]\nmembers = []\n"), None);
    }
}
