//! The whole of a program: how the server is started, the cases, and what they need.

use super::ground::Ground;
use super::parts;
use super::pattern::in_python;
use super::python::{self, Lines, text};
use super::steps::Script;
use crate::foreign::TERMINAL;
use crate::launch::Target;
use crate::model::action::Action;
use crate::model::error::Error;
use crate::model::limits;
use crate::model::profile::{Serves, Transport};
use crate::model::scenario::Scenario;
use crate::model::subject::{Place, Subject};
use crate::model::template::{Hole, Template};
use crate::model::unasked::Unasked;
use crate::transcript::event::CRASHES;
use std::collections::BTreeMap;

/// A program that shows what a server does.
#[derive(Clone, Debug)]
pub(crate) struct Reproducer {
    /// The text of the program.
    pub program: String,
    /// What the program does not do as sockdrill does it, each as a sentence without its full stop.
    pub limits: Vec<String>,
}

/// How long the steps of a program may take that wait for nothing.
const TIME_TO_SPARE: u64 = 60;

/// The most that alarm(2) of Python takes.
const MOST_TIME: u64 = i32::MAX as u64;

impl Reproducer {
    /// The program that performs these scenarios, each on a server of its own.
    ///
    /// # Errors
    /// The server cannot be started by such a program, or an expectation cannot be looked for in it.
    pub(crate) fn of(scenarios: &[&Scenario], target: &Target) -> Result<Self, Error> {
        let all = || std::iter::once(target).chain(target.backends.values());
        if let Some(handed) = all().find(|target| target.listen_fds) {
            return Err(Error::Usage(format!(
                "{}: a reproducer cannot hand over a listening socket; write a target without `listen-fds`",
                handed.name
            )));
        }
        let transport = target.profile.transport.unwrap_or(Transport::Tcp);
        if let Some(step) = scenarios.iter().find_map(|scenario| first_of_tls(scenario)) {
            return Err(Error::Usage(format!(
                "a reproducer cannot say `{step}`: TLS is known to sockdrill alone"
            )));
        }
        let ground = Ground::of(target, transport);
        if let Some(refusal) = scenarios.iter().find_map(|case| misplaced(case, ground)) {
            return Err(Error::Usage(refusal));
        }
        let subject = Subject::of(target.profile.clone(), Place::on(transport));
        let mut limits = Vec::new();
        let names: Vec<_> = all().flat_map(|target| target.sysctl.keys()).collect();
        if !names.is_empty() {
            let names: Vec<_> = names.into_iter().map(String::as_str).collect();
            limits.push(format!(
                "the kernel parameters of the target are not set: {}",
                names.join(", ")
            ));
        }
        let (mut cases, mut names, mut time) = (String::new(), Vec::new(), TIME_TO_SPARE);
        for (number, scenario) in (1..).zip(scenarios) {
            let name = match scenarios.len() {
                1 => "case".to_owned(),
                _ => format!("case_{number}"),
            };
            let script = Script::of(&name, scenario, ground, &subject)?;
            cases.push_str(&script.text);
            cases.push_str("\n\n");
            time = time.saturating_add(script.time.as_secs()).min(MOST_TIME);
            limits.extend(script.limits);
            names.push(name);
        }
        limits.dedup();
        let constants = constants(target, time)?;
        let steps = format!(
            "{cases}CASES = [{}]\nSERVER = {}\nFIND = {}\n{}",
            names.join(", "),
            if target.backends.is_empty() {
                "Server"
            } else {
                "Proxy"
            },
            ground.find(),
            behind(target)
        );
        let (before, after) = parts::around(&format!("{constants}{steps}"));
        let (imports, before) = before.split_at(before.find("\n\n").map_or(0, |at| at + 2));
        let program = format!(
            "#!/usr/bin/env python3\n{}{}{constants}\n{before}\n{steps}\n\n{after}",
            docstring(scenarios, &limits),
            imports
        );
        Ok(Self { program, limits })
    }
}

