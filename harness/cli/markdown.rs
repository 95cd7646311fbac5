//! The catalogue as a page of documentation, made of the program itself so that it cannot say anything else.

use crate::checks;
use crate::checks::defects::DEFECTS;
use crate::checks::observations::{self, OBSERVATIONS};
use crate::model::invariant::INVARIANTS;
use crate::model::need::in_words;
use std::fmt::Write as _;

const CHECKS_HEAD: &str = "\
# Checks and observations

This page is what `sockdrill list checks --format markdown` prints. `sockdrill explain CHECK` tells more of each: the exchange as a
picture, why, where it has happened, how it is provoked, and code in five languages, mended. Ids are permanent.

## Checks

A check applies where all that it needs is known of the server, promised by its profile, or possible here; otherwise it
is skipped with the reason, as listed under *Needs*. A broken *must* fails the run, a broken *should* only with `--strict`. The counterexample is
the command of a reference server that is broken in just this; behind `sockdrill check --speaks SERVER --only CHECK --`
it is found out, with `{port}` and `{path}` filled in.

| check | needs | severity | requirement | counterexample |
| --- | --- | --- | --- | --- |
";

const DEFECTS_HEAD: &str = "
## Kinds of defects

Most checks are for defects of few kinds. `sockdrill explain KIND` shows what is often written, and what mends it, in C, Python, Go,
Node.js and Rust; with `--lang` it prints a whole server, which is tested with these checks.

| kind | what goes wrong, and what is right | checks |
| --- | --- | --- |
";

const QUANTITIES_HEAD: &str = "
## Quantities

What the numbers in a check are enough for, and how much further `--deep` goes: ten times where that is not said otherwise. A check that
is not listed has none that matters.

| check | what its numbers are enough for |
| --- | --- |
";

const INVARIANTS_HEAD: &str = "
## Invariants

What every server is held to after every scenario, whatever the check is about. A scenario may waive one by name, with the reason.

| invariant | requirement |
| --- | --- |
";

const NEEDS_HEAD: &str = "
## Needs

| need | what is said where it is not met |
| --- | --- |
";

const OBSERVATIONS_HEAD: &str = "
## Observations

What is worth knowing of a server and nothing that a correct server owes. Observations are never judged; they stand under
`observations` in the JSON report. Those with an id are rows of the catalogue for which no verdict would be fair.

| observation | id | needs | what is observed |
| --- | --- | --- | --- |
";

/// The tables of all checks and observations, as Markdown.
pub(super) fn checks_page() -> String {
    let mut page = CHECKS_HEAD.to_owned();
    for check in checks::all() {
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | `sockdrill serve {}` |",
            check.id,
            check.needs_in_words(),
            check.policy.severity.word(),
            cell(check.requirement),
            check.counterexample_arguments().join(" ")
        );
    }
    page.push_str(DEFECTS_HEAD);
    for defect in DEFECTS {
        let of = checks::all().into_iter();
        let of = of.filter(|check| check.defect == *defect);
        let ids: Vec<_> = of.map(|check| check.id).collect();
        let about = cell(defect.about);
        let _ = writeln!(page, "| {} | {about} | {} |", defect.name, ids.join(", "));
    }
    page.push_str(QUANTITIES_HEAD);
    let counted = checks::all().into_iter();
    for check in counted.filter(|check| !check.quantities.is_empty()) {
        let _ = writeln!(page, "| {} | {} |", check.id, cell(check.quantities));
    }
    page.push_str(INVARIANTS_HEAD);
    for row in INVARIANTS {
        let _ = writeln!(page, "| {} | {} |", row.name, cell(row.requirement));
    }
    page.push_str(NEEDS_HEAD);
    for need in observations::needs() {
        let _ = writeln!(page, "| {need} | {} |", cell(need.reason));
    }
    page.push_str(OBSERVATIONS_HEAD);
    for observation in OBSERVATIONS {
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} |",
            observation.name,
            observation.id.unwrap_or_default(),
            in_words(observation.needs),
            cell(observation.about)
        );
    }
    page
}

/// Text in which nothing ends a cell of a table.
pub(super) fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
