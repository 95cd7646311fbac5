//! Which checks are chosen.

use super::settings::Settings;
use crate::checks;
use crate::checks::observations::OBSERVATIONS;
use crate::launch::{Known, Target};
use crate::model::check::Check;
use crate::model::error::Error;
use crate::model::spelling::nearest;
use std::collections::BTreeSet;

/// The checks of a table that a run is to try, in its order.
pub(crate) fn selected(
    target: &Target,
    table: &[&'static Check],
    settings: &Settings,
) -> Result<Vec<&'static Check>, Error> {
    refuse_misspelt(target, table, settings)?;
    let checks = table.iter().copied();
    let selected: Vec<_> = checks.filter(|check| settings.selects(check.id)).collect();
    if !selected.is_empty() {
        return Ok(selected);
    }
    let chosen = match settings.only.as_slice() {
        [] => "anything".to_owned(),
        only => format!("--only {}", only.join(" --only ")),
    };
    let skipped = settings.skip.join(" --skip ");
    Err(Error::NothingSelected(format!(
        "every check that matches {chosen} matches --skip {skipped} too"
    )))
}

/// What of it the part of the run does that the settings say, if they say one.
pub(crate) fn part_of<T>(
    selected: Vec<T>,
    settings: &Settings,
    name: impl Fn(&T) -> &str,
) -> Result<Vec<T>, Error> {
    let Some(partition) = settings.partition else {
        return Ok(selected);
    };
    let all = selected.len();
    let part = partition.part_of(selected, name);
    match part.is_empty() {
        false => Ok(part),
        true => Err(Error::NothingSelected(format!(
            "of the {all} that are selected none is in --partition {partition}"
        ))),
    }
}

impl Settings {
    /// Whether an id is chosen by `only` and not by `skip`.
    pub(crate) fn selects(&self, id: &str) -> bool {
        let named_in = |globs: &[String]| globs.iter().any(|glob| glob_matches(glob, id));
        let is_among = self.among.as_ref().is_none_or(|ids| ids.contains(&id));
        is_among && (self.only.is_empty() || named_in(&self.only)) && !named_in(&self.skip)
    }
}

/// A glob that names nothing is a slip: what it was meant to leave out would run, and what it was meant to run would not.
fn refuse_misspelt(
    target: &Target,
    table: &[&'static Check],
    settings: &Settings,
) -> Result<(), Error> {
    if let Some(glob) = settings.only.iter().find(|glob| !names_check(table, glob)) {
        return Err(Error::NothingSelected(match names_observation(glob) {
            true => format!("--only {glob} names what is observed without --only and never judged"),
            false => format!("no check matches --only {glob}; {}", listed(table, glob)),
        }));
    }
    let is_unknown = |glob: &str| !names_check(table, glob) && !names_observation(glob);
    if let Some(known) = target.known.iter().find(|known| is_unknown(&known.check)) {
        return Err(unknown_failure(target, table, known));
    }
    match settings.skip.iter().find(|glob| is_unknown(glob)) {
        Some(glob) => Err(Error::Unknown {
            kind: "check",
            name: glob.clone(),
            hint: format!(", which --skip names; {}", listed(table, glob)),
        }),
        None => Ok(()),
    }
}

/// Says so of a known failure of a check that there is not, in the file that has it.
fn unknown_failure(target: &Target, table: &[&'static Check], known: &Known) -> Error {
    let file = target.project.as_ref().or(target.file.as_ref());
    let (glob, line) = (&known.check, &known.line);
    let list = listed(table, glob);
    Error::Malformed {
        file: file.map_or_else(|| target.name.clone(), |file| file.display().to_string()),
        message: format!("{line}there is no check `{glob}`, which [[known]] names; {list}"),
    }
}

/// What is wrong with a glob that names no check, and nothing that is observed either.
pub(crate) fn unknown_check(glob: &str) -> Option<String> {
    let table = checks::all();
    let is_known = names_check(&table, glob) || names_observation(glob);
    (!is_known).then(|| format!("there is no check `{glob}`; {}", listed(&table, glob)))
}

fn names_check(table: &[&'static Check], glob: &str) -> bool {
    table.iter().any(|check| glob_matches(glob, check.id))
}

fn names_observation(glob: &str) -> bool {
    let mut ids = OBSERVATIONS.iter().filter_map(|row| row.id);
    ids.any(|id| glob_matches(glob, id))
}

/// Where all of them are named, and which was most likely meant: one of them, a family, or all of a family.
fn listed(table: &[&'static Check], glob: &str) -> String {
    let family = |check: &&'static Check| check.id.split('/').next().unwrap_or_default();
    let families: BTreeSet<&str> = table.iter().map(family).collect();
    let (begin, rest) = glob.split_once('/').unwrap_or((glob, ""));
    let near = match rest.contains('*') || rest.is_empty() {
        true => nearest(begin, families).map(|family| glob.replacen(begin, family, 1)),
        false => nearest(glob, table.iter().map(|check| check.id)).map(str::to_owned),
    };
    let near = near.filter(|near| names_check(table, near));
    let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    format!("`sockdrill list checks` names them{near}")
}

/// Matches a glob in which `*` stands for any text; a family's name stands for all of it.
pub(crate) fn glob_matches(glob: &str, id: &str) -> bool {
    if id.split('/').next() == Some(glob) {
        return true;
    }
    let mut parts = glob.split('*');
    let Some(mut rest) = parts.next().and_then(|first| id.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glob_takes_a_family_a_star_or_an_id() {
        assert!(glob_matches("reset", "reset/anything"));
        assert!(glob_matches("reset/*", "reset/anything"));
        assert!(glob_matches("*/anything", "reset/anything"));
        assert!(glob_matches("reset/anything", "reset/anything"));
        assert!(!glob_matches("reset/any", "reset/anything"));
        assert!(!glob_matches("res", "reset/anything"));
    }
}