/// The first step that begins TLS, for which the program has no words.
fn first_of_tls(scenario: &Scenario) -> Option<String> {
    let mut steps = scenario.steps().into_iter();
    let begins = steps.find(|line| matches!(line.action(), Some(Action::StartTls(_))));
    begins.map(|line| line.step.text(&scenario.clients))
}

/// What is said of the first step that does not happen over the transport of the server.
fn misplaced(scenario: &Scenario, ground: Ground) -> Option<String> {
    let transport = ground.transport();
    let line = scenario.first_impossible_over(transport)?;
    let step = line.step.text(&scenario.clients);
    let over = line.step.form().over;
    Some(format!(
        "`{step}` takes {over}, and the server is one of {transport}: name what it speaks with `--speaks`, or in a target \
         file by `transport`"
    ))
}

/// How the target is started, as constants.
fn constants(target: &Target, time: u64) -> Result<String, Error> {
    let none = || "None".to_owned();
    let command = python::list(target.command.iter().map(String::as_str));
    let one_connection = target.profile.promises.serves == Some(Serves::OneConnection);
    let apart = match target.profile.promises.penalises_addresses() {
        true => "itertools.count()",
        false => "None",
    };
    let rows: [(&str, Lines); 15] = [
        ("COMMAND", command),
        ("ENVIRONMENT", table(&target.environment)),
        ("FILES", table(&target.files)),
        (
            "OPEN_FILES",
            vec![
                target
                    .open_files
                    .map_or_else(none, |limit| limit.to_string()),
            ],
        ),
        (
            "LISTENER",
            vec![target.listen.as_deref().map_or_else(none, text)],
        ),
        ("READY_WITHIN", vec![python::seconds(target.ready_within)]),
        ("STEP_WITHIN", vec![python::seconds(limits::STEP_WITHIN)]),
        ("LOOK_ON_FOR", vec![python::seconds(limits::LOOK_ON_FOR)]),
        ("SILENCE", vec![python::seconds(limits::SILENCE)]),
        (
            "SETTLE_WITHIN",
            vec![python::seconds(limits::SETTLE_WITHIN)],
        ),
        (
            "SERVED_WITHIN",
            vec![python::seconds(limits::SERVED_WITHIN)],
        ),
        (
            "ONE_CONNECTION",
            vec![if one_connection { "True" } else { "False" }.to_owned()],
        ),
        ("UNASKED", unasked(&target.profile.unasked())?),
        ("ADDRESSES", vec![apart.to_owned()]),
        ("TIME_LIMIT", vec![time.to_string()]),
    ];
    let mut all = String::from(
        "# How the server is started: a free {port}, its {addr}, a {path} and a {dir}\n# are filled in.\n",
    );
    for (name, lines) in rows {
        all.push_str(&format!("{name} = {}\n", lines.join("\n")));
    }
    all.push_str("\n# Signals that no server ends by in good order.\nCRASHES = [\n");
    for (_, name) in CRASHES {
        all.push_str(&format!("    signal.{name},\n"));
    }
    Ok(all + "]\n")
}

/// A dictionary of texts.
fn table(pairs: &BTreeMap<String, String>) -> Lines {
    match pairs.is_empty() {
        true => vec!["{}".to_owned()],
        false => {
            let rows = pairs.iter();
            let rows = rows.map(|(name, value)| format!("    {}: {},", text(name), text(value)));
            [vec!["{".to_owned()], rows.collect(), vec!["}".to_owned()]].concat()
        }
    }
}

