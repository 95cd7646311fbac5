//! What an option is where the command line does not say: the environment, the project file, and what is built in.

use super::arguments::{Cli, ConfigFile};
use crate::launch::Project;
use crate::launch::options::{COMMANDS, Options, Setting};
use crate::launch::project::unknown;
use crate::model::error::Error;
use crate::model::spelling::did_you_mean;
use crate::model::toml_mistake::Mistake;
use crate::runner::unknown_check;
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches};
use std::path::Path;
use toml::Spanned;

/// The commands whose options have layers.
const LAYERED: &[&str] = &["check", "run", "repro", "config"];

/// Options of one invocation, which a project file does not speak of.
const OF_ONE_RUN: &[&str] = &[
    "config",
    "no-config",
    "profile",
    "list",
    "format",
    "last-failed",
    "partition",
    "help",
    "version",
];

/// Options of which one takes the place of the others: what says one more closely leaves the others out.
const IN_PLACE: &[&[&str]] = &[
    &["fail-fast", "no-fail-fast", "max-fail"],
    &["repeat", "for"],
    &["address", "listen"],
];

/// Options that are names of files or folders, which in a project file are relative to it.
const PATHS: &[&str] = &[
    "artifacts",
    "transcripts",
    "json",
    "junit",
    "html",
    "code-quality",
    "events",
    "speaks",
];

/// What stands for the standard output in the place of a file.
const OUTPUT: &str = "-";

/// Options whose values are checks, by id or glob.
const CHOOSING: &[&str] = &["only", "skip"];

/// Where the value of an option comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// An environment variable.
    Environment(String),
    /// A table of the project file.
    File(String),
}

/// An option that a layer beneath the command line gives a value.
#[derive(Clone, Debug)]
pub(super) struct Given {
    /// The name of the option, without its dashes.
    pub(super) option: String,
    /// The identity of its argument.
    pub(super) id: String,
    pub(super) values: Vec<String>,
    pub(super) from: From,
}

/// All that is beneath a command line.
#[derive(Clone, Debug, Default)]
pub(super) struct Layers {
    pub(super) project: Project,
    /// The profile of the project that was chosen.
    pub(super) profile: Option<String>,
    pub(super) given: Vec<Given>,
}

/// The name of the environment variable of an option.
pub(super) fn variable(option: &str) -> String {
    format!("SOCKDRILL_{}", option.to_uppercase().replace('-', "_"))
}

fn from_environment(option: &str) -> Option<String> {
    let value = std::env::var(variable(option)).ok();
    value.filter(|value| !value.is_empty())
}

/// What the arguments come to where the layers beneath them have their say.
///
/// # Errors
/// The project file or a variable is wrong.
pub(super) fn layered(
    words: &[std::ffi::OsString],
    plain: ArgMatches,
) -> Result<Result<(ArgMatches, Layers), clap::Error>, Error> {
    let Some((name, matches)) = plain.subcommand() else {
        return Ok(Ok((plain, Layers::default())));
    };
    if !LAYERED.contains(&name) {
        let given = beneath(&Cli::command(), &plain, &[])?;
        let command = with_defaults(Cli::command(), None, &given);
        let matches = command.try_get_matches_from(words);
        return Ok(matches.map(|matches| (matches, Layers::default())));
    }
    let layers = Layers::of(name, &plain, matches)?;
    let command = with_defaults(Cli::command(), Some(name), &layers.given);
    let matches = command.try_get_matches_from(words);
    Ok(matches.map(|matches| (matches, layers)))
}

impl Layers {
    /// The layers beneath a command.
    fn of(name: &str, all: &ArgMatches, matches: &ArgMatches) -> Result<Self, Error> {
        let config = ConfigFile::from_arg_matches(matches).unwrap_or_default();
        let project = config.project()?;
        let profile = config.profile.or_else(|| from_environment("profile"));
        let overrides = profile.as_deref().map(|profile| named(&project, profile));
        let overrides = overrides.transpose()?;
        let options = known_options();
        refuse_unknown(&project, &options)?;
        let of_profile = overrides.map(|options| {
            let name = profile.as_deref().unwrap_or_default();
            Layer::of(format!("profile.{name}"), options, &project)
        });
        let defaults = Layer::of("defaults".to_owned(), &project.defaults, &project);
        let layers = of_profile.into_iter().chain([defaults]);
        let layers: Vec<Layer> = layers.collect::<Result<_, _>>()?;
        let top = beneath(&Cli::command(), all, &layers)?;
        let own = match name {
            // Nobody asks for a run: all is shown.
            "config" => of_all(&layers)?,
            name => beneath(&subcommand(name), matches, &layers)?,
        };
        Ok(Self {
            given: top.into_iter().chain(own).collect(),
            profile,
            project,
        })
    }
}

