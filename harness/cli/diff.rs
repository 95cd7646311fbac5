//! `sockdrill diff`: what is otherwise in a report than in an earlier one.

use super::arguments::DiffArgs;
use super::destination::Destination;
use super::output::{say_rows, say_sentences_aside};
use crate::model::error::{Error, ExitCode};
use crate::report::diff::Diff;
use crate::report::several::Document;

pub(super) fn diff(arguments: &DiffArgs) -> Result<ExitCode, Error> {
    let place = arguments.json.as_deref();
    let place = place.map(|path| Destination::of("json", path));
    place.map_or(Ok(()), Destination::tried_as_file)?;
    let old = Document::read(&arguments.old)?;
    let new = Document::read(&arguments.new)?;
    let diff = Diff::of(old.reports(), new.reports());
    if diff.targets.is_empty() {
        return Err(Error::Usage(format!(
            "the reports have no target in common: {} in the one and {} in the other",
            diff.gone.join(", "),
            diff.added.join(", ")
        )));
    }
    say_rows(&diff.told());
    place.map_or(Ok(()), |place| place.write(&diff.to_json()))?;
    Ok(code(&diff))
}

fn code(diff: &Diff) -> ExitCode {
    let tells_nothing = diff.targets.iter().any(|target| target.tells_nothing);
    match (diff.worse, tells_nothing) {
        (true, _) => ExitCode::Failed,
        (false, false) => ExitCode::Passed,
        (false, true) => {
            say_sentences_aside(
                "nothing that was concluded before is concluded now: whether it is worse is not known",
            );
            ExitCode::CouldNotRun
        }
    }
}
