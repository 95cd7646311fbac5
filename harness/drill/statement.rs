//! What one line of a `.drill` file says.

use super::bounds::{MOST_CLIENTS, MOST_NAMES, MOST_TIMES};
use super::diagnostic::{Diagnostic, quote};
use super::payload::Payload;
use super::reader::{Read, Reader, Verb, words};
use super::shared::Backend;
use super::steps::{ACTIONS, SERVER_ACTIONS, data_words, plain};
use super::terms::{self, Expected};
use super::tokens::is_word_char;
use crate::model::expectation::ServerExpectation;
use crate::model::invariant::Invariant;
use crate::model::literal;
use crate::model::profile::Promises;
use crate::model::promise::PROMISES;
use crate::model::scenario::{ClientGroup, Step, Waiver};
use crate::model::server_action::{ServerAction, Streams};
use crate::model::template::is_name;
use std::time::Duration;

/// What one line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    /// `server: NAME_OR_FILE`.
    Server(String),
    /// `backend: NAME NAME_OR_FILE`.
    Backend(Backend),
    /// `speaks: PROFILE`.
    Speaks(String),
    /// `include: FILE`.
    Include(String),
    /// `payload: NAME DATA`.
    Payload(Payload),
    /// `tags: NAME…`.
    Tags(Vec<String>),
    /// `within: DURATION`.
    Within(Duration),
    /// `promise: WORD = VALUE`.
    Promise(String),
    /// `expected: fail "REASON"`.
    Expected(Expected),
    /// The beginning of the steps that all cases share.
    Setup,
    /// The beginning of a case.
    Case(String),
    /// Clients of a case.
    Clients(Vec<ClientGroup>),
    /// An invariant that a case sets aside.
    Waive(Waiver),
    /// A step that is complete in its line.
    Step(Step),
    /// The beginning of a block.
    Repeat(u32),
    /// The end of a block.
    End,
}