impl ConfigFile {
    /// The project file that has its say, and none where that is wanted.
    fn project(&self) -> Result<Project, Error> {
        let is_off = from_environment("no-config").and_then(|text| flag(&text));
        let file = self
            .config
            .clone()
            .or_else(|| from_environment("config").map(Into::into));
        match file {
            _ if self.no_config => Ok(Project::default()),
            Some(file) => Project::read(&std::path::absolute(&file).unwrap_or(file)),
            None if is_off.as_deref() == Some("true") => Ok(Project::default()),
            None => Project::here(),
        }
    }
}

/// What one layer of the project file says.
struct Layer {
    /// The name of its table.
    table: String,
    options: Vec<Said>,
}

/// What is said of an option, of one command or of all.
struct Said {
    command: Option<String>,
    option: String,
    values: Vec<String>,
}

impl Layer {
    /// What is said of an option of a command: what is said of that command alone comes first.
    fn of_option(&self, command: &str, option: &str) -> Option<&Said> {
        let of = |command: Option<&str>| {
            let mut options = self.options.iter();
            options.find(|said| said.option == option && said.command.as_deref() == command)
        };
        of(Some(command)).or_else(|| of(None))
    }
}

impl Layer {
    fn of(table: String, options: &Options, project: &Project) -> Result<Self, Error> {
        let said = options.iter().map(|setting| {
            let option = setting.name.get_ref().clone();
            let wrong = |message: &str| {
                let message = format!("{option}: {message}");
                project.wrong(&Mistake::at(setting.place.clone(), message))
            };
            let no_value = || wrong("write a text, a number, true or false, or a list of them");
            let values = setting.values.as_ref().ok_or_else(no_value)?;
            let values: Vec<String> = values.iter().map(|value| value.get_ref().clone()).collect();
            accepted(&option, &values).map_err(|message| wrong(&message))?;
            let values = values.into_iter();
            Ok::<_, Error>(Said {
                values: values.map(|text| placed(&option, text, project)).collect(),
                command: setting.command.clone(),
                option,
            })
        });
        Ok(Self {
            table,
            options: said.collect::<Result<_, Error>>()?,
        })
    }
}

fn subcommand(name: &str) -> Command {
    let all = Cli::command();
    let found = all.find_subcommand(name).cloned();
    found.unwrap_or(all)
}

/// What is given beneath the options of a command that its words do not give.
fn beneath(command: &Command, matches: &ArgMatches, layers: &[Layer]) -> Result<Vec<Given>, Error> {
    let is_typed = |option: &str| {
        let mut arguments = command.get_arguments();
        let argument = arguments.find(|argument| argument.get_long() == Some(option));
        argument.is_some_and(|argument| {
            matches.value_source(argument.get_id().as_str()) == Some(ValueSource::CommandLine)
        })
    };
    let mut given = Vec::new();
    for argument in command.get_arguments() {
        let Some(option) = argument.get_long() else {
            continue;
        };
        if ["help", "version", "config", "no-config", "profile"].contains(&option) {
            continue;
        }
        let rivals = IN_PLACE.iter().find(|rivals| rivals.contains(&option));
        let rivals = rivals.map_or_else(|| vec![option], |rivals| rivals.to_vec());
        if !rivals.iter().any(|option| is_typed(option)) {
            given.extend(first_of(&rivals, argument, command.get_name(), layers)?);
        }
    }
    Ok(given)
}

