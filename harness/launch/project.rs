//! The project file `sockdrill.toml`: targets and profiles by name, and what options are where nobody says otherwise.

use super::options::{Options, options};
use super::target::{RawTarget, Source, Target};
use crate::model::error::Error;
use crate::model::profile::{Profile, RawProfile};
use crate::model::spelling::{did_you_mean, nearest, toml_mistake};
use crate::model::text_file::Kind;
use crate::model::toml_mistake::{Mistake, text_or_table};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::DeTable;

/// The name by which it is found.
const NAME: &str = "sockdrill.toml";

/// What may stand at its top.
const TABLES: &[&str] = &["targets", "profiles", "defaults", "profile"];

/// A project file, or none, of which there is nothing to tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Project {
    /// The file, where there is one.
    pub file: Option<PathBuf>,
    text: String,
    targets: Vec<Target>,
    profiles: Vec<Profile>,
    /// What options are where nobody says otherwise.
    pub defaults: Options,
    /// What options are in a profile of the project, such as `ci`.
    pub overrides: BTreeMap<String, Options>,
}

#[derive(Deserialize)]
struct RawProject {
    #[serde(default)]
    targets: BTreeMap<String, RawTarget>,
    #[serde(default)]
    profiles: BTreeMap<String, RawNamed>,
}

/// A profile in the project file: the file that it is in, or all of it.
enum RawNamed {
    File(String),
    Inline(Box<RawProfile>),
}

impl<'de> Deserialize<'de> for RawNamed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let file = |name: &str| Ok(Self::File(name.to_owned()));
        let inline = |raw: RawProfile| Self::Inline(Box::new(raw));
        text_or_table(from, "a profile, or the name of its file", file, inline)
    }
}

impl Project {
    /// The project file of the folder in which we are, or of one above it.
    ///
    /// # Errors
    /// There is one, and it cannot be read or understood.
    pub(crate) fn here() -> Result<Self, Error> {
        let here = std::env::current_dir().unwrap_or_default();
        let mut files = here.ancestors().map(|folder| folder.join(NAME));
        match files.find(|file| file.is_file()) {
            Some(file) => Self::read(&file),
            None => Ok(Self::default()),
        }
    }

    /// Reads a project file.
    ///
    /// # Errors
    /// It cannot be read, or says where it is wrong.
    pub(crate) fn read(file: &Path) -> Result<Self, Error> {
        let text = Kind::SETTINGS.read(file)?;
        let malformed = |message: String| Error::Malformed {
            file: file.display().to_string(),
            message,
        };
        let not_toml = |error: toml::de::Error| malformed(toml_mistake(&error));
        let tables = DeTable::parse(&text).map_err(not_toml)?;
        refuse_unknown_tables(tables.get_ref())
            .map_err(|mistake| malformed(mistake.shown(&text)))?;
        let (defaults, overrides) =
            options(tables.get_ref()).map_err(|mistake| malformed(mistake.shown(&text)))?;
        let raw: RawProject = toml::from_str(&text).map_err(not_toml)?;
        let mut project = Self {
            file: Some(file.to_owned()),
            defaults,
            overrides,
            text: text.clone(),
            ..Self::default()
        };
        for (name, raw) in raw.profiles {
            let profile = project.profile_of(&name, raw).map_err(malformed_in(file))?;
            project.profiles.push(profile);
        }
        for (name, raw) in raw.targets {
            let source = Source {
                text: &project.text,
                table: vec!["targets", &name],
                folder: &project.folder(),
                known: &|name: &str| project.profile(name),
            };
            let target = Target::from_raw(&name, raw, &source).map_err(malformed_in(file))?;
            project.targets.push(Target {
                project: project.file.clone(),
                ..target
            });
        }
        Ok(project)
    }

    fn profile_of(&self, name: &str, raw: RawNamed) -> Result<Profile, Error> {
        let malformed = |mistake: Mistake| Error::Malformed {
            file: name.to_owned(),
            message: mistake.below(&["profiles", name]).shown(&self.text),
        };
        let profile = match raw {
            RawNamed::File(file) => {
                let path = self.folder().join(file);
                Profile::find(&path.to_string_lossy()).map_err(|error| match error {
                    Error::Unknown { .. } => malformed(error.chain().into()),
                    other => other,
                })?
            }
            RawNamed::Inline(raw) => {
                Profile::from_raw(name, *raw, &self.text, &self.folder()).map_err(malformed)?
            }
        };
        Ok(Profile {
            name: name.to_owned(),
            source: Some(name.to_owned()),
            ..profile
        })
    }

    /// The folder that names of files in it are relative to.
    pub(crate) fn folder(&self) -> PathBuf {
        let file = self.file.as_deref();
        let folder = file.and_then(Path::parent);
        folder.map_or_else(PathBuf::new, Path::to_owned)
    }