/// Every first word but the names of clients.
pub(super) const KEYWORDS: &[Verb<Statement>] = &[
    Verb {
        usage: "server: NAME_OR_FILE",
        about: "The server that the file is written for: a reference server or a target file.",
        example: "server: echo",
        read: |line| setting(line, "a server's name or file").map(Statement::Server),
    },
    Verb {
        usage: "backend: NAME [NAME_OR_FILE]",
        about: "A server that stands behind the drilled one, started before it in the same network: steps begin with its name, and the \
                server's target has its address as `{NAME.addr}` and its port as `{NAME.port}`. Without a file it is one of the target's \
                own `[backends]`.",
        example: "backend: origin origin.toml",
        read: backend,
    },
    Verb {
        usage: "speaks: PROFILE",
        about: "What the server speaks and promises: the name of a profile, or its file.",
        example: "speaks: redis",
        read: |line| setting(line, "a profile's name or file").map(Statement::Speaks),
    },
    Verb {
        usage: "include: FILE",
        about: "Takes the payloads, the terms and the setup of another file; the way to it begins at the folder of this one.",
        example: "include: login.drill",
        read: |line| setting(line, "the name of a file").map(Statement::Include),
    },
    Verb {
        usage: "payload: NAME DATA",
        about: "Gives data a name, by which all lines below may send and expect it.",
        example: "payload: greeting \"HELO there\\r\\n\"",
        read: payload,
    },
    Verb {
        usage: "tags: NAME…",
        about: "Names by which cases are chosen, `sockdrill run -E 'tag(NAME)'`: of a case, or of all of a file.",
        example: "tags: slow udp",
        read: tags,
    },
    Verb {
        usage: "within: DURATION",
        about: "How long each expectation may take that says nothing of it: of a case, or of all of a file.",
        example: "within: 3s",
        read: |line| match line.duration()? {
            Duration::ZERO => Err(Diagnostic::new(line.last(), "this is no time")
                .label("write how long each expectation may take, such as 3s")),
            time => Ok(Statement::Within(time)),
        },
    },
    Verb {
        usage: "promise: WORD = VALUE",
        about: "What the server promises beside its profile, or otherwise, as profiles have it: in a case, or in all of a file.",
        example: "promise: idle-timeout = \"2s\"",
        read: promise,
    },
    Verb {
        usage: "setup",
        about: "Begins the steps that each case of the file begins with; it has clients of its own, which all cases have.",
        example: "setup",
        read: |_| Ok(Statement::Setup),
    },
    Verb {
        usage: "case WHAT HAPPENS",
        about: "Begins a case; what happens in it is its name.",
        example: "case half a message, then reset",
        read: case,
    },
    Verb {
        usage: "clients: NAME… or NAME[NUMBER]…",
        about: "Declares clients; one with a number is a crowd of so many that act as one.",
        example: "clients: alice mallory[20]",
        read: |line| clients(line).map(Statement::Clients),
    },
    Verb {
        usage: "waive: INVARIANT \"REASON\"",
        about: "Sets an invariant aside in this case.",
        example: "waive: memory \"the crowd is large\"",
        read: |line| waiver(line).map(Statement::Waive),
    },
    Verb {
        usage: "expected: fail \"REASON\"",
        about: "The case is known to fail, for this reason: that fails no run, and a pass does.",
        example: "expected: fail \"issue 17\"",
        read: expected,
    },
    Verb {
        usage: "server ACTION",
        about: "Does something to the server, or expects something of it.",
        example: "server stop",
        read: |line| {
            let action = line.verb("something to do to the server", SERVER_ACTIONS)?;
            Ok(Statement::Step(Step::Server(action)))
        },
    },
    Verb {
        usage: "pause DURATION",
        about: "Time passes, because passing time is the point of the case.",
        example: "pause 250ms",
        read: |line| {
            line.duration()
                .map(|time| Statement::Step(Step::Pause(time)))
        },
    },
    Verb {
        usage: "settle",
        about: "The server gets the time to come to rest; nothing is expected.",
        example: "settle",
        read: |_| Ok(Statement::Step(Step::Settle)),
    },
    Verb {
        usage: "barrier",
        about: "Nobody of a crowd goes on before all have come this far.",
        example: "barrier",
        read: |_| Ok(Statement::Step(Step::Barrier)),
    },
    Verb {
        usage: "repeat NUMBER",
        about: "Begins a block of lines that are gone through so often.",
        example: "repeat 3",
        read: |line| line.count(1..=MOST_TIMES).map(Statement::Repeat),
    },
    Verb {
        usage: "end",
        about: "Ends a block.",
        example: "end",
        read: |_| Ok(Statement::End),
    },
];

/// Reads a line; `None` where it says nothing.
pub(super) fn read(line: &mut Reader<'_>) -> Read<Option<Statement>> {
    let Some(first) = line.peek() else {
        return Ok(None);
    };
    if let Some(mistake) = line.unclosed().filter(|_| !first.is("case")) {
        return Err(mistake);
    }
    let sentence = match line
        .known
        .clients
        .iter()
        .position(|group| first.is(&group.name))
    {
        Some(who) => action(line, who)?,
        None if is_backend(line, first.text) => of_backend(line)?,
        None if words(KEYWORDS).contains(&first.text) => line.verb("a line", KEYWORDS)?,
        None => return Err(unknown_first_word(line, first.text)),
    };
    line.finish()?;
    Ok(Some(sentence))
}

fn action(line: &mut Reader<'_>, who: usize) -> Read<Statement> {
    line.word("a client")?;
    let action = line.verb("something that a client can do", ACTIONS)?;
    Ok(Statement::Step(Step::Client { who, action }))
}

fn is_backend(line: &Reader<'_>, word: &str) -> bool {
    let mut backends = line.known.backends.iter();
    backends.any(|backend| backend.name == word)
}

