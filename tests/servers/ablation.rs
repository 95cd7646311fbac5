//! Ablation: what a check does to a server must be what the server fails by.
//!
//! The scenario that fails on a counterexample is tried there again without one of its faults: a stall, a drip, a reset, a
//! crowd. It must not fail any more. A fault whose absence changes nothing proves nothing; but what fails on the correct
//! server as well was expected because of the fault, and shows nothing of it. Where a scenario has no fault, one of its
//! amounts has to matter: how many clients, how often, how large.

use crate::kit::sockdrill;
use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use sockdrill::{Check, DrillFile};

/// What can be taken out of a scenario.
struct Fault {
    name: &'static str,
    /// Takes it out of a line in words; nothing is left of a line that is nothing else.
    without: fn(&mut Vec<&str>),
    /// What is of no use without it, and goes where it goes.
    with_it: Option<fn(&mut Vec<&str>)>,
}

/// A small buffer is there for who does not read, or slowly: one who reads at once has a usual one.
const SMALL_BUFFER: Option<fn(&mut Vec<&str>)> = Some(|line| drop_option(line, "receive-buffer"));

/// Every fault of the language; what is left are the steps of polite clients, and expectations.
const FAULTS: &[Fault] = &[
    Fault {
        name: "reset",
        without: |line| politely(line, "reset", "close"),
        with_it: None,
    },
    Fault {
        name: "vanish",
        without: |line| politely(line, "vanish", "close"),
        with_it: None,
    },
    Fault {
        name: "half-close",
        without: |line| drop_step(line, &["half-close"]),
        with_it: None,
    },
    Fault {
        name: "stall",
        without: |line| drop_step(line, &["stall"]),
        with_it: SMALL_BUFFER,
    },
    Fault {
        name: "slow reads",
        without: |line| {
            if line.get(1) == Some(&"read") {
                line.truncate(2);
            }
        },
        with_it: SMALL_BUFFER,
    },
    Fault {
        name: "address",
        without: |line| {
            drop_option(line, "from");
            drop_option(line, "to");
        },
        with_it: None,
    },
    Fault {
        name: "same-port",
        without: |line| drop_option(line, "same-port"),
        with_it: None,
    },
    Fault {
        name: "cuts",
        without: |line| {
            if matches!(line.get(1), Some(&"send" | &"start-tls")) {
                drop_option(line, "in pieces of");
                drop_option(line, "cut at");
                drop_option(line, "every");
            }
        },
        with_it: None,
    },
    Fault {
        name: "drip",
        without: |line| {
            if matches!(line.get(1), Some(&"send" | &"start-tls")) {
                drop_option(line, "every");
            }
        },
        with_it: None,
    },
    Fault {
        name: "part of a hello",
        without: |line| {
            if line.get(1) == Some(&"start-tls") {
                drop_option(line, "first");
            }
        },
        with_it: None,
    },
    Fault {
        name: "send-urgent",
        without: |line| drop_step(line, &["send-urgent"]),
        with_it: None,
    },
    Fault {
        name: "send-descriptor",
        without: |line| politely(line, "send-descriptor", "send"),
        with_it: None,
    },
    Fault {
        name: "send-without-source",
        without: |line| drop_step(line, &["send-without-source"]),
        with_it: None,
    },
    Fault {
        name: "pause",
        without: |line| {
            if line.first() == Some(&"pause") {
                line.clear();
            }
        },
        with_it: None,
    },
    Fault {
        name: "limit of open files",
        without: |line| {
            drop_server_step(line, &["limit-open-files", "restore-open-files"]);
            drop_server_wait(line, &["out-of-files"]);
        },
        with_it: None,
    },
    Fault {
        name: "rare answers",
        without: |line| {
            drop_server_step(line, &["fail", "shorten", "restore-calls"]);
            drop_server_wait(line, &["answered"]);
        },
        with_it: None,
    },
    Fault {
        name: "stopped server",
        without: |line| drop_server_step(line, &["stop", "continue"]),
        with_it: None,
    },
    Fault {
        name: "second signal",
        without: |line| drop_server_step(line, &["signal-again"]),
        with_it: None,
    },
    Fault {
        name: "end of the server",
        without: |line| {
            const ENDS: &[&str] = &[
                "signal",
                "signal-again",
                "start",
                "start-beside-helpers",
                "start-over-file",
            ];
            drop_server_step(line, ENDS);
            drop_server_wait(line, &["exit", "gone"]);
        },
        with_it: None,
    },
    Fault {
        name: "way to start",
        without: |line| {
            if line.starts_with(&["server", "start"]) {
                line.truncate(2);
            }
            politely(line, "start-beside-helpers", "start");
            politely(line, "start-over-file", "start");
        },
        with_it: None,
    },
    Fault {
        name: "second instance",
        without: |line| drop_server_step(line, &["start-second"]),
        with_it: None,
    },
    Fault {
        name: "mallory",
        without: |line| drop_client(line, "mallory"),
        with_it: None,
    },
];

