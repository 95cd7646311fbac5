//! What a project file says of options.

use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The commands that may be told something else than others, as in `[defaults.check]`.
const COMMANDS: &[&str] = &["check", "run"];

/// An option, and what the file says of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Setting {
    /// The name of the option, where it stands.
    pub name: Spanned<String>,
    /// The command that it is said of, where it is not said of all.
    pub command: Option<String>,
    /// Its values in words; `None` where it is nothing that an option can be.
    pub values: Option<Vec<String>>,
    /// Where its value stands.
    pub place: Range<usize>,
}

/// All options of a part of the file.
pub(crate) type Options = Vec<Setting>;

/// The options of `[defaults]`, and of each `[profile.NAME]`.
pub(super) fn options(file: &DeTable<'_>) -> (Options, BTreeMap<String, Options>) {
    let table = |name: &str| file.get(name).and_then(|value| value.get_ref().as_table());
    let defaults = table("defaults").map_or_else(Vec::new, |table| in_table(table, None));
    let profiles = table("profile").into_iter().flatten();
    let profiles = profiles.filter_map(|(name, value)| {
        let options = in_table(value.get_ref().as_table()?, None);
        Some((name.get_ref().to_string(), options))
    });
    (defaults, profiles.collect())
}

fn in_table(table: &DeTable<'_>, command: Option<&str>) -> Options {
    let settings = table.iter().flat_map(|(name, value)| {
        let word = name.get_ref().as_ref();
        match value.get_ref().as_table() {
            Some(table) if command.is_none() && COMMANDS.contains(&word) => {
                in_table(table, Some(word))
            }
            _ => vec![Setting {
                name: Spanned::new(name.span(), word.to_owned()),
                command: command.map(str::to_owned),
                values: words(value.get_ref()),
                place: value.span(),
            }],
        }
    });
    settings.collect()
}

/// A value as words of a command line.
fn words(value: &DeValue<'_>) -> Option<Vec<String>> {
    let one = match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Array(values) => {
            let values = values.iter().map(|value| words(value.get_ref()));
            return Some(values.collect::<Option<Vec<_>>>()?.concat());
        }
        DeValue::Datetime(_) | DeValue::Table(_) => return None,
    };
    Some(vec![one])
}
