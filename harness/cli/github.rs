//! What a workflow of GitHub shows of a run: findings beside the lines of scenarios, and a summary of the step. Nothing is asked of anybody
//! for it: the one is printed, and the other appended to a file.

use super::output::{say_command, warn};
use crate::report::several::Document;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;

/// How much a step may have in its summary: one with more is not shown at all.
const MOST_SUMMARY: u64 = 1 << 20;

/// Whether this is a step of a workflow.
pub(super) fn is_there() -> bool {
    static IS_THERE: OnceLock<bool> = OnceLock::new();
    *IS_THERE.get_or_init(|| variable("GITHUB_ACTIONS").as_deref() == Some("true"))
}

/// Has findings shown beside their lines, where this is such a step.
pub(super) fn annotate(document: &Document) {
    if is_there() {
        let commands = document.to_workflow_commands(&in_repository);
        commands.lines().for_each(say_command);
    }
}

/// Adds to the summary of the step, where this is one.
pub(super) fn summarise(document: &Document) {
    let place = variable("GITHUB_STEP_SUMMARY").filter(|_| is_there());
    if let Some(Err(error)) = place.map(|place| append(Path::new(&place), document)) {
        warn(&format!("the summary of the step is not written: {error}"));
    }
}

fn append(place: &Path, document: &Document) -> std::io::Result<()> {
    let mut file = File::options().create(true).append(true).open(place)?;
    let room = MOST_SUMMARY.saturating_sub(file.metadata()?.len());
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    file.write_all(document.to_summary(room).as_bytes())
}

/// What a file is called in the repository, if it is of it.
fn in_repository(file: &str) -> Option<String> {
    let path = std::path::absolute(file).ok()?;
    let root = variable("GITHUB_WORKSPACE").map_or_else(std::env::current_dir, |it| Ok(it.into()));
    let within = path.strip_prefix(root.ok()?).ok()?;
    Some(within.to_string_lossy().into_owned())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
