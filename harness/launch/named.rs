//! Targets as they are found, by a name or in a file, and as a command line names them.

use super::project::Project;
use super::shell::command_line;
use super::target::{Target, find_program};
use crate::model::error::Error;
use crate::model::profile::Profile;
use crate::model::spelling::did_you_mean;
use crate::model::text_file::Kind;
use crate::reference;
use std::path::Path;

impl Target {
    /// Finds a target by the name that the project file `sockdrill.toml` gives it, or of a reference server, which this program serves
    /// itself, or reads it from a file.
    ///
    /// # Errors
    /// There is no such name or file, or the file is malformed.
    pub fn find(name: &str) -> Result<Self, Error> {
        Self::find_in(name, &Project::here()?)
    }

    /// The same where the project file is known.
    pub(crate) fn find_in(name: &str, project: &Project) -> Result<Self, Error> {
        if let Some(target) = project.target(name) {
            return Ok(target.clone());
        }
        if reference::find(name).is_some() {
            let program = std::env::current_exe().map_err(|source| Error::Start {
                program: name.to_owned(),
                source,
            })?;
            return Self::reference(name, &program);
        }
        let path = Path::new(name);
        let is_settings = path
            .extension()
            .is_some_and(|extension| extension == "toml");
        let is_program = !is_settings && find_program(name).is_some();
        if path.exists() && !(is_program && path.is_file()) {
            return Self::read_in(path, project);
        }
        if is_program {
            return Err(Error::Unknown {
                kind: "target",
                name: name.to_owned(),
                hint: format!(
                    "; it is a program, and a server's command stands behind `--`: -- {}",
                    command_line([name])
                ),
            });
        }
        let named = project.targets().iter().map(|target| target.name.as_str());
        let known = reference::SERVERS.iter().map(|server| server.name);
        let known: Vec<_> = named.chain(known).collect();
        Err(Error::Unknown {
            kind: "target",
            name: name.to_owned(),
            hint: format!(
                "; name a target file, one of {}, or a command after `--`{}",
                known.join(", "),
                did_you_mean(name, known.iter().copied())
            ),
        })
    }

    /// Reads a target file.
    ///
    /// # Errors
    /// The file cannot be read or is malformed, or names a profile that does not exist.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::read_in(path, &Project::here()?)
    }

    /// The same where the project file is known, which may name profiles.
    pub(crate) fn read_in(path: &Path, project: &Project) -> Result<Self, Error> {
        let text = Kind::SETTINGS.read(path)?;
        let stem = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        let parsed = Self::parse_in(&stem, &text, folder, &|name| project.profile(name)).map_err(
            |error| match error {
                Error::Malformed { message, .. } => Error::Malformed {
                    file: path.display().to_string(),
                    message,
                },
                other => other,
            },
        )?;
        Ok(Self {
            file: Some(path.to_owned()),
            ..parsed
        })
    }

    /// The words of a command line that name this very target, and those behind `--`, where such words can.
    pub(crate) fn on_command_line(&self) -> Option<(Vec<String>, Vec<String>)> {
        if let Some(project) = &self.project {
            let project = Project::read(project).ok()?;
            let is_as_written = project.target(&self.name) == Some(self);
            return is_as_written.then(|| (vec![self.name.clone()], Vec::new()));
        }
        let Some(file) = &self.file else {
            return self.as_command();
        };
        let is_as_written = Self::read(file).is_ok_and(|read| read == *self);
        is_as_written.then(|| (vec![file.display().to_string()], Vec::new()))
    }

    /// The same of a target that is a command and a profile, and nothing else.
    pub(crate) fn as_command(&self) -> Option<(Vec<String>, Vec<String>)> {
        let (options, profile) = match &self.profile.source {
            None => (Vec::new(), Profile::unknown()),
            Some(source) => {
                let options = vec!["--speaks".to_owned(), source.clone()];
                let project = Project::here().unwrap_or_default();
                (options, project.profile(source).ok()?)
            }
        };
        let command = self.command.clone();
        let said = match &self.elsewhere {
            None => Self::command(command.clone(), profile),
            Some(elsewhere) => Self {
                elsewhere: Some(elsewhere.clone()),
                ..Self::at(&elsewhere.address, profile).ok()?
            },
        };
        let options = self.address_options().into_iter().chain(options);
        (said == *self).then_some((options.collect(), command))
    }
}