    /// The target of this name.
    pub(crate) fn target(&self, name: &str) -> Option<&Target> {
        self.targets.iter().find(|target| target.name == name)
    }

    /// All targets, by name.
    pub(crate) fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The names of its own profiles.
    pub(crate) fn profiles(&self) -> impl Iterator<Item = &str> {
        self.profiles.iter().map(|profile| profile.name.as_str())
    }

    /// The profile of this name, or that everybody knows, or that is in a file.
    ///
    /// # Errors
    /// There is none, or it is malformed.
    pub(crate) fn profile(&self, name: &str) -> Result<Profile, Error> {
        let mut profiles = self.profiles.iter();
        match profiles.find(|profile| profile.name == name) {
            Some(profile) => Ok(profile.clone()),
            None => Profile::find(name).map_err(|error| self.beside_its_own(error)),
        }
    }

    /// The same where the profiles of the project are told, too.
    fn beside_its_own(&self, error: Error) -> Error {
        let own: Vec<&str> = self.profiles().collect();
        match error {
            Error::Unknown { kind, name, hint } if !own.is_empty() => {
                let (built_in, _) = hint.split_once("; did you mean").unwrap_or((&hint, ""));
                let known = Profile::built_in().iter().map(|(known, _)| *known);
                let near = did_you_mean(&name, own.iter().copied().chain(known));
                let hint = format!("{built_in}; the project has {}{near}", own.join(", "));
                Error::Unknown { kind, name, hint }
            }
            other => other,
        }
    }

    /// Says what is wrong with an option.
    pub(crate) fn wrong(&self, mistake: &Mistake) -> Error {
        Error::Malformed {
            file: self
                .file
                .as_ref()
                .map_or_else(String::new, |file| file.display().to_string()),
            message: mistake.shown(&self.text),
        }
    }
}

/// Names the file in what was said of a part of it.
fn malformed_in(file: &Path) -> impl Fn(Error) -> Error + use<> {
    let name = file.display().to_string();
    move |error| match error {
        Error::Malformed { file, message } if !file.contains('/') => Error::Malformed {
            file: name.clone(),
            message: format!("{file}: {message}"),
        },
        other => other,
    }
}

fn refuse_unknown_tables(tables: &DeTable<'_>) -> Result<(), Mistake> {
    let mut names = tables.keys();
    match names.find(|name| !TABLES.contains(&name.get_ref().as_ref())) {
        Some(name) => {
            let name = Spanned::new(name.span(), name.get_ref().to_string());
            Err(unknown(&name, "table", TABLES))
        }
        None => Ok(()),
    }
}

/// A word of the file that is none of those that there are.
pub(crate) fn unknown(name: &Spanned<String>, kind: &str, known: &[&str]) -> Mistake {
    let word = name.get_ref();
    let hint = match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", known.join(", ")),
    };
    Mistake::of(name, format!("there is no {kind} `{word}`; {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Project, Error> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(NAME);
        std::fs::write(&file, text).unwrap();
        Project::read(&file)
    }

    #[test]
    fn targets_and_profiles_have_names() {
        let project = read(
            "[targets.web]\ncommand = [\"server\", \"{port}\"]\nspeaks = \"mine\"\n\
             [profiles.mine]\ntransport = \"tcp\"\n[[profiles.mine.exchange]]\nsend = 'a'\nreply = 'b'\n",
        )
        .unwrap();
        let web = project.target("web").unwrap();
        assert_eq!(web.command, ["server", "{port}"]);
        assert_eq!(web.profile.source.as_deref(), Some("mine"));
        assert!(web.profile.has_dialogue());
        assert!(project.target("mine").is_none());
        assert_eq!(project.profile("echo").unwrap().name, "echo");
    }

    #[test]
    fn mistake_is_shown_in_its_line() {
        let mistakes = [
            ("[taget.web]\n", "line 1", "did you mean `targets`?"),
            ("\n[targets.web]\ncomand = []\n", "line 3", "unknown field"),
            ("[targets.web]\ncommand = []\n", "web: ", "command is empty"),
            (
                "[profiles.p]\n[[profiles.p.exchange]]\nsend = '\\q'\nreply = ''\n",
                "line 3",
                "send",
            ),
            ("[profiles]\np = 3\n", "line 2", "the name of its file"),
            ("[defaults\n", "line 1", ""),
        ];
        for (text, place, said) in mistakes {
            let message = read(text).unwrap_err().chain();
            assert!(message.contains(place), "{message}");
            assert!(message.contains(said), "{message}");
            assert!(message.contains(NAME), "{message}");
        }
    }
}
