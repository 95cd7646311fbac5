//! `sockdrill explain`: all there is to say of a check, an observation or a kind of defect.

use super::mended::{self, About, Language, Passage, Sort};
use super::output::{say, say_mended, say_title, say_wrong};
use crate::checks::observations::{self, Observation};
use crate::checks::{self, defects, typical};
use crate::model::check::{Check, Severity};
use crate::model::defect::{Case, Defect};
use crate::model::error::{Error, ExitCode};
use crate::model::need::in_words;
use crate::model::spelling::did_you_mean;
use crate::report::picture::{WIDTH, picture};

pub(super) fn explain(name: &str, language: Option<Language>) -> Result<ExitCode, Error> {
    match (observations::find(name), defects::find(name), language) {
        (Some(observation), ..) => explain_observation(name, observation),
        // What a program is made of, to be saved.
        (None, Some(defect), Some(language)) => {
            say(mended::whole(defect.program, language).trim_end());
        }
        (None, Some(defect), None) => explain_defect(defect),
        (None, None, _) => {
            let check = checks::find(name).ok_or_else(|| unknown_name(name))?;
            explain_check(check, language);
        }
    }
    Ok(ExitCode::Passed)
}

fn explain_observation(name: &str, observation: &Observation) {
    say_title(name);
    say("");
    say_text("", observation.about);
    say("");
    let passport = format!(
        "It is observed and never judged: `{}` in the passport that `sockdrill check` prints at its end.",
        observation.name
    );
    say_text("", &passport);
    if !observation.needs.is_empty() {
        say_text("", &format!("needs: {}", in_words(observation.needs)));
    }
}

fn explain_check(check: &Check, language: Option<Language>) {
    say_title(check.id);
    say("");
    say_text("", check.requirement);
    say("");
    say_pictures(check);
    for (title, text) in [
        ("why", without_links(check.why)),
        ("how it is provoked", check.method.to_owned()),
        (
            "what its numbers are enough for",
            check.quantities.to_owned(),
        ),
    ] {
        say_part(title, &text);
    }
    say_cases(check.why, check.defect);
    say_part("how servers are mended", check.fix);
    say_mending(check, language);
    say_text("", &format!("needs: {}", check.needs_in_words()));
    say("");
    say_commands(check);
}

fn explain_defect(defect: &'static Defect) {
    say_title(defect.name);
    say("");
    say_text("", defect.about);
    say("");
    say_cases("", defect);
    let checks = checks::all().into_iter();
    let checks = checks.filter(|check| check.defect == defect);
    say("what checks it:");
    for check in checks {
        say(&format!("  {}", check.id));
    }
    say("");
    let about = About {
        defect,
        check: None,
    };
    say_passages(about, None);
    say("a whole server that is tested so, to be saved and changed:");
    say(&format!("  sockdrill explain {} --lang c", defect.name));
    say("the same of python, go, node and rust");
}

/// The first scenario as a picture, and what others there are.
fn say_pictures(check: &Check) {
    let Some(subject) = typical::subject(check) else {
        return;
    };
    let scenarios = (check.scenarios)(&subject).unwrap_or_default();
    let Some((first, others)) = scenarios.split_first() else {
        return;
    };
    let mark = match check.severity() {
        Severity::Must => "must",
        Severity::Should => "should",
    };
    say(&format!("{}:", first.name));
    say(&picture(first, subject.place.transport, mark));
    if !others.is_empty() {
        say("there are besides:");
        for other in others {
            say_text("  ", &other.name);
        }
        say("");
    }
}

fn say_part(title: &str, text: &str) {
    if !text.is_empty() {
        say(&format!("{title}:"));
        say_text("  ", text);
        say("");
    }
}

/// Servers that have had the defect: those of the check first, with their threads.
fn say_cases(why: &str, defect: &Defect) {
    let told = links(why).into_iter().map(|report| (report, None));
    let is_new = |case: &&Case| !why.contains(case.report);
    let new = defect.cases.iter().filter(is_new);
    let new = new.map(|case| (case.report, Some(case.what)));
    let all: Vec<_> = told.chain(new).collect();
    if all.is_empty() {
        return;
    }
    say("where it has happened:");
    for (report, what) in all {
        let project = Case::project(report).unwrap_or_default();
        let what = what.or_else(|| told_of(defect, report));
        let what = what.map(|what| format!(": {what}")).unwrap_or_default();
        say_text("  ", &format!("{project}{what}"));
        say(&format!("    {report}"));
    }
    say("");
}