fn of_backend(line: &mut Reader<'_>) -> Read<Statement> {
    let name = line.word("a backend")?.text.to_owned();
    let start = line.start();
    let action = line.verb("something to do to the backend", SERVER_ACTIONS)?;
    let is_for_backends = match &action {
        ServerAction::Signal(_) | ServerAction::Stop | ServerAction::Continue => true,
        ServerAction::Start(streams) => *streams == Streams::Usual,
        ServerAction::Expect { what, .. } | ServerAction::Require { what, .. } => matches!(
            what,
            ServerExpectation::Exit(_) | ServerExpectation::Output(_)
        ),
        _ => false,
    };
    match is_for_backends {
        true => Ok(Statement::Step(Step::Backend { name, action })),
        false => {
            let title = "this is done to the drilled server alone, or expected of it";
            let label = "write signal, stop, continue, start, or expect or require exit or output";
            Err(Diagnostic::new(line.since(start), title).label(label))
        }
    }
}

fn backend(line: &mut Reader<'_>) -> Read<Statement> {
    let token = line.word("a name for the backend")?;
    let name = token.text.to_owned();
    let wrong = |title: String| {
        let label = "write a name such as `origin`: letters, digits, `-` and `_`";
        Err(Diagnostic::new(token.span(), title).label(label))
    };
    if let Err(title) = named(&name) {
        return wrong(title);
    }
    if is_backend(line, &name) {
        return wrong(format!("there is a backend `{name}` already"));
    }
    let server = match line.peek() {
        Some(_) => Some(setting(line, "a server's name or file")?),
        None => None,
    };
    Ok(Statement::Backend(Backend { name, server }))
}

fn unknown_first_word(line: &Reader<'_>, word: &str) -> Diagnostic {
    let names: Vec<_> = line
        .known
        .clients
        .iter()
        .map(|group| group.name.as_str())
        .chain(
            line.known
                .backends
                .iter()
                .map(|backend| backend.name.as_str()),
        )
        .collect();
    let keywords = words(KEYWORDS);
    let (title, declare) = match word.ends_with(':') {
        true => (format!("there is no setting {}", quote(word)), None),
        false => (
            format!(
                "there is no client {} here, nor does a line begin so",
                quote(word)
            ),
            named(word)
                .ok()
                .map(|()| "declare a client under `clients:`"),
        ),
    };
    let mut mistake = Diagnostic::unknown(
        line.start()..line.start() + word.len(),
        title,
        word,
        &[names.as_slice(), &keywords].concat(),
    );
    if let Some(declare) = declare {
        mistake = mistake.or_label(declare);
    }
    /// As many as anyone looks through.
    const MOST: usize = 12;
    let clients = match names.as_slice() {
        [] => "none".to_owned(),
        names if names.len() > MOST => {
            format!(
                "{} and {} more",
                names[..MOST].join(", "),
                names.len() - MOST
            )
        }
        names => names.join(", "),
    };
    let help = format!(
        "clients: {clients}; else a line begins with: {}",
        keywords.join(", ")
    );
    mistake.help(help).once()
}

fn setting(line: &mut Reader<'_>, wanted: &str) -> Read<String> {
    let quoted = line.peek().is_some_and(|token| token.text.starts_with('"'));
    let value = match quoted {
        true => line.text(wanted)?,
        false => line.word(wanted)?.text.to_owned(),
    };
    if value.is_empty() {
        return Err(Diagnostic::new(line.last(), "this is empty").label(format!("write {wanted}")));
    }
    match line.peek() {
        None => Ok(value),
        Some(token) => {
            let mistake = Diagnostic::new(token.span(), "a setting has one value");
            Err(mistake.label("put a value with spaces in quotes"))
        }
    }
}

fn case(line: &mut Reader<'_>) -> Read<Statement> {
    let end = line.last().end;
    match line.rest_of_line() {
        "" => {
            let mistake = Diagnostic::new(end..end, "this case has no name");
            Err(mistake.label("write what happens in it"))
        }
        name if name.contains('\n') => {
            Err(Diagnostic::new(end..end, "the name of a case is one line"))
        }
        name => Ok(Statement::Case(name.to_owned())),
    }
}