/// How much of something there is, and what it is made of.
const AMOUNTS: &[Fault] = &[
    Fault {
        name: "small buffer",
        without: |line| drop_option(line, "receive-buffer"),
        with_it: None,
    },
    Fault {
        name: "small segments",
        without: |line| drop_option(line, "segment-size"),
        with_it: None,
    },
    Fault {
        name: "crowd",
        without: |line| {
            if line.first() == Some(&"clients:") {
                for client in line {
                    *client = client.split_once('[').map_or(*client, |(name, _)| name);
                }
            }
        },
        with_it: None,
    },
    Fault {
        name: "repeats",
        without: |line| {
            if line.first() == Some(&"repeat") {
                *line = vec!["repeat", "1"];
            }
        },
        with_it: None,
    },
    Fault {
        name: "times",
        without: |line| drop_option(line, "*"),
        with_it: None,
    },
    Fault {
        name: "size",
        without: |line| {
            let source = line.iter().position(|word| SOURCES.contains(word));
            if let Some(size) = source.and_then(|source| line.get_mut(source + 1)) {
                *size = "16B";
            }
        },
        with_it: None,
    },
    Fault {
        name: "strange bytes",
        without: |line| {
            let is_strange = |word: &str| {
                word.starts_with('"') && (word.contains("\\x") || word.contains("\\0"))
            };
            for word in line.iter_mut().filter(|word| is_strange(word)) {
                *word = r#""hello from sockdrill\n""#;
            }
        },
        with_it: None,
    },
    Fault {
        name: "late",
        without: |line| drop_client(line, "late"),
        with_it: None,
    },
];

/// Steps that are no fault by themselves: polite clients have them too, or they say what is waited for.
const ARRANGEMENT: &[&str] = &[
    "ACTION",
    "server:",
    "backend:",
    "speaks:",
    "include:",
    "payload:",
    "tags:",
    "within:",
    "promise:",
    "setup",
    "case",
    "expected:",
    "clients:",
    "waive:",
    "settle",
    "barrier",
    "end",
    "never",
    "connect",
    "send",
    "close",
    "expect",
    "require",
];

