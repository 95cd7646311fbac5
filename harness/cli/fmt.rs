//! `sockdrill fmt`: scenario files in their one layout, or in another form.

use super::arguments::Conversion;
use super::output::{say, write};
use crate::drill::{self, DrillFile};
use crate::model::error::{Error, ExitCode};
use crate::model::text_file::Kind;
use std::path::PathBuf;

pub(super) fn fmt(
    files: &[PathBuf],
    only_check: bool,
    to: Option<Conversion>,
) -> Result<ExitCode, Error> {
    let mut code = ExitCode::Passed;
    for path in files {
        if let Some(Conversion::Json) = to {
            say(DrillFile::read(path)?.to_json()?.trim_end());
            continue;
        }
        let text = Kind::SCENARIOS.read(path)?;
        let formatted = drill::format(&path.display().to_string(), &text)?;
        if formatted == text {
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