fn payload(line: &mut Reader<'_>) -> Read<Statement> {
    let token = line.word("a name")?;
    let name = token.text.to_owned();
    let wrong = |title: String| {
        let label = "write a name such as `hello`: letters, digits, `-` and `_`";
        Err(Diagnostic::new(token.span(), title).label(label))
    };
    if !is_name(&name) {
        return wrong(format!("{} cannot be the name of a payload", quote(&name)));
    }
    if data_words().contains(&name.as_str()) {
        return wrong(format!("`{name}` means something else where data stands"));
    }
    if line
        .known
        .payloads
        .iter()
        .any(|payload| payload.name == name)
    {
        return wrong(format!("there is a payload `{name}` already"));
    }
    let start = line.start();
    let data = plain(line)?;
    match data.variables().first() {
        None => Ok(Statement::Payload(Payload { name, data })),
        Some(variable) => {
            let title = format!("nothing is captured here, so that {{{variable}}} has no value");
            Err(Diagnostic::new(line.since(start), title).label("write \\{ for a brace"))
        }
    }
}

fn tags(line: &mut Reader<'_>) -> Read<Statement> {
    let mut tags: Vec<String> = Vec::new();
    while line.peek().is_some() || tags.is_empty() {
        let token = line.word("a tag, such as slow")?;
        if !is_name(token.text) {
            let title = format!("{} cannot be a tag", quote(token.text));
            let label = "write a name such as `slow`: letters, digits, `-` and `_`";
            return Err(Diagnostic::new(token.span(), title).label(label));
        }
        if tags.iter().any(|tag| tag == token.text) {
            return Err(Diagnostic::new(token.span(), "this tag stands here twice"));
        }
        tags.push(token.text.to_owned());
    }
    Ok(Statement::Tags(tags))
}

fn promise(line: &mut Reader<'_>) -> Read<Statement> {
    let start = line.start();
    let text = line.rest_before_comment().to_owned();
    let word = text.split(['=', ' ', '.']).next().unwrap_or_default();
    let names: Vec<_> = PROMISES.iter().map(|row| row.name).collect();
    if !names.contains(&word) {
        let title = format!("{} is no promise", quote(word));
        return Err(Diagnostic::unknown(
            start..start + word.len(),
            title,
            word,
            &names,
        ));
    }
    match Promises::parse(&text) {
        Ok(_) if text.contains('\n') => {
            Err(Diagnostic::new(line.since(start), "a promise is one line"))
        }
        Ok(_) => Ok(Statement::Promise(text)),
        Err(message) => {
            let row = PROMISES.iter().find(|row| row.name == word);
            let example = row.map_or("", |row| row.example);
            let mistake = Diagnostic::new(line.since(start), message);
            Err(mistake.label(format!("write it as in `{word} = {example}`")))
        }
    }
}

fn expected(line: &mut Reader<'_>) -> Read<Statement> {
    line.one_of("a verdict", &[((), "fail")])?;
    let reason = line.text("the reason in quotes")?;
    match reason.trim() {
        "" => Err(Diagnostic::new(line.last(), "this reason is empty").label("write why")),
        _ => Ok(Statement::Expected(Expected { reason })),
    }
}

fn waiver(line: &mut Reader<'_>) -> Read<Waiver> {
    let invariant = line.one_of("an invariant", Invariant::ALL)?;
    let reason = line.text("the reason in quotes")?;
    match reason.trim() {
        "" => Err(Diagnostic::new(line.last(), "this reason is empty").label("write why")),
        _ => Ok(Waiver { invariant, reason }),
    }
}

fn clients(line: &mut Reader<'_>) -> Read<Vec<ClientGroup>> {
    let mut found = vec![client(line)?];
    declared_once(line, &found)?;
    while line.peek().is_some() {
        let next = client(line)?;
        found.push(next);
        if line.known.clients.len() + found.len() > MOST_NAMES {
            let title = format!("these are more than {MOST_NAMES} names");
            let mistake = Diagnostic::new(line.last(), title);
            return Err(mistake.label("write `name[NUMBER]` for a crowd"));
        }
        declared_once(line, &found)?;
    }
    Ok(found)
}