/// What does not matter to a counterexample, and why it is there: the check, what is taken out, the reason. `numbers` are
/// all of its amounts.
const EXCUSED: &[(&str, &str, &str)] = &[
    (
        "polite/again",
        "numbers",
        "the bystander of every trial is a second client already",
    ),
    (
        "polite/stays-open",
        "numbers",
        "each exchange is held to it",
    ),
    (
        "reset/before-reply",
        "half-close",
        "it varies how the end arrives; a write meets the reset after it or without it",
    ),
    (
        "reset/before-reply",
        "stopped server",
        "it makes certain that the reset comes before the reply",
    ),
    (
        "reset/mid-reply",
        "reset",
        "a close with data unread is a reset too (RFC 2525, section 2.17)",
    ),
    (
        "reset/storm",
        "reset",
        "a close with data unread is a reset too (RFC 2525, section 2.17)",
    ),
    (
        "reset/many",
        "reset",
        "a close with data unread is a reset too (RFC 2525, section 2.17)",
    ),
    ("half-close/silent", "half-close", "a close sends FIN too"),
    (
        "partial/slow-reader",
        "stall",
        "it makes certain that the server has to wait, as it does for slow reads where it is fast enough",
    ),
    (
        "partial/slow-reader",
        "slow reads",
        "the server has had to wait before; that each KiB is waited for shows who cannot go on after a part",
    ),
    (
        "half-close/reply-complete",
        "slow reads",
        "so large a reply waits for a while whoever reads it; its size has to matter",
    ),
    (
        "partial/slow-reader",
        "slow reads",
        "the server has written megabytes before any client has read them, so that the buffers fill alone; their size has to matter",
    ),
    (
        "partial/output-limit",
        "stall",
        "who sends as fast as it can is owed more than that limit, however fast it reads; how much it asks for has to matter",
    ),
    (
        "timeout/idle-closes",
        "pause",
        "it is for servers that close too early, and this one never does",
    ),
    (
        "timeout/idle-mid-request",
        "pause",
        "it is for servers that close too early, and this one never does",
    ),
    (
        "timeout/login-closes",
        "pause",
        "it is for servers that close too early, and this one never does",
    ),
    (
        "timeout/request-closes",
        "pause",
        "it is for servers that close too early, and this one never does",
    ),
    (
        "timeout/frozen-server",
        "mallory",
        "who has come and gone meanwhile is another thing that waits for the server",
    ),
    (
        "crowd/no-crosstalk",
        "cuts",
        "they mix the clients more than their number does",
    ),
    (
        "crowd/own-bytes",
        "cuts",
        "they mix the clients more than their number does",
    ),
    (
        "crowd/churn",
        "numbers",
        "what one connection leaves behind grows in the doses that the judge asks for",
    ),
    (
        "crowd/connect-and-leave",
        "numbers",
        "one connection leaks as well: the judge asks for larger doses itself",
    ),
    (
        "datagram/burst",
        "stopped server",
        "a thousand at once overrun most servers that run as well; how many come has to matter",
    ),
    (
        "datagram/duplicate",
        "numbers",
        "the same datagram twice is what it is about",
    ),
    (
        "datagram/reorder",
        "numbers",
        "the order is what it is about",
    ),
];

/// Checks that a scenario file cannot repeat, and why.
const NOT_IN_FILES: &[(&str, &str)] = &[
    (
        "polite/exchange",
        "no case of a file is judged where a polite client is not served",
    ),
    (
        "timeout/slow-reader-kept",
        "a file does not say that reading is use of a connection",
    ),
];

/// Checks that are about a number, although there is a fault in them.
const OF_A_NUMBER: &[&str] = &[
    "datagram/burst",
    "half-close/reply-complete",
    "partial/output-limit",
    "partial/slow-reader",
    "reset/many",
    "reset/storm",
    "timeout/silent-crowd",
];

/// Data that is generated, with a size.
const SOURCES: &[&str] = &["pattern", "text", "line"];

fn politely<'a>(line: &mut [&'a str], fault: &str, instead: &'a str) {
    if let Some(word) = line.get_mut(1).filter(|word| **word == fault) {
        *word = instead;
    }
}

fn drop_step(line: &mut Vec<&str>, steps: &[&str]) {
    let is_meant = line.get(1).is_some_and(|step| steps.contains(step));
    if is_meant {
        line.clear();
    }
}

fn drop_server_step(line: &mut Vec<&str>, steps: &[&str]) {
    if line.first() == Some(&"server") {
        drop_step(line, steps);
    }
}

fn drop_server_wait(line: &mut Vec<&str>, awaited: &[&str]) {
    if let ["server", "expect" | "require", what, ..] = line[..]
        && awaited.contains(&what)
    {
        line.clear();
    }
}

/// A line as if there was no such client.
fn drop_client(line: &mut Vec<&str>, name: &str) {
    match line.first() {
        Some(&"clients:") => line.retain(|client| name_of(client) != name),
        Some(who) if *who == name => line.clear(),
        _ => {}
    }
}

fn name_of(client: &str) -> &str {
    client.split_once('[').map_or(client, |(name, _)| name)
}

/// Takes an option with its values out of a line.
fn drop_option(line: &mut Vec<&str>, option: &str) {
    let option: Vec<_> = option.split(' ').collect();
    let mut windows = line.windows(option.len());
    let Some(at) = windows.position(|words| words == option) else {
        return;
    };
    let is_value =
        |word: &&&str| word.starts_with(|first: char| first.is_ascii_digit() || first == ':');
    let values = line[at + option.len()..].iter().take_while(is_value);
    let end = at + option.len() + values.count();
    line.drain(at..end);
}

/// A case, line by line in words; texts in quotes are words.
type Lines<'a> = Vec<Vec<&'a str>>;

fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let (mut begun, mut quoted, mut escaped) = (None, false, false);
    for (at, letter) in line.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ' ' if !quoted => words.extend(begun.take().map(|begun: usize| &line[begun..at])),
            _ => {}
        }
        if quoted || letter != ' ' {
            begun.get_or_insert(at);
        }
    }
    words.extend(begun.map(|begun| &line[begun..]));
    words
}

/// The lines of a case but for its name; blocks that nothing is left of are left out.
fn text(name: &str, lines: &Lines<'_>) -> String {
    let mut text: Vec<String> = vec![format!("case {name}")];
    for line in lines.iter().filter(|line| !line.is_empty()) {
        let is_empty_block =
            line[..] == ["end"] && text.last().is_some_and(|last| last.starts_with("repeat "));
        match is_empty_block {
            true => drop(text.pop()),
            false => text.push(line.join(" ")),
        }
    }
    text.join("\n") + "\n"
}

/// A scenario without one of its faults.
struct Ablated {
    fault: &'static str,
    case: String,
}

/// What is left of a case without each of these faults that it has, where it is a case still.
fn ablated(case: &str, faults: &'static [Fault]) -> Vec<Ablated> {
    let lines = lines_of(case);
    let ablated = faults.iter().filter_map(|fault| {
        let mut left = lines.clone();
        left.iter_mut().for_each(fault.without);
        let is_there = left != lines;
        left.iter_mut().for_each(fault.with_it.unwrap_or(|_| {}));
        let case = text(fault.name, &left);
        let is_case = DrillFile::parse("ablated", &format!("server: echo\n{case}")).is_ok();
        let fault = fault.name;
        (is_there && is_case).then_some(Ablated { fault, case })
    });
    ablated.collect()
}

/// The lines of a case behind its name.
fn lines_of(case: &str) -> Lines<'_> {
    case.lines().skip(1).map(words).collect()
}

/// What is taken out of the scenario of a check.
struct Plan {
    /// Each has to matter.
    faults: Vec<Ablated>,
    /// One of them has to matter.
    amounts: Vec<Ablated>,
}

impl Plan {
    fn of(check: &Check, case: &str) -> Self {
        let (mut faults, mut amounts) = (ablated(case, FAULTS), ablated(case, AMOUNTS));
        let is_of_amounts = faults.is_empty() || OF_A_NUMBER.contains(&check.id);
        if !is_of_amounts || is_excused(check, "numbers") {
            amounts.clear();
        }
        faults.retain(|ablated| !is_excused(check, ablated.fault));
        Self { faults, amounts }
    }

    fn all(&self) -> Vec<&Ablated> {
        self.faults.iter().chain(&self.amounts).collect()
    }

    /// Says what does not matter, where it has to.
    fn complaint(&self, irrelevant: &[&str]) -> Option<String> {
        let is_irrelevant = |ablated: &&Ablated| irrelevant.contains(&ablated.fault);
        let faults: Vec<_> = self.faults.iter().filter(is_irrelevant).collect();
        let faults: Vec<_> = faults.iter().map(|ablated| ablated.fault).collect();
        let amounts = self.amounts.iter().filter(is_irrelevant).count();
        match faults.is_empty() {
            false => Some(format!(
                "its scenario fails on the counterexample without it too, and passes on the correct server: {}",
                faults.join(", ")
            )),
            true if amounts > 0 && amounts == self.amounts.len() => {
                Some("its scenario fails on the counterexample whatever its amounts are".to_owned())
            }
            true => None,
        }
    }
}

fn is_excused(check: &Check, fault: &str) -> bool {
    EXCUSED
        .iter()
        .any(|(id, excused, _)| *id == check.id && *excused == fault)
}

/// Demands that the scenario that has failed on a check's counterexample does not fail there without its faults.
///
/// # Errors
/// One of them does not matter, or the scenario does not fail as a file.
pub(crate) fn demand(
    proved: &Check,
    case: &str,
    broken: &[&str],
    correct: &[&str],
) -> Result<(), Failed> {
    let plan = Plan::of(proved, case);
    let is_in_file = NOT_IN_FILES.iter().all(|(id, _)| *id != proved.id);
    if plan.all().is_empty() || !is_in_file {
        return Ok(());
    }
    let failing = failing(&plan, case, broken).map_err(|what| format!("{}: {what}", proved.id))?;
    match plan.complaint(&passing(&failing, correct)) {
        Some(complaint) => Err(format!("{}: {complaint}", proved.id).into()),
        None => Ok(()),
    }
}

