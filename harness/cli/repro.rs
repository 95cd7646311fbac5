//! `sockdrill repro`: a scenario as a Python program.

use super::arguments::ReproArgs;
use super::destination::Destination;
use super::layers::Layers;
use super::output::{say, warn, write};
use crate::foreign::LINE;
use crate::launch::Target;
use crate::model::error::{Error, ExitCode};
use crate::model::profile::Profile;
use crate::reproducer::Reproducer;
use crate::runner::{self, Given};
use std::path::Path;

pub(super) fn repro(arguments: ReproArgs, layers: &Layers) -> Result<ExitCode, Error> {
    let command = arguments.command;
    let given = Given {
        target: (!command.is_empty()).then(|| Target::command(command, Profile::unknown())),
        speaks: arguments.speaks,
        program: None,
        project: layers.project.clone(),
    };
    if Path::new(&arguments.file).is_dir() {
        return Err(Error::Usage(format!(
            "{} is a folder, and a program is made of a file",
            arguments.file
        )));
    }
    if let Some(path) = &arguments.output {
        Destination::of("output", path).tried_as_file()?;
    }
    let cases = runner::cases_of(&arguments.file, &given)?;
    let Some(first) = cases.first() else {
        return Err(Error::NothingSelected(format!(
            "there is no case in {}",
            arguments.file
        )));
    };
    let mut target = first.target.clone();
    if let Some(elsewhere) = &target.elsewhere {
        return Err(Error::Usage(format!(
            "the program would start the server itself, and somebody else starts the one at {}: give its command after `--`",
            LINE.text(&elsewhere.address)
        )));
    }
    target.listen = arguments.listen.or(target.listen);
    let scenarios: Vec<_> = cases.iter().map(|case| &case.scenario).collect();
    let reproducer = Reproducer::of(&scenarios, &target)?;
    for limit in &reproducer.limits {
        warn(limit);
    }
    match &arguments.output {
        Some(path) => write(path, &reproducer.program)?,
        None => say(reproducer.program.trim_end()),
    }
    Ok(ExitCode::Passed)
}
