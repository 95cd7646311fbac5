//! Which checks are chosen.

use super::settings::Settings;
use crate::checks::observations::OBSERVATIONS;
use crate::launch::Target;
use crate::model::check::Check;
use crate::model::error::Error;
use crate::model::spelling::did_you_mean;

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
    let names_check = |glob: &str| table.iter().any(|check| glob_matches(glob, check.id));
    let names_observation = |glob: &str| {
        let mut ids = OBSERVATIONS.iter().filter_map(|row| row.id);
        ids.any(|id| glob_matches(glob, id))
    };
    let list = |glob: &str| {
        let near = did_you_mean(glob, table.iter().map(|check| check.id));
        format!("`sockdrill list checks` names them{near}")
    };
    if let Some(glob) = settings.only.iter().find(|glob| !names_check(glob)) {
        return Err(Error::NothingSelected(match names_observation(glob) {
            true => format!("--only {glob} names what is observed without --only and never judged"),
            false => format!("no check matches --only {glob}; {}", list(glob)),
        }));
    }
    let skips = settings.skip.iter().map(|glob| (glob, "--skip"));
    let known = target.known.iter().map(|known| (&known.check, "[[known]]"));
    let mut globs = skips.chain(known);
    match globs.find(|(glob, _)| !names_check(glob) && !names_observation(glob)) {
        Some((glob, place)) => Err(Error::Unknown {
            kind: "check",
            name: glob.clone(),
            hint: format!(", which {place} names; {}", list(glob)),
        }),
        None => Ok(()),
    }
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
