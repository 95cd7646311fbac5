//! The programs that `sockdrill explain` shows are true: a check fails where a program has what is shown under it as often written,
//! and passes where that is mended.
//!
//! - `FILE::CHECK`: what is often written breaks the check. One check of each kind of defect in C and Python in each run, the others on
//!   demand: `cargo test --test servers -- --ignored "[mended]"`;
//! - `FILE::mended`: those checks pass; `FILE::mended in all` and `FILE::mended without deadlines`: all that apply, on demand.

use crate::kit::{Run, sockdrill};
use crate::needing;
use libtest_mimic::Trial;
use sockdrill::{Profile, Target};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The programs, each with the kinds of defects that it shows.
const PROGRAMS: &[(&str, &[&str])] = &[
    (
        "lines",
        &[
            "framing",
            "whole-writes",
            "reset",
            "accept",
            "exhausted",
            "leak",
            "half-close",
            "last-words",
            "many",
            "deadline",
            "interrupted",
            "bounded",
            "listen",
            "graceful-stop",
            "streams",
            "bytes",
        ],
    ),
    ("datagrams", &["datagrams"]),
    ("paths", &["paths"]),
];

/// The kinds that are looked for in a server that has no deadlines, and promises none: they would end what is looked for.
const WITHOUT_DEADLINES: &[&str] = &["framing", "leak", "many", "bounded", "bytes"];

/// The languages in which one check of each kind is tried in each run.
const USUAL: &[&str] = &["c", "py"];

/// A check that a program without deadlines fails.
const OF_DEADLINES: &str = "timeout/request-closes";

/// For how long a program waits for a client.
#[derive(Clone, Copy, PartialEq)]
enum Patience {
    AsPromised,
    Endless,
}

impl Patience {
    /// That of the program in which a check is looked for.
    fn of(check: &str) -> Self {
        match WITHOUT_DEADLINES.contains(&kind_of(check)) {
            true => Self::Endless,
            false => Self::AsPromised,
        }
    }
}

/// The languages in which nothing that is often written breaks a check that a program like this is held to.
const UNSEEN: &[(&str, &[&str])] = &[
    // A blocking write returns early after a time-out alone, in the middle of more than the kernel takes.
    ("whole-writes", &["go", "js", "rs"]),
    // What is too long is read to its last byte before it is refused, so that nothing is unread unless more comes just then.
    ("last-words", &["c", "py", "go", "js", "rs"]),
    // poll(2) goes on by itself after a stop, unless a handler was run; and three of the languages repeat every call.
    ("interrupted", &["py", "go", "js"]),
    // These two make no thread for a client.
    ("exhausted", &["go", "js"]),
];

/// What is the matter of a language's own runtime, and no program in it can mend.
const OF_RUNTIMES: &[(&str, &str)] = &[
    // libuv does not tell of such an error of accept, and calls it again at once.
    ("syscall/accept-waits-for-memory", "js"),
];

/// The languages by the endings of their files, each with the program that builds or runs it, and how a comment begins.
const LANGUAGES: &[(&str, &str, &str)] = &[
    ("c", "cc", "//"),
    ("py", "python3", "#"),
    ("go", "go", "//"),
    ("js", "node", "//"),
    ("rs", "rustc", "//"),
];

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![Trial::test("every kind of defect is tried", || {
        every_kind_is_tried();
        Ok(())
    })];
    for program in programs() {
        let there = Target::command(vec![program.tool.to_owned()], Profile::unknown());
        let missing = (!there.is_installed()).then(|| program.tool.to_owned());
        trials.extend(program.trials(missing.as_ref()));
    }
    trials
}

fn programs() -> impl Iterator<Item = Program> {
    LANGUAGES.iter().flat_map(|(extension, tool, comment)| {
        PROGRAMS.iter().map(|(name, _)| Program {
            name,
            extension,
            tool,
            comment,
        })
    })
}

/// The kind of defect that a check is for.
fn kind_of(check: &str) -> &'static str {
    static KINDS: OnceLock<HashMap<String, String>> = OnceLock::new();
    let kinds = KINDS.get_or_init(|| {
        let listed = sockdrill(&["list", "checks", "--format", "json"]).run();
        let all: serde_json::Value = serde_json::from_str(&listed.stdout).expect("a list");
        let word = |check: &serde_json::Value, key: &str| check[key].as_str().map(str::to_owned);
        let all = all.as_array().into_iter().flatten();
        all.filter_map(|check| Some((word(check, "id")?, word(check, "defect")?)))
            .collect()
    });
    kinds.get(check).map_or("", String::as_str)
}

