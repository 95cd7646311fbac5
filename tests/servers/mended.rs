//! The programs that `sockdrill explain` shows are true: the checks of a defect fail where a program has what is often written, and
//! none of them fails where it is mended.
//!
//! - `FILE::mended`: the checks of the table pass; `FILE::mended in all`: all that apply, on demand;
//! - `FILE::KIND`: what is often written is found out. Those of C and Python in each run, the others on demand:
//!   `cargo test --test servers -- --ignored "[mended]"`.

use crate::kit::{Run, sockdrill};
use crate::needing;
use libtest_mimic::Trial;
use sockdrill::{Profile, Target};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What shows a kind of defect.
struct Kind {
    name: &'static str,
    program: &'static str,
    /// The checks of which one has to fail where the defect is.
    checks: &'static [&'static str],
    /// A defect that is there too, because what mends it would end what is looked for.
    beside: &'static str,
    /// The languages in which what is often written has no effect that a client of a program like this would see.
    unseen: &'static [&'static str],
}

const KINDS: &[Kind] = &[
    Kind {
        name: "framing",
        program: "lines",
        checks: &["partial/straddle"],
        beside: "",
        unseen: &[],
    },
    Kind {
        name: "whole-writes",
        program: "lines",
        checks: &["partial/slow-reader", "half-close/reply-complete"],
        beside: "",
        // A blocking write returns early after a time-out alone, in the middle of more than the kernel takes.
        unseen: &["go", "rs"],
    },
    Kind {
        name: "reset",
        program: "lines",
        checks: &["reset/before-reply", "reset/after-connect"],
        beside: "",
        unseen: &[],
    },
    Kind {
        name: "accept",
        program: "lines",
        checks: &["backlog/descriptor-limit", "reset/before-accept"],
        beside: "",
        unseen: &[],
    },
    Kind {
        name: "leak",
        program: "lines",
        checks: &["crowd/connect-and-leave", "half-close/silent"],
        // What is forgotten is closed by its deadline where that is of the connection, as in Node.js.
        beside: "deadline",
        unseen: &[],
    },
    Kind {
        name: "half-close",
        program: "lines",
        checks: &["half-close/after-request"],
        beside: "",
        unseen: &[],
    },
    Kind {
        name: "last-words",
        program: "lines",
        checks: &["half-close/others-served"],
        beside: "",
        // What is too long is read to its last byte before it is refused, so that nothing is unread unless more comes just then.
        unseen: &["c", "py", "go", "js", "rs"],
    },
    Kind {
        name: "many",
        program: "lines",
        checks: &["crowd/one-silent"],
        // Who keeps all others waiting is ended by his deadline, and they are served then.
        beside: "deadline",
        unseen: &[],
    },
    Kind {
        name: "deadline",
        program: "lines",
        checks: &["timeout/request-closes"],
        beside: "",
        unseen: &[],
    },
    Kind {
        name: "interrupted",
        program: "lines",
        checks: &["timeout/frozen-server"],
        beside: "",
        // poll(2) goes on by itself after a stop, unless a handler was run; and three of the languages repeat every call.
        unseen: &["c", "py", "go", "js"],
    },
    Kind {
        name: "bounded",
        program: "lines",
        checks: &["bytes/longest", "partial/backpressure"],
        beside: "",
        unseen: &[],
    },
    Kind {
        name: "listen",
        program: "lines",
        checks: &["time-wait/restart-connected", "time-wait/second-instance"],
        beside: "",
        unseen: &[],
    },
    Kind {
        name: "graceful-stop",
        program: "lines",
        checks: &["stop/term-idle-client"],
        beside: "",
        unseen: &[],
    },
    Kind {
        name: "streams",
        program: "lines",
        checks: &["stop/stdout-closed"],
        beside: "",
        unseen: &[],
    },
    Kind {
        name: "bytes",
        program: "lines",
        checks: &["bytes/all-values", "bytes/invalid-utf8"],
        // The end of a line that is not found is waited for, until the deadline ends the connection as is promised.
        beside: "deadline",
        unseen: &[],
    },
    Kind {
        name: "datagrams",
        program: "datagrams",
        checks: &["datagram/largest", "datagram/source-port-zero"],
        beside: "",
        unseen: &[],
    },
    Kind {
        name: "paths",
        program: "paths",
        checks: &["local/stale-path", "local/second-instance"],
        beside: "",
        unseen: &[],
    },
];

/// The languages by the endings of their files, each with the program that builds or runs it, and how a comment begins.
const LANGUAGES: &[(&str, &str, &str)] = &[
    ("c", "cc", "//"),
    ("py", "python3", "#"),
    ("go", "go", "//"),
    ("js", "node", "//"),
    ("rs", "rustc", "//"),
];