/// What the first layer says that speaks of an option, or of one that would take its place.
fn first_of(
    rivals: &[&str],
    argument: &Arg,
    command: &str,
    layers: &[Layer],
) -> Result<Option<Given>, Error> {
    let option = argument.get_long().unwrap_or_default();
    let given = |values, from| Given {
        option: option.to_owned(),
        id: argument.get_id().to_string(),
        values,
        from,
    };
    if rivals.iter().any(|rival| from_environment(rival).is_some()) {
        let Some(text) = from_environment(option) else {
            return Ok(None);
        };
        let values = vec![text];
        let values = match argument.get_action().takes_values() {
            true => values,
            false => vec![flag(&values[0]).unwrap_or_else(|| values[0].clone())],
        };
        accepted(option, &values)
            .map_err(|message| Error::Usage(format!("{}: {message}", variable(option))))?;
        return Ok(Some(given(values, From::Environment(variable(option)))));
    }
    let speaks = |layer: &&Layer| {
        let mut rivals = rivals.iter();
        rivals.any(|option| layer.of_option(command, option).is_some())
    };
    let layer = layers.iter().find(speaks);
    Ok(layer.and_then(|layer| {
        let said = layer.of_option(command, option)?;
        let part = said.command.as_ref().map(|command| format!(".{command}"));
        let table = format!("[{}{}]", layer.table, part.unwrap_or_default());
        Some(given(said.values.clone(), From::File(table)))
    }))
}

/// The words that say whether a flag is set, as one that clap knows.
fn flag(text: &str) -> Option<String> {
    match text.to_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some("true".to_owned()),
        "0" | "false" | "no" | "off" => Some("false".to_owned()),
        _ => None,
    }
}

/// The same for the options of all runs, none of which is typed.
fn of_all(layers: &[Layer]) -> Result<Vec<Given>, Error> {
    let mut given: Vec<Given> = Vec::new();
    for name in COMMANDS {
        let command = subcommand(name);
        let nothing = command.clone().try_get_matches_from([*name]);
        let nothing = nothing.map_err(|error| Error::Usage(error.to_string()))?;
        for one in beneath(&command, &nothing, layers)? {
            let is_alike =
                |known: &Given| (&known.option, &known.values) == (&one.option, &one.values);
            if !given.iter().any(is_alike) {
                given.push(one);
            }
        }
    }
    Ok(given)
}

/// The names of all options of runs, without dashes.
pub(super) fn known_options() -> Vec<Arg> {
    let all = Cli::command();
    let mut known: Vec<Arg> = all.get_arguments().cloned().collect();
    for name in COMMANDS {
        for argument in subcommand(name).get_arguments() {
            let is_new = !known
                .iter()
                .any(|known| known.get_id() == argument.get_id());
            if is_new && argument.get_long().is_some() {
                known.push(argument.clone());
            }
        }
    }
    known
}

/// The overrides of a profile of the project.
fn named<'a>(project: &'a Project, profile: &str) -> Result<&'a Options, Error> {
    let overrides = project.overrides.get(profile);
    overrides.ok_or_else(|| {
        let known: Vec<&str> = project.overrides.keys().map(String::as_str).collect();
        let hint = match (&project.file, known.is_empty()) {
            (None, _) => "; there is no sockdrill.toml here or above".to_owned(),
            (Some(file), true) => format!("; {} has no [profile.{profile}]", file.display()),
            (Some(_), false) => {
                let near = did_you_mean(profile, known.iter().copied());
                format!("; there are {}{near}", known.join(", "))
            }
        };
        Error::Unknown {
            kind: "profile of the project",
            name: profile.to_owned(),
            hint,
        }
    })
}

/// Refuses what is no option, in every profile, whichever is chosen.
fn refuse_unknown(project: &Project, known: &[Arg]) -> Result<(), Error> {
    let known: Vec<&str> = known.iter().filter_map(Arg::get_long).collect();
    let may_be: Vec<&str> = known
        .into_iter()
        .filter(|option| !OF_ONE_RUN.contains(option))
        .collect();
    let sections = std::iter::once(&project.defaults).chain(project.overrides.values());
    for Setting {
        name,
        values,
        is_table,
        ..
    } in sections.flatten()
    {
        let word = name.get_ref().as_str();
        if OF_ONE_RUN.contains(&word) {
            let message = format!(
                "`{word}` is of one run and not of a project: give --{word}, or {}",
                variable(word)
            );
            return Err(project.wrong(&Mistake::of(name, message)));
        }
        if *is_table && !may_be.contains(&word) {
            return Err(project.wrong(&unknown(name, "command", COMMANDS)));
        }
        if !may_be.contains(&word) {
            return Err(project.wrong(&unknown(name, "option", &may_be)));
        }
        if CHOOSING.contains(&word) {
            refuse_unknown_checks(project, word, values.iter().flatten())?;
        }
    }
    Ok(())
}

