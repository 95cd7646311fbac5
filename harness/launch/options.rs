//! What a project file says of options.

use crate::model::toml_mistake::Mistake;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The commands that may be told something else than others, as in `[defaults.check]`.
pub(crate) const COMMANDS: &[&str] = &["check", "run"];

/// An option, and what the file says of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Setting {
    /// The name of the option, where it stands.
    pub name: Spanned<String>,
    /// The command that it is said of, where it is not said of all.
    pub command: Option<String>,
    /// Its values in words, where they stand; `None` where it is nothing that an option can be.
    pub values: Option<Vec<Spanned<String>>>,
    /// It is a table, as a command has it.
    pub is_table: bool,
    /// Where its value stands.
    pub place: Range<usize>,
}

/// All options of a part of the file.
pub(crate) type Options = Vec<Setting>;

/// The options of `[defaults]`, and of each `[profile.NAME]`.
///
/// # Errors
/// One of them is no table.
pub(super) fn options(file: &DeTable<'_>) -> Result<(Options, BTreeMap<String, Options>), Mistake> {
    let defaults = match file.get("defaults") {
        Some(value) => in_table(table("[defaults]", value)?, None),
        None => Vec::new(),
    };
    let mut overrides = BTreeMap::new();
    if let Some(value) = file.get("profile") {
        for (name, value) in table("[profile.NAME]", value)? {
            let name = name.get_ref().to_string();
            let options = table(&format!("[profile.{name}]"), value)?;
            overrides.insert(name, in_table(options, None));
        }
    }
    Ok((defaults, overrides))
}

/// What is to be a table of options.
fn table<'a, 'b>(name: &str, value: &'a Spanned<DeValue<'b>>) -> Result<&'a DeTable<'b>, Mistake> {
    let table = value.get_ref().as_table();
    table.ok_or_else(|| {
        let message = format!("{name} is a table of options, such as jobs = 4");
        Mistake::at(value.span(), message)
    })
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
                values: words(value),
                is_table: value.get_ref().is_table(),
                place: value.span(),
            }],
        }
    });
    settings.collect()
}

/// A value as words of a command line.
fn words(value: &Spanned<DeValue<'_>>) -> Option<Vec<Spanned<String>>> {
    let one = match value.get_ref() {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Array(values) => {
            let values = values.iter().map(words);
            return Some(values.collect::<Option<Vec<_>>>()?.concat());
        }
        DeValue::Datetime(_) | DeValue::Table(_) => return None,
    };
    Some(vec![Spanned::new(value.span(), one)])
}