/// Lines of a program that stand or fall together.
#[derive(Default)]
struct Region<'a> {
    /// The kinds of defects that they are about.
    kinds: Vec<&'a str>,
    /// What is often written in their place, and the checks that it breaks.
    wrong: Vec<(Vec<&'a str>, String)>,
    right: String,
}

impl Region<'_> {
    /// What stands there in a program that breaks a check, where that is something else.
    fn breaking(&self, check: &str) -> Option<&str> {
        let names = |(checks, _): &&(Vec<&str>, String)| checks.contains(&check);
        // What names no check goes with all that is wrong of its kind, such as an import.
        let is_beside = self.wrong.iter().all(|(checks, _)| checks.is_empty());
        let is_of_kind = self.kinds.contains(&kind_of(check));
        match self.wrong.iter().find(names) {
            Some((_, wrong)) => Some(wrong),
            None if is_beside && is_of_kind => self
                .wrong
                .first()
                .map_or(Some(""), |(_, wrong)| Some(wrong)),
            None => None,
        }
    }
}

/// A program in one language.
#[derive(Clone, Copy)]
struct Program {
    name: &'static str,
    extension: &'static str,
    tool: &'static str,
    comment: &'static str,
}

impl Program {
    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/mended")
    }

    fn file(self) -> String {
        format!("{}.{}", self.name, self.extension)
    }

    fn text(self) -> String {
        std::fs::read_to_string(Self::folder().join(self.file())).expect("a program")
    }

    fn regions(self, text: &str) -> Vec<Region<'_>> {
        let mut all = vec![Region::default()];
        for line in text.lines() {
            let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
            let mark = rest.strip_prefix(self.comment);
            let begun = all.last_mut().expect("one at least");
            match mark.and_then(|mark| mark.split_at_checked(1)) {
                Some((":", kinds)) => all.push(Region {
                    kinds: kinds.split_whitespace().collect(),
                    ..Region::default()
                }),
                Some((".", "")) => all.push(Region::default()),
                Some(("~", checks)) => {
                    let checks = checks.split_whitespace().collect();
                    begun.wrong.push((checks, String::new()));
                }
                Some(("-", code)) => {
                    if begun.wrong.is_empty() {
                        begun.wrong.push((Vec::new(), String::new()));
                    }
                    let (_, wrong) = begun.wrong.last_mut().expect("one at least");
                    *wrong += &format!("{indent}{}\n", code.strip_prefix(' ').unwrap_or(code));
                }
                Some(("=", _)) => {}
                _ => begun.right += &format!("{line}\n"),
            }
        }
        all
    }

    /// The checks that what is often written breaks.
    fn broken(self) -> Vec<String> {
        let text = self.text();
        let regions = self.regions(&text).into_iter();
        let named = regions.flat_map(|region| region.wrong);
        let named = named.flat_map(|(checks, _)| checks);
        let mut all = Vec::<String>::new();
        for check in named {
            if !all.iter().any(|known| known == check) {
                all.push(check.to_owned());
            }
        }
        all
    }

    fn trials(self, missing: Option<&String>) -> Vec<Trial> {
        let trial = |name: &str, run: Box<dyn FnOnce() + Send>| {
            let name = format!("{}::{name}", self.file());
            needing(name, missing.cloned(), move || {
                run();
                Ok(())
            })
        };
        let (broken, mut often) = (self.broken(), Vec::<String>::new());
        let mut trials = Vec::new();
        for check in broken.clone() {
            let is_seldom = often.iter().any(|known| kind_of(known) == kind_of(&check));
            if !is_seldom {
                often.push(check.clone());
            }
            let found = trial(&check.clone(), Box::new(move || self.is_found_out(&check)));
            let is_usual = USUAL.contains(&self.extension);
            trials.push(found.with_ignored_flag(is_seldom || !is_usual));
        }
        let mended =
            |patience, only: Vec<String>| Box::new(move || self.is_not_blamed(patience, &only));
        trials.push(trial("mended", mended(Patience::AsPromised, often)));
        let in_all = trial("mended in all", mended(Patience::AsPromised, Vec::new()));
        trials.push(in_all.with_ignored_flag(true));
        let of_patient = |check: &String| Patience::of(check) == Patience::Endless;
        let of_patient: Vec<_> = broken.into_iter().filter(of_patient).collect();
        if !of_patient.is_empty() {
            let patient = mended(Patience::Endless, of_patient);
            let patient = trial("mended without deadlines", patient);
            trials.push(patient.with_ignored_flag(true));
        }
        trials
    }

    /// The program, with what is often written where that breaks a check.
    fn source(self, wrong: Option<&str>, patience: Patience) -> String {
        let text = self.text();
        let patience = (patience == Patience::Endless).then_some(OF_DEADLINES);
        let written = |region: Region<'_>| {
            let mut breaking = wrong.into_iter().chain(patience);
            let other = breaking.find_map(|check| region.breaking(check));
            other.unwrap_or(&region.right).to_owned()
        };
        self.regions(&text).into_iter().map(written).collect()
    }

    /// Its profile, which promises no deadline of a server that has none.
    fn profile(self, patience: Patience) -> String {
        let file = Self::folder().join(format!("{}.toml", self.name));
        let text = std::fs::read_to_string(file).expect("a profile");
        if patience == Patience::AsPromised {
            return text;
        }
        let is_kept = |line: &&str| !line.contains("-timeout = ");
        let kept: Vec<_> = text.lines().filter(is_kept).collect();
        format!("{}\nidle-timeout = \"none\"\n", kept.join("\n"))
    }

    /// Drills the program, built in a folder of its own.
    fn drilled(self, wrong: Option<&str>, patience: Patience, only: &[String]) -> Run {
        let folder = tempfile::tempdir().expect("a folder to build in");
        let file = folder.path().join(format!("server.{}", self.extension));
        let profile = folder.path().join("profile.toml");
        let built = folder.path().join("server");
        std::fs::write(&file, self.source(wrong, patience)).expect("room for a file");
        std::fs::write(&profile, self.profile(patience)).expect("room for a file");
        let place = match self.name {
            "paths" => "{path}",
            _ => "{port}",
        };
        let start = match self.extension {
            "c" => by(&["cc", "-O1", "-w", "-pthread", "-o"], &built, &file),
            "rs" => by(&["rustc", "-O", "-A", "warnings", "-o"], &built, &file),
            "go" => by(&["go", "build", "-o"], &built, &file),
            _ => vec![self.tool.to_owned(), file.display().to_string()],
        };
        sockdrill(&["check", "--no-fail-fast", "--speaks"])
            .arg(profile)
            .reporting()
            .args(only.iter().flat_map(|id| ["--only", id]))
            .arg("--")
            .args(start)
            .arg(place)
            .run()
    }

    fn is_not_blamed(self, patience: Patience, only: &[String]) {
        let run = self.drilled(None, patience, only);
        let mut bad = with_verdict(&run, &["fail", "warn", "inconclusive"]);
        bad.retain(|id| !OF_RUNTIMES.contains(&(id, self.extension)));
        run.demand(bad.is_empty(), &format!("blamed for {bad:?}"));
    }

    fn is_found_out(self, check: &str) {
        let run = self.drilled(Some(check), Patience::of(check), &[check.to_owned()]);
        let bad = with_verdict(&run, &["fail", "warn"]);
        run.demand(bad.contains(&check.to_owned()), "it is found out");
    }
}