/// Refuses what chooses a check that there is not.
fn refuse_unknown_checks<'a>(
    project: &Project,
    option: &str,
    mut globs: impl Iterator<Item = &'a Spanned<String>>,
) -> Result<(), Error> {
    let wrong = globs.find_map(|glob| Some((glob, unknown_check(glob.get_ref())?)));
    match wrong {
        Some((glob, message)) => {
            Err(project.wrong(&Mistake::of(glob, format!("{option}: {message}"))))
        }
        None => Ok(()),
    }
}

/// The name of a file as it is from here.
fn placed(option: &str, text: String, project: &Project) -> String {
    let folder = project.folder();
    let is_here = std::env::current_dir().is_ok_and(|here| here == folder);
    let path = folder.join(&text);
    // What a server speaks is more often a name than a file.
    let is_path = PATHS.contains(&option) && (option != "speaks" || path.is_file());
    let is_path = is_path && text != OUTPUT;
    match is_path && !is_here && Path::new(&text).is_relative() {
        true => path.to_string_lossy().into_owned(),
        false => text,
    }
}

/// Whether an option takes these values; the message is what it says of one that it does not take.
fn accepted(option: &str, values: &[String]) -> Result<(), String> {
    let known = known_options();
    let Some(argument) = known
        .into_iter()
        .find(|argument| argument.get_long() == Some(option))
    else {
        return Ok(());
    };
    if !argument.get_action().takes_values() {
        return match values {
            [value] if value == "true" || value == "false" => Ok(()),
            _ => Err("write true or false".to_owned()),
        };
    }
    let is_one = !matches!(argument.get_action(), clap::ArgAction::Append);
    if is_one && values.len() != 1 {
        return Err("it takes one value".to_owned());
    }
    let alone = Arg::new("value").long(option.to_owned());
    let alone = alone.value_parser(argument.get_value_parser().clone());
    let command = Command::new("sockdrill").disable_help_flag(true).arg(alone);
    for value in values {
        let words = ["sockdrill".to_owned(), format!("--{option}={value}")];
        command
            .clone()
            .try_get_matches_from(words)
            .map_err(|error| said(&error))?;
    }
    Ok(())
}

/// What clap says is wrong, without what it says of the command line.
fn said(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines = text
        .lines()
        .take_while(|line| !line.is_empty() && !line.starts_with("For more"));
    let lines: Vec<&str> = lines.map(str::trim).collect();
    let said = lines.join(" ");
    let said = said.trim_start_matches("error: ");
    format!("{said}{}", meant_value(error))
}

/// `; did you mean ...?`, where a value is none of those that there are, and one of them is close.
fn meant_value(error: &clap::Error) -> String {
    let of = |kind| error.get(kind);
    match (of(ContextKind::InvalidValue), of(ContextKind::ValidValue)) {
        (Some(ContextValue::String(value)), Some(ContextValue::Strings(known))) => {
            did_you_mean(value, known.iter().map(String::as_str))
        }
        _ => String::new(),
    }
}

/// The command whose options are by themselves what is given.
fn with_defaults(command: Command, name: Option<&str>, given: &[Given]) -> Command {
    let set = |mut command: Command| {
        for one in given {
            let is_there = |command: &Command| {
                command
                    .get_arguments()
                    .any(|argument| argument.get_id() == one.id.as_str())
            };
            if is_there(&command) {
                command = command.mut_arg(one.id.clone(), |argument| {
                    argument.default_values(one.values.clone())
                });
            }
        }
        command
    };
    let command = set(command);
    match name.filter(|name| *name != "config") {
        Some(name) => command.mut_subcommand(name, set),
        None => command,
    }
}
