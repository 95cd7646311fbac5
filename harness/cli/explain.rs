//! `sockdrill explain`: all there is to say of a check or an observation.

use super::output::say;
use crate::checks;
use crate::checks::observations;
use crate::model::error::{Error, ExitCode};
use crate::model::need::in_words;
use crate::model::spelling::did_you_mean;

pub(super) fn explain(id: &str) -> Result<ExitCode, Error> {
    if let Some(observation) = observations::find(id) {
        say(&format!("{id}\n\n{}\n", observation.about));
        say(&format!(
            "It is observed and never judged: `{}` in the passport that `sockdrill check` prints at its end.",
            observation.name
        ));
        if !observation.needs.is_empty() {
            say(&format!("needs: {}", in_words(observation.needs)));
        }
        return Ok(ExitCode::Passed);
    }
    let check = checks::find(id).ok_or_else(|| unknown_check(id))?;
    say(&format!("{}\n\n{}\n", check.id, check.requirement));
    for (title, text) in [
        ("why", check.why),
        ("how it is provoked", check.method),
        ("what its numbers are enough for", check.quantities),
        ("how servers are mended", check.fix),
    ] {
        if text.is_empty() {
            continue;
        }
        say(&format!(
            "{title}:\n  {}\n",
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        ));
    }
    say(&format!("needs: {}", check.needs_in_words()));
    say("a server that breaks it, and this check on it:");
    let arguments = check.counterexample_arguments().join(" ");
    say(&format!(
        "  sockdrill check --speaks {} --only {} -- sockdrill serve {arguments}",
        check.counterexample.instead_of, check.id
    ));
    Ok(ExitCode::Passed)
}

pub(super) fn unknown_check(id: &str) -> Error {
    Error::Unknown {
        kind: "check",
        name: id.to_owned(),
        hint: format!(
            "; `sockdrill list checks` names them{}",
            did_you_mean(id, checks::all().iter().map(|check| check.id))
        ),
    }
}