/// What a kind of defect tells of a thread.
fn told_of(defect: &Defect, report: &str) -> Option<&'static str> {
    let case = defect.cases.iter().find(|case| case.report == report);
    case.map(|case| case.what)
}

fn say_mending(check: &Check, language: Option<Language>) {
    let defect = check.defect;
    say_text("", &format!("{}: {}", defect.name, defect.about));
    say("");
    let about = About {
        defect,
        check: Some(check.id),
    };
    say_passages(about, language);
    say("the whole server, for each of c, python, go, node and rust:");
    say(&format!("  sockdrill explain {} --lang c", defect.name));
    say("");
}

fn say_passages(about: About, language: Option<Language>) {
    for passage in mended::passages(about, language) {
        say_title(&format!("in {}:", passage.language));
        if !passage.matters {
            say_text(
                "  ",
                "No mistake that was tried here breaks this check: only what is right is shown.",
            );
        }
        say_passage(&passage);
    }
}

/// What is often written behind a minus, and what mends it behind a plus.
fn say_passage(passage: &Passage) {
    for line in &passage.lines {
        match line.sort {
            Sort::Around => say(format!("    {}", line.text).trim_end()),
            Sort::Mended => say_mended(&format!("  + {}", line.text)),
            Sort::Wrong => say_wrong(&format!("  - {}", line.text)),
            Sort::Remark => say_text("  ", &line.text),
            Sort::Gap => say("    ..."),
        }
    }
    say("");
}

fn say_commands(check: &Check) {
    let server = check.counterexample.instead_of;
    let broken = check.counterexample_arguments();
    let correct = broken
        .iter()
        .filter(|word| ![check.id, "--violate"].contains(word));
    let correct: Vec<_> = correct.copied().collect();
    let run = |of: &[&str]| {
        let words = of.join(" ");
        say(&format!(
            "  sockdrill check --speaks {server} --only {} -- sockdrill serve {words}",
            check.id
        ));
    };
    say("to run only this, with the profile and the command of your server in place:");
    run(&correct);
    say("a server that breaks it, and this check on it:");
    run(&broken);
}

/// The threads that a text names.
fn links(text: &str) -> Vec<&str> {
    let words = text.split_whitespace();
    words.filter(|word| word.contains("://")).collect()
}

/// The same text without them.
fn without_links(text: &str) -> String {
    let words = text.split_whitespace().filter(|word| !word.contains("://"));
    let words: Vec<_> = words.collect();
    let text = words.join(" ");
    match text.strip_suffix(':') {
        Some(text) => format!("{text}."),
        None => text,
    }
}

/// Prints a text in lines that fit, each behind an indent.
fn say_text(indent: &str, text: &str) {
    let words: Vec<_> = text.split_whitespace().collect();
    let options = textwrap::Options::new(WIDTH)
        .initial_indent(indent)
        .subsequent_indent(indent)
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    for line in textwrap::wrap(&words.join(" "), options) {
        say(&line);
    }
}

fn unknown_name(name: &str) -> Error {
    unknown(name, defects::DEFECTS.iter().map(|defect| defect.name))
}

pub(super) fn unknown_check(id: &str) -> Error {
    unknown(id, std::iter::empty())
}

/// That there is no check with a name, and which one, or what else, may be meant.
fn unknown(name: &str, others: impl Iterator<Item = &'static str>) -> Error {
    let ids = checks::all().into_iter().map(|check| check.id);
    Error::Unknown {
        kind: "check",
        name: name.to_owned(),
        hint: format!(
            "; `sockdrill list checks` names them{}",
            did_you_mean(name, ids.chain(others))
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_taken_out_of_the_sentence_that_names_them() {
        let why = "One recv is taken for one message: https://github.com/a/b/issues/1 https://github.com/c/d/pull/2";
        assert_eq!(without_links(why), "One recv is taken for one message.");
        let found = [
            "https://github.com/a/b/issues/1",
            "https://github.com/c/d/pull/2",
        ];
        assert_eq!(links(why), found);
        assert_eq!(without_links("It is so."), "It is so.");
    }
}