/// Those in which what is often written is tried in each run.
const USUAL: &[&str] = &["c", "py"];

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![Trial::test("every kind of defect is tried", || {
        every_kind_is_tried();
        Ok(())
    })];
    for (extension, tool, comment) in LANGUAGES {
        let there = Target::command(vec![(*tool).to_owned()], Profile::unknown());
        let missing = (!there.is_installed()).then(|| (*tool).to_owned());
        let program = |name| Program {
            name,
            extension,
            comment,
        };
        for name in ["lines", "datagrams", "paths"] {
            let (file, program) = (format!("{name}.{extension}"), program(name));
            let of_program = KINDS.iter().filter(|kind| kind.program == name);
            let only: Vec<_> = of_program.flat_map(|kind| kind.checks).copied().collect();
            let (few, all) = (program, program);
            let mended = needing(format!("{file}::mended"), missing.clone(), move || {
                few.is_not_blamed(&only);
                Ok(())
            });
            let in_all = needing(
                format!("{file}::mended in all"),
                missing.clone(),
                move || {
                    all.is_not_blamed(&[]);
                    Ok(())
                },
            );
            trials.extend([mended, in_all.with_ignored_flag(true)]);
        }
        let seen = KINDS.iter().filter(|kind| !kind.unseen.contains(extension));
        trials.extend(seen.map(|kind| {
            let name = format!("{}.{extension}::{}", kind.program, kind.name);
            let program = program(kind.program);
            let trial = needing(name, missing.clone(), move || {
                program.is_found_out(kind);
                Ok(())
            });
            match USUAL.contains(extension) {
                true => trial,
                false => trial.with_ignored_flag(true),
            }
        }));
    }
    trials
}

/// A program in one language.
#[derive(Clone, Copy)]
struct Program {
    name: &'static str,
    extension: &'static str,
    comment: &'static str,
}

impl Program {
    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/mended")
    }

    /// The program, with what is often written where it is about these kinds of defects.
    fn source(&self, wrong: &[&str]) -> String {
        let file = format!("{}.{}", self.name, self.extension);
        let text = std::fs::read_to_string(Self::folder().join(file)).expect("a program");
        let (mut source, mut is_wrong) = (String::new(), false);
        for line in text.lines() {
            let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
            let mark = rest.strip_prefix(self.comment);
            match mark.and_then(|mark| mark.split_at_checked(1)) {
                Some((":", kinds)) => {
                    is_wrong = kinds.split_whitespace().any(|kind| wrong.contains(&kind));
                }
                Some((".", "")) => is_wrong = false,
                Some(("-", code)) if is_wrong => {
                    source += &format!("{indent}{}\n", code.strip_prefix(' ').unwrap_or(code));
                }
                Some(("-" | "=", _)) => {}
                _ if is_wrong => {}
                _ => {
                    source += line;
                    source += "\n";
                }
            }
        }
        source
    }

    /// Drills the program, built in a folder of its own.
    fn drilled(&self, wrong: &[&str], only: &[&str]) -> Run {
        let folder = tempfile::tempdir().expect("a folder to build in");
        let file = folder.path().join(format!("server.{}", self.extension));
        let built = folder.path().join("server");
        std::fs::write(&file, self.source(wrong)).expect("room for a file");
        let place = match self.name {
            "paths" => "{path}",
            _ => "{port}",
        };
        let profile = Self::folder().join(format!("{}.toml", self.name));
        let start = match self.extension {
            "c" => by(&["cc", "-O1", "-w", "-pthread", "-o"], &built, &file),
            "rs" => by(&["rustc", "-A", "warnings", "-o"], &built, &file),
            "go" => by(&["go", "build", "-o"], &built, &file),
            "js" => vec!["node".to_owned(), file.display().to_string()],
            _ => vec!["python3".to_owned(), file.display().to_string()],
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

    fn is_not_blamed(&self, only: &[&str]) {
        let run = self.drilled(&[], only);
        let bad = with_verdict(&run, &["fail", "warn", "inconclusive"]);
        run.demand(bad.is_empty(), &format!("blamed for {bad:?}"));
    }

    fn is_found_out(&self, kind: &Kind) {
        let run = self.drilled(&[kind.name, kind.beside], kind.checks);
        let bad = with_verdict(&run, &["fail", "warn"]);
        run.demand(!bad.is_empty(), &format!("{} is not found out", kind.name));
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

/// The kinds that `sockdrill explain` knows are those of the table, each with checks of its own.
fn every_kind_is_tried() {
    for kind in KINDS {
        let run = sockdrill(&["explain", kind.name]).run().code(0);
        let told = run.stdout.lines().any(|line| {
            let id = line.trim_start();
            kind.checks.contains(&id)
        });
        run.demand(told, &format!("{} has a check of the table", kind.name));
    }
    for check in sockdrill::catalogue() {
        let run = sockdrill(&["explain", check.id]).run().code(0);
        let known = KINDS.iter().any(|kind| {
            let command = format!("  sockdrill explain {} --lang c", kind.name);
            run.stdout.lines().any(|line| line == command)
        });
        run.demand(known, "its kind is in the table");
    }
}
