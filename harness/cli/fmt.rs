//! `sockdrill fmt`: scenario files in their one layout, or in another form.

use super::arguments::Conversion;
use super::output::{say, write};
use crate::drill::{DrillFile, DrillText};
use crate::model::error::{Error, ExitCode};
use crate::model::profile::{Profile, Transport};
use crate::report::picture::picture;
use std::path::PathBuf;

pub(super) fn fmt(
    files: &[PathBuf],
    only_check: bool,
    to: Option<Conversion>,
) -> Result<ExitCode, Error> {
    let mut code = ExitCode::Passed;
    for path in files {
        match to {
            Some(Conversion::Json) => {
                say(DrillFile::read(path)?.to_json()?.trim_end());
                continue;
            }
            Some(Conversion::Drill) => {
                say(DrillFile::read(path)?.to_string().trim_end());
                continue;
            }
            Some(Conversion::Picture) => {
                say(pictures(&DrillFile::read(path)?).trim_end());
                continue;
            }
            None => {}
        }
        let text = DrillText::read(path)?;
        let formatted = text.formatted()?;
        if formatted == text.text() {
            continue;
        }
        if only_check {
            say(&format!("{} is not formatted", path.display()));
            code = ExitCode::Failed;
        } else {
            write(path, &formatted)?;
        }
    }
    Ok(code)
}

/// Each case as a picture below its name, over the transport of the server that the file names.
fn pictures(file: &DrillFile) -> String {
    let named = file.speaks.as_ref().or(file.server.as_ref());
    let profile = named.and_then(|name| Profile::find(name).ok());
    let transport = profile.and_then(|profile| profile.transport);
    let transport = transport.unwrap_or(Transport::Tcp);
    let drawn = file.cases.iter().map(|case| {
        let scenario = file.performed(case);
        format!(
            "{}\n{}\n",
            scenario.name,
            picture(&scenario, transport, "must")
        )
    });
    drawn.collect()
}