/// What stands behind the target, and how each of it is started; nothing where there is none.
fn behind(target: &Target) -> String {
    if target.backends.is_empty() {
        return String::new();
    }
    let none = || "None".to_owned();
    let entry = |(name, backend): (&String, &Target)| {
        // Nobody speaks to it but the server, which knows how.
        let transport = backend.profile.transport;
        let find = transport.map(|transport| Ground::of(backend, transport).find());
        let open_files = backend.open_files.map(|limit| limit.to_string());
        let rows: [(&str, Lines); 7] = [
            ("find", vec![find.unwrap_or("find_any").to_owned()]),
            (
                "command",
                python::list(backend.command.iter().map(String::as_str)),
            ),
            ("environment", table(&backend.environment)),
            ("files", table(&backend.files)),
            ("open_files", vec![open_files.unwrap_or_else(none)]),
            (
                "listener",
                vec![backend.listen.as_deref().map_or_else(none, text)],
            ),
            ("ready_within", vec![python::seconds(backend.ready_within)]),
        ];
        let rows = rows.map(|(key, lines)| {
            let lines = lines.join("\n        ");
            format!("        \"{key}\": {lines},\n")
        });
        format!("    {}: {{\n{}    }},\n", text(name), rows.concat())
    };
    let entries: String = target.backends.iter().map(entry).collect();
    format!(
        "\n# What stands behind the server and is started before it, likewise; all\n# know each other's {{NAME.port}} and {{NAME.addr}}.\n\
         BACKENDS = {{\n{entries}}}\n"
    )
}

/// What the server says by itself: of each text what it begins with, and its pattern.
fn unasked(unasked: &Unasked) -> Result<Lines, Error> {
    let row = |text: &Template| {
        let parts = [python::bytes(&text.first), python::bytes(&pattern(text)?)];
        let mut lines = python::inner_call("", &parts);
        if let Some(last) = lines.last_mut() {
            last.push(',');
        }
        Ok(lines
            .into_iter()
            .map(|line| format!("    {line}"))
            .collect())
    };
    let texts = unasked.texts();
    match texts.is_empty() {
        true => Ok(vec!["[]".to_owned()]),
        false => {
            let rows: Vec<Lines> = texts.iter().map(row).collect::<Result<_, Error>>()?;
            Ok([vec!["[".to_owned()], rows.concat(), vec!["]".to_owned()]].concat())
        }
    }
}

/// A text as a regular expression of Python's.
fn pattern(text: &Template) -> Result<Vec<u8>, Error> {
    let escaped = |bytes: &[u8]| {
        let bytes = bytes.iter().map(|byte| match byte {
            b'\\' | b'.' | b'^' | b'$' | b'*' | b'+' | b'?' | b'{' | b'}' | b'[' | b']' | b'|'
            | b'(' | b')' => {
                vec![b'\\', *byte]
            }
            other => vec![*other],
        });
        bytes.collect::<Vec<_>>().concat()
    };
    let rest = text.rest.iter().map(|(hole, part)| {
        let taken = match hole {
            Hole::Any | Hole::Variable(_) => r"[\s\S]*?".to_owned(),
            Hole::Line => r"[^\n]*?".to_owned(),
            Hole::Pattern { pattern, .. } => format!("(?:{})", in_python(pattern)?),
        };
        Ok([taken.into_bytes(), escaped(part)].concat())
    });
    let first = Ok(escaped(&text.first));
    let parts: Vec<_> = [first]
        .into_iter()
        .chain(rest)
        .collect::<Result<_, Error>>()?;
    Ok(parts.concat())
}

fn docstring(scenarios: &[&Scenario], limits: &[String]) -> String {
    let harmless = |text: &str| TERMINAL.text(text).replace("\"\"\"", "\\\"\\\"\\\"");
    let cases: Vec<_> = scenarios.iter().map(ToString::to_string).collect();
    let cases = harmless(&cases.join("\n"));
    let mut all = format!(
        "r\"\"\"Shows what a server does in a conversation, without more than Python.\n\n{}\n\n\
         It starts the server, performs the steps, and looks whether the server still\n\
         lives and serves. It ends with status 1 and one sentence where the server\n\
         breaks a promise, with 0 where it does not, and with 2 where this program\n\
         could not tell. Where no limit is written, that something has not come for a\n\
         minute tells nothing.\n",
        cases.trim_end()
    );
    for limit in limits {
        all.push_str(&format!("\nNote: {}.\n", harmless(limit)));
    }
    all + "\"\"\"\n\n"
}