/// What still fails on the counterexample, where the whole scenario does.
fn failing<'a>(plan: &'a Plan, case: &str, broken: &[&str]) -> Result<Vec<&'a Ablated>, String> {
    let whole = text("whole", &lines_of(case));
    let ablated = plan.all();
    let mut cases = vec![whole.as_str()];
    cases.extend(ablated.iter().map(|ablated| ablated.case.as_str()));
    let mut verdicts = verdicts(&cases, broken).into_iter();
    match verdicts.next() {
        Some(whole) if whole.starts_with("fail") => {}
        whole => {
            return Err(format!(
                "as a file its scenario comes to {whole:?} on the counterexample"
            ));
        }
    }
    let failing = ablated.into_iter().zip(verdicts);
    let failing = failing.filter(|(_, verdict)| verdict == "fail");
    Ok(failing.map(|(ablated, _)| ablated).collect())
}

/// The faults without which a case passes on the correct server: it expects nothing that is due to them.
fn passing(cases: &[&Ablated], correct: &[&str]) -> Vec<&'static str> {
    if cases.is_empty() {
        return Vec::new();
    }
    let texts: Vec<_> = cases.iter().map(|ablated| ablated.case.as_str()).collect();
    let verdicts = verdicts(&texts, correct);
    let passing = cases
        .iter()
        .zip(verdicts)
        .filter(|(_, verdict)| verdict == "pass");
    passing.map(|(ablated, _)| ablated.fault).collect()
}

/// The verdicts on cases of one file, in their order.
fn verdicts(cases: &[&str], server: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder for the file");
    let file = folder.path().join("ablated.drill");
    std::fs::write(&file, cases.join("\n")).expect("it is written");
    let run = sockdrill(&["run"])
        .reporting()
        .arg(&file)
        .args(server)
        .run();
    let results = run.report["checks"].as_array().cloned().unwrap_or_default();
    run.demand(results.len() == cases.len(), "each case has a verdict");
    results.iter().map(verdict).collect()
}

/// The verdict of a case. What fails only sometimes is not what fails without a fault: the host may have done its part.
fn verdict(case: &Value) -> String {
    let evidence = case["evidence"][0].as_str().unwrap_or_default();
    match case["verdict"].as_str().unwrap_or_default() {
        "fail" if evidence.ends_with("(intermittent)") => "fail at times".to_owned(),
        verdict => verdict.to_owned(),
    }
}

/// Each row of the tables names a check that there is, and each step of the language is a fault or none.
pub(crate) fn trial() -> Trial {
    Trial::test("ablation::each_step_is_known_as_a_fault_or_as_none", || {
        let ids: Vec<_> = sockdrill::catalogue()
            .iter()
            .map(|check| check.id)
            .collect();
        let named = EXCUSED
            .iter()
            .map(|(id, ..)| id)
            .chain(NOT_IN_FILES.iter().map(|(id, _)| id));
        let unknown: Vec<_> = named
            .chain(OF_A_NUMBER)
            .filter(|id| !ids.contains(id))
            .collect();
        assert!(unknown.is_empty(), "there is no check {unknown:?}");
        let steps = sockdrill(&["list", "steps"]).run().code(0);
        let usages = steps.stdout.lines().filter(|line| !line.starts_with(' '));
        let usages = usages.filter(|usage| !usage.starts_with("DATA:"));
        let left: Vec<_> = usages.filter(|usage| !is_known(usage)).collect();
        assert!(left.is_empty(), "neither a fault nor none: {left:#?}");
        Ok(())
    })
}

/// Whether a step, as its usage has it, is taken out by a fault or listed as an arrangement.
fn is_known(usage: &str) -> bool {
    let usage = usage.replace("NAME ", "mallory ");
    let line: Vec<_> = usage.split_whitespace().collect();
    let verb = if matches!(line.first(), Some(&("mallory" | "server"))) {
        1
    } else {
        0
    };
    let is_changed = |fault: &&Fault| {
        let mut left = line.clone();
        (fault.without)(&mut left);
        left != line
    };
    let mut faults = FAULTS
        .iter()
        .chain(AMOUNTS)
        .filter(|fault| fault.name != "mallory");
    line.get(verb).is_none_or(|word| ARRANGEMENT.contains(word))
        || faults.any(|fault| is_changed(&fault))
}