/// Builds a program, and returns the command that starts it.
fn by(words: &[&str], built: &Path, file: &Path) -> Vec<String> {
    let compiler = Command::new(words[0])
        .args(&words[1..])
        .arg(built)
        .arg(file)
        .output();
    let compiler = compiler.expect("a compiler");
    assert!(compiler.status.success(), "{compiler:?}");
    vec![built.display().to_string()]
}

fn with_verdict(run: &Run, verdicts: &[&str]) -> Vec<String> {
    let checks = run.report["checks"].as_array().into_iter().flatten();
    let is_so =
        |check: &&serde_json::Value| verdicts.iter().any(|verdict| check["verdict"] == **verdict);
    let ids = checks
        .filter(is_so)
        .filter_map(|check| check["id"].as_str());
    ids.map(str::to_owned).collect()
}

/// Each kind that `sockdrill explain` knows is shown by a program, and breaks a check in every language but those of the table; and
/// what is wrong is shown under the checks that it breaks, and under no other.
fn every_kind_is_tried() {
    for program in programs() {
        let broken = program.broken();
        let (_, kinds) = PROGRAMS
            .iter()
            .find(|(name, _)| *name == program.name)
            .expect("a row");
        for kind in *kinds {
            let is_unseen = |(of, languages): &(&str, &[&str])| {
                of == kind && languages.contains(&program.extension)
            };
            let is_seen = broken.iter().any(|check| kind_of(check) == *kind);
            let is_unseen = UNSEEN.iter().any(is_unseen);
            assert_ne!(is_seen, is_unseen, "{kind} in {}", program.file());
        }
    }
    let known = |kind: &str| PROGRAMS.iter().any(|(_, kinds)| kinds.contains(&kind));
    for check in sockdrill::catalogue() {
        assert!(known(kind_of(check.id)), "{}", check.id);
    }
}