fn declared_once(line: &Reader<'_>, found: &[ClientGroup]) -> Read<()> {
    let Some((newest, earlier)) = found.split_last() else {
        return Ok(());
    };
    if is_backend(line, &newest.name) {
        let title = format!("`{}` is a backend", newest.name);
        return Err(Diagnostic::new(line.last(), title).label("write another name"));
    }
    let mut before = line.known.clients.iter().chain(earlier);
    if before.all(|group| group.name != newest.name) {
        return Ok(());
    }
    let mistake = Diagnostic::new(line.last(), format!("`{}` is declared twice", newest.name));
    Err(mistake.label("write another name"))
}

/// Reads `alice` or `mallory[20]`.
fn client(line: &mut Reader<'_>) -> Read<ClientGroup> {
    let token = line.word("a client's name")?;
    let (name, crowd) = match token.text.split_once('[') {
        Some((name, crowd)) => (name, Some(crowd)),
        None => (token.text, None),
    };
    named(name).map_err(|title| {
        let label = "write a name such as `alice`: letters, digits, `-` and `_`";
        Diagnostic::new(token.start..token.start + name.len(), title).label(label)
    })?;
    let members = crowd.map_or(Some(1), members).ok_or_else(|| {
        let title = "this is not the size of a crowd";
        let label = format!("write `{name}[NUMBER]` with a number from 1 to {MOST_CLIENTS}");
        Diagnostic::new(token.start + name.len()..token.span().end, title).label(label)
    })?;
    let name = name.to_owned();
    Ok(ClientGroup { name, members })
}

/// Whether this can be the name of a client; says why not.
pub(crate) fn named(name: &str) -> Result<(), String> {
    if words(KEYWORDS).contains(&name) {
        return Err(format!(
            "`{name}` means something else at the start of a line"
        ));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || ['-', '_'].contains(&c);
    match name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(fits) {
        true => Ok(()),
        false => Err(format!("{} cannot be the name of a client", quote(name))),
    }
}

fn members(crowd: &str) -> Option<u32> {
    let number = crowd.strip_suffix(']')?.parse().ok()?;
    (1..=MOST_CLIENTS).contains(&number).then_some(number)
}

/// A setting's value, in quotes where it needs them.
pub(super) fn value(value: &str) -> String {
    match !value.is_empty() && value.chars().all(is_word_char) {
        true => value.to_owned(),
        false => format!("\"{}\"", literal::escaped(value.as_bytes())),
    }
}

impl Statement {
    /// The line in its canonical form, without indentation.
    pub(super) fn text(&self, clients: &[ClientGroup]) -> String {
        match self {
            Self::Server(name) => format!("server: {}", value(name)),
            Self::Backend(Backend { name, server: None }) => format!("backend: {name}"),
            Self::Backend(Backend {
                name,
                server: Some(server),
            }) => format!("backend: {name} {}", value(server)),
            Self::Speaks(name) => format!("speaks: {}", value(name)),
            Self::Include(file) => format!("include: {}", value(file)),
            Self::Payload(Payload { name, data }) => format!("payload: {name} {data}"),
            Self::Tags(tags) => terms::tags(tags),
            Self::Within(time) => terms::within(*time),
            Self::Promise(text) => terms::promise(text),
            Self::Expected(expected) => expected.line(),
            Self::Setup => "setup".to_owned(),
            Self::Case(name) => format!("case {name}"),
            Self::Clients(clients) => {
                let clients: Vec<_> = clients.iter().map(ClientGroup::to_string).collect();
                format!("clients: {}", clients.join(" "))
            }
            Self::Waive(waiver) => format!("waive: {waiver}"),
            Self::Step(step) => step.text(clients),
            Self::Repeat(times) => format!("repeat {times}"),
            Self::End => "end".to_owned(),
        }
    }
}
