//! What a bundle is, for who repeats or judges it: read back from the file that says so.

use crate::model::error::Error;
use crate::model::spelling::toml_mistake;
use crate::model::text_file::Kind;
use crate::runner::{AsBefore, BUNDLE_INDEX};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The form of bundles; it changes where an older program could not read them.
const FORMAT: u32 = 1;

/// The names of the files that a program reads, too.
pub(super) const SCENARIO: &str = "scenario.drill";
pub(super) const TARGET: &str = "target.toml";
pub(super) const TRIAL: &str = "transcript.json";

/// What a bundle is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Index {
    pub(super) format: u32,
    /// The check, or the case, that failed.
    pub(super) id: String,
    pub(super) requirement: String,
    /// What it failed by, in a sentence.
    pub(super) reason: String,
    /// The key of its cause.
    pub(super) cause: String,
    /// What the server is called in reports.
    pub(super) target: String,
    /// The version of sockdrill.
    pub(super) sockdrill: String,
    /// When the trial began, where that is known.
    pub(super) date: Option<String>,
    /// The kernel of the host.
    pub(super) host: String,
    /// The folder in which sockdrill was called, and in which the server ran.
    pub(super) folder: PathBuf,
    pub(super) settings: RanWith,
    pub(super) trial: Performed,
    /// What of the environment decides how programs are found and what they say. All else of it may be secret.
    pub(super) environment: BTreeMap<String, String>,
    /// What each file is.
    pub(super) files: BTreeMap<String, String>,
}

/// How the run was carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RanWith {
    pub(super) seed: u64,
    pub(super) isolation: String,
    pub(super) strict: bool,
    pub(super) i_own_this_host: bool,
    pub(super) flood: bool,
}

/// How the scenario was performed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Performed {
    pub(super) polite: bool,
    pub(super) asks: bool,
    pub(super) reading_is_use: bool,
    pub(super) known: Vec<String>,
}

impl Performed {
    /// The same for who performs it again.
    pub(super) fn again(&self) -> AsBefore {
        AsBefore {
            polite: self.polite,
            asks: self.asks,
            reading_is_use: self.reading_is_use,
            known: self.known.clone(),
        }
    }
}

impl Index {
    pub(super) const FORMAT: u32 = FORMAT;

    /// Whether a folder is a bundle.
    pub(super) fn is_in(folder: &Path) -> bool {
        folder.join(BUNDLE_INDEX).exists()
    }

    /// Names a bundle that is in a folder, where there are some; they stand behind a sentence.
    pub(super) fn below(folder: &Path) -> String {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let folders = entries.map(|entry| entry.path());
        let mut bundles: Vec<PathBuf> = folders.filter(|folder| Self::is_in(folder)).collect();
        bundles.sort();
        match bundles.as_slice() {
            [] => String::new(),
            [only] => format!("; {} is one", only.display()),
            [first, others @ ..] => {
                format!("; {} is one, of {}", first.display(), others.len() + 1)
            }
        }
    }

    /// Reads what a bundle is.
    ///
    /// # Errors
    /// There is no such folder, it is no bundle, or one of another format.
    pub(super) fn read(folder: &Path) -> Result<Self, Error> {
        let shown = folder.display();
        if !folder.is_dir() {
            let what = if folder.exists() {
                "is no folder"
            } else {
                "is not there"
            };
            return Err(Error::Usage(format!(
                "{shown} {what}; name a bundle, a folder below that of --artifacts, such as found/reset-mid-request"
            )));
        }
        let path = folder.join(BUNDLE_INDEX);
        if !path.exists() {
            return Err(Error::Usage(format!(
                "{shown} is no bundle: there is no {BUNDLE_INDEX} in it, which says what failed; a bundle is a folder below that of \
                 --artifacts, with {BUNDLE_INDEX}, {SCENARIO}, {TARGET} and {TRIAL} in it{}",
                Self::below(folder)
            )));
        }
        let mut needed = [SCENARIO, TARGET, TRIAL].iter();
        if let Some(name) = needed.find(|name| !folder.join(name).is_file()) {
            return Err(Error::Malformed {
                file: shown.to_string(),
                message: format!("there is no {name} in it, which every bundle has"),
            });
        }
        let text = Kind::SETTINGS.read_found(&path)?;
        let malformed = |message: String| Error::Malformed {
            file: path.display().to_string(),
            message,
        };
        let plain: toml::Table =
            toml::from_str(&text).map_err(|error| malformed(toml_mistake(&error)))?;
        let format = plain.get("format").and_then(toml::Value::as_integer);
        if format != Some(FORMAT.into()) {
            let is = match format {
                Some(format) => format!("this is format {format}"),
                None => "it says no format".to_owned(),
            };
            return Err(malformed(format!("{is}, and {FORMAT} is understood")));
        }
        toml::from_str(&text).map_err(|error| malformed(toml_mistake(&error)))
    }
}
