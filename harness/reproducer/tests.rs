use super::Reproducer;
use crate::drill::{DrillFile, usages};
use crate::launch::Target;
use crate::model::action::Action;
use crate::model::form::Python;
use crate::model::profile::{Profile, Transport};
use crate::model::scenario::{Line, Scenario, Step};
use std::process::Command;

/// A case for each step of the language, behind what it cannot happen without.
fn cases() -> Vec<Scenario> {
    let before = [
        "",
        "alice connect",
        "server stop",
        "server limit-open-files 1",
        "server fail accept with ECONNABORTED",
    ];
    let cases = usages().into_iter().filter_map(|row| {
        let parsed = before.iter().find_map(|before| {
            let example = &row.example;
            let text = format!("case c\n  clients: alice\n\n  {before}\n  {example}\n");
            DrillFile::parse("a.drill", &text).ok()
        });
        Some(parsed?.cases.remove(0).scenario)
    });
    cases.collect()
}

fn target(transport: Transport) -> Target {
    let profile = Profile {
        transport: Some(transport),
        ..Profile::unknown()
    };
    Target::command(vec!["./server".to_owned(), "{port}".to_owned()], profile)
}

#[test]
fn every_step_is_a_method_that_the_program_has() {
    let program = include_str!("program.py");
    let cases = cases();
    assert!(cases.len() > 40, "{}", cases.len());
    let steps = cases.iter().flat_map(|case| &case.lines);
    for line in steps {
        let methods = match line.step.form().python {
            Python::Nothing(why) => {
                assert!(!why.is_empty(), "{:?}", line.step);
                continue;
            }
            Python::ByTransport { stream, datagram } => vec![stream, datagram],
            Python::Method(method)
            | Python::Ways(method)
            | Python::Limited(method, _)
            | Python::NotOfListeningPath(method, _) => vec![method],
        };
        for method in methods {
            let defined = program.contains(&format!("    def {method}(self"));
            assert!(defined, "{:?}: {method}", line.step);
        }
        if !matches!(line.step, Step::Repeat { .. }) {
            let over = line.step.form().over;
            let mut all = Transport::ALL.iter();
            let transport = all.find(|transport| over.allows(**transport)).unwrap();
            let target = target(*transport);
            let case = Scenario {
                name: "one step".to_owned(),
                clients: cases[0].clients.clone(),
                waived: Vec::new(),
                lines: vec![line.clone()],
            };
            let written = match Reproducer::of(&[&case], &target) {
                Ok(written) => written.program,
                // What the program has no words for is refused, and said.
                Err(error) => {
                    assert!(error.to_string().contains("TLS is known"), "{error}");
                    continue;
                }
            };
            let method = line.step.form().python;
            let is_called = |name: &str| written.contains(&format!(".{name}("));
            let called = match method {
                Python::ByTransport { stream, datagram } => {
                    is_called(stream) || is_called(datagram)
                }
                Python::Method(method)
                | Python::Ways(method)
                | Python::Limited(method, _)
                | Python::NotOfListeningPath(method, _) => is_called(method),
                Python::Nothing(_) => true,
            };
            assert!(called, "{:?} in\n{written}", line.step);
        }
    }
}

#[test]
fn program_of_every_step_is_python() {
    if Command::new("python3").arg("--version").output().is_err() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let cases = cases();
    let speaks_tls = |case: &&Scenario| {
        let mut actions = case.lines.iter().filter_map(Line::action);
        actions.any(|action| matches!(action, Action::StartTls(_)))
    };
    // Of these it is said that they are not written.
    let is_refused = |case: &&Scenario| {
        let mut lines = case.lines.iter();
        lines.any(|line| {
            let is_of_server = matches!(line.step, Step::Server(_));
            is_of_server && matches!(line.step.form().python, Python::Nothing(_))
        })
    };
    let written = |case: &&Scenario| !speaks_tls(case) && !is_refused(case);
    let cases: Vec<_> = cases.iter().filter(written).collect();
    assert!(cases.len() > 40, "{}", cases.len());
    for transport in [Transport::Tcp, Transport::Udp] {
        let possible = |case: &&&Scenario| case.first_impossible_over(transport).is_none();
        let cases: Vec<_> = cases.iter().filter(possible).copied().collect();
        assert!(cases.len() > 30, "{}", cases.len());
        let written = Reproducer::of(&cases, &target(transport)).unwrap();
        let file = folder.path().join("program.py");
        std::fs::write(&file, &written.program).unwrap();
        let mut python = Command::new("python3");
        let compiled = python.args(["-m", "py_compile"]).arg(&file);
        let output = compiled.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }
}

#[test]
fn step_that_the_program_has_no_words_for_is_refused_with_the_reason() {
    for (step, why) in [
        (
            "server fail accept with ECONNABORTED",
            "a filter of system calls cannot be written in it; `sockdrill run` can",
        ),
        (
            "server shorten read to 1B",
            "a filter of system calls cannot be written in it; `sockdrill run` can",
        ),
    ] {
        let text = format!("case c\n  {step}\n");
        let case = DrillFile::parse("a.drill", &text).unwrap().cases.remove(0);
        let refused = Reproducer::of(&[&case.scenario], &target(Transport::Tcp)).err();
        let told = refused.unwrap().to_string();
        let said = format!("a reproducer cannot say `{step}`: {why}");
        assert_eq!(told, said);
    }
    let text = "case c\n  server expect backlog 5\n";
    let case = DrillFile::parse("a.drill", text).unwrap().cases.remove(0);
    let refused = Reproducer::of(&[&case.scenario], &target(Transport::Unix)).err();
    let told = refused.unwrap().to_string();
    assert!(told.contains("/proc does not show it"), "{told}");
}

/// What the judge takes for a crash, the program does too.
#[test]
fn program_knows_every_signal_of_a_crash() {
    let cases = cases();
    let written = Reproducer::of(&[&cases[0]], &target(Transport::Tcp)).unwrap();
    for name in ["SIGSEGV", "SIGPIPE", "SIGXCPU", "SIGXFSZ"] {
        assert!(
            written.program.contains(&format!("    signal.{name},")),
            "{name}"
        );
    }
}

/// What the server says unasked is passed over where it may stand, and nowhere else.
#[test]
fn program_passes_over_what_is_said_unasked() {
    if Command::new("python3").arg("--version").output().is_err() {
        return;
    }
    let text = r"unasked = ['PING :{any}\r\n', ': (still) \x27here\x27\n', '!{line}~\n']";
    let text = format!("transport = 'tcp'\n[promises]\n{text}\n");
    let profile = Profile::parse("p", &text).unwrap();
    let target = Target::command(vec!["./server".to_owned(), "{port}".to_owned()], profile);
    let case = "case c\n  clients: alice\n\n  alice connect\n  alice expect \"+PONG\"\n  alice expect silence\n  \
                alice expect fin, all bytes first\n";
    let case = DrillFile::parse("a.drill", case).unwrap().cases.remove(0);
    let written = Reproducer::of(&[&case.scenario], &target).unwrap().program;
    let asks = r#"
client = Client.__new__(Client)
client.datagrams, client.end, client.failure, client.send_failure = [], None, None, None
client.name, client.news, client.due = "alice", threading.Condition(), 0
def told(stream, *parts):
    client.stream = bytearray(stream)
    try:
        client.expect_bytes(*parts, within=0)
        return bytes(client.stream)
    except Broken as broken:
        return str(broken)
assert told(b"PING :1\r\n+PONG", b"+PONG") == b""
assert told(b": (still) 'here'\n+PONG.", b"+PONG") == b"."
assert told(b"!x~\n1\nPING :2\r\n2\n", b"1\n2\n") == b""
assert "waited" in told(b"PING :1\r\nPIN", b"+PONG")
assert "wrong from byte 0" in told(b"PING :1\r\nNOTICE", b"+PONG")
client.stream = bytearray(b"PING :1\r\nPI")
assert not client.has_more()
client.end = "fin"
assert client.has_more()
"#;
    holds(&written, asks);
}

/// Texts with holes, several ways and variables take of what comes what sockdrill takes of it.
#[test]
fn program_takes_the_first_way_that_fits() {
    if Command::new("python3").arg("--version").output().is_err() {
        return;
    }
    let case = "case c\n  clients: alice bob\n\n  alice connect\n  bob connect\n  bob never \"x\"\n  \
                alice expect \"sid={sid:[0-9A-F]+};\\n\" or \"no {line}\\n\" or \"{any}!\" or fin after 100ms\n  \
                alice expect \"sid={sid:[0-9A-F]+};\\n\"\n  bob send \"{sid}\"\n";
    let case = DrillFile::parse("a.drill", case).unwrap().cases.remove(0);
    let written = Reproducer::of(&[&case.scenario], &target(Transport::Tcp))
        .unwrap()
        .program;
    let asks = r##"
class Nobody:
    captured, outputs, unprintable = {}, [], []
    def settle(self):
        pass
Nobody.wrongs = []
def client(name, **facts):
    made = Client.__new__(Client)
    made.name, made.server, made.news, made.socket = name, Nobody(), threading.Condition(), socket.socket()
    made.forget()
    made.group, made.ears = name, []
    vars(made).update(facts)
    return made
alice, bob = client("alice"), client("bob")
def told(stream, *ways, **facts):
    vars(alice).update(facts)
    alice.stream = bytearray(stream)
    try:
        alice.expect_one_of(*ways, within=0.05)
        return bytes(alice.stream)
    except Broken as broken:
        return str(broken)
sid = Text(b"sid=", Hole(rb"[0-9A-F]+", "sid"), b";\n")
no = Text(b"no ", LINE, b"\n")
assert told(b"sid=17F;\nmore", sid, no) == b"more"
assert alice.told("sid") == bob.told("sid") == b"17F"
assert told(b"no way\n", sid, no) == b""
assert "got b'sorry'" in told(b"sorry", sid, no)
assert "waited" in told(b"sid=17", sid)
assert "waited" in told(b"sid=xx;\n", sid)
assert told(b"17\n", Text(b"", Hole(rb"[0-9]+"))) == b"\n"
assert told(b"", EndBy("fin"), sid, end="fin") == b""
assert "then the end" in told(b"sid=17", sid, EndBy("fin"), end="fin")
assert "b'rest'" in told(b"rest", EndBy("fin"), end="fin")
assert told(b"id 17F.", Text(b"id ", bob.told("sid"), b"."), end=None) == b""
crowd = [client("crowd"), client("crowd")]
for number, member in enumerate(crowd):
    member.stream = bytearray(b"sid=%d;\n" % number)
    member.expect_one_of(sid)
assert [member.told("sid") for member in crowd] == [b"0", b"1"]
assert alice.told("sid") == b"1"
bob.never(b"secret")
for news in (b"a sec", b"r", b"et"):
    assert not bob.server.wrongs
    bob.ears[0](news)
assert "must never come" in bob.server.wrongs[0]
late = NotBefore(alice, 1)
late.__enter__()
alice.came = alice.acted + 0.5
try:
    late.__exit__(None, None, None)
    assert False, "it came too soon"
except Broken as broken:
    assert "after 0.500 s, not after 1 s" in str(broken), broken
alice.came = alice.acted + 1.5
late.__exit__(None, None, None)
"##;
    holds(&written, asks);
    let case = "case c\n  clients: alice\n\n  alice connect\n  alice expect \"{:[0-9]+};{line}\" or \"{any}!\"\n";
    let case = DrillFile::parse("a.drill", case).unwrap().cases.remove(0);
    let written = Reproducer::of(&[&case.scenario], &target(Transport::Udp))
        .unwrap()
        .program;
    let asks = r#"
whole = Text(b"a", Hole(rb"[0-9]+", "n"), b"b", ANY)
assert whole.walk_whole(b"a12bcd") == {"n": b"12"}
assert whole.walk_whole(b"a12b") == {"n": b"12"}
assert whole.walk_whole(b"axbcd") is None
assert Text(b"a", Hole(rb"[0-9]+"), b";").walk_whole(b"a1;!") is None
assert Text(b"a").walk_whole(b"a") == {}
"#;
    holds(&written, asks);
}

/// A wait without a limit begins again with each byte that was wanted, and proves nothing; one whose time the case gives does not
/// begin again, and proves a broken promise.
#[test]
fn program_waits_while_what_is_wanted_comes() {
    if Command::new("python3").arg("--version").output().is_err() {
        return;
    }
    let case = "case c\n  clients: alice\n\n  alice connect\n  alice expect \"four\"\n";
    let case = DrillFile::parse("a.drill", case).unwrap().cases.remove(0);
    let written = Reproducer::of(&[&case.scenario], &target(Transport::Tcp))
        .unwrap()
        .program;
    let asks = r#"
class Slowly:
    """News of a byte each three seconds, by a clock of its own."""
    def __init__(self, coming):
        self.coming, self.now = list(coming), 0
    def __enter__(self):
        return self
    def __exit__(self, *why):
        pass
    def wait(self, _):
        self.now += 3
        client.stream += bytes(self.coming[:1])
        self.coming = self.coming[1:]
client = Client.__new__(Client)
client.datagrams, client.end, client.failure, client.send_failure = [], None, None, None
client.name, client.due = "alice", 0
def told(coming, **limit):
    client.news, client.stream = Slowly(coming), bytearray()
    client.due, time.monotonic = 0, lambda: client.news.now
    try:
        client.expect_bytes(b"four", **limit)
        return client.news.now
    except Broken as broken:
        return str(broken)
    except Unable as unable:
        assert not limit
        return str(unable)
assert told(b"four") == 12
assert "waited 7 s" in told(b"four", within=7)
assert "waited 60 s" in told(b"fou") and "proves nothing" in told(b"fou")
"#;
    holds(&written, asks);
}

/// The program ends with 1 for what the server has broken alone.
#[test]
fn program_that_fails_itself_says_so_and_accuses_nobody() {
    if Command::new("python3").arg("--version").output().is_err() {
        return;
    }
    let case =
        "case c\n  clients: mal[2]\n\n  mal connect\n  mal expect \"n={:[0-9]+}\\n\" or fin\n";
    let case = DrillFile::parse("a.drill", case).unwrap().cases.remove(0);
    let written = Reproducer::of(&[&case.scenario], &target(Transport::Tcp))
        .unwrap()
        .program;
    let asks = r#"
import contextlib, io
class Process:
    def wait(self, grace):
        raise subprocess.TimeoutExpired("", grace)
class Nobody(Server):
    def start(self):
        self.address, self.process = ("127.0.0.1", 1), Process()
    def sweep(self):
        pass
SERVER = Nobody
said = io.StringIO()
def status(step):
    global CASES
    def case(server):
        """c."""
        step(server)
    CASES = [case]
    said.seek(0)
    said.truncate()
    THREADS_FAILED.clear()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        return main()
def raising(error):
    def step(server):
        raise error
    return step
def in_a_thread(server):
    client = Client(server, "a")
    client.begin(lambda: 1 / 0)
    client.threads[0].join()
    raise Broken("it said nothing")
folders = []
def ended(server):
    folders.append(server.folder)
    os.kill(os.getpid(), signal.SIGTERM)
assert status(lambda server: None) == 0
assert status(raising(Broken("it is dead"))) == 1 and said.getvalue() == "c: it is dead.\n"
assert status(raising(TypeError("no such word"))) == 2
assert "this program failed: TypeError: no such word" in said.getvalue()
assert status(in_a_thread) == 2 and "ZeroDivisionError" in said.getvalue(), said.getvalue()
assert status(ended) == 143 and "ended by SIGTERM" in said.getvalue()
assert not os.path.exists(folders[0])
way = Text(b"n=", Hole(rb"\d+[0-9]", "x"), b";", LINE)
assert str(way) == r"b'n=' {x:\d+[0-9]} b';' {line}", str(way)
assert with_holes([b"a", b"b", b""], (1,)) == "b'a' {line} b'b' {any}"
server = Nobody(FIND)
assert Client(server, "mal", 0).name == "mal[0]" and Client(server, "a").name == "a"
assert "on TCP" in server.no_listener() and "--speaks" in server.no_listener()
shutil.rmtree(server.folder)
"#;
    let extra = include_str!("program.py");
    let with_holes = extra
        .split("\n\n\n")
        .find(|part| part.starts_with("def with_holes"));
    holds(&written, &format!("{}\n{asks}", with_holes.unwrap()));
}

/// What is for datagrams alone is refused by name for a server on TCP.
#[test]
fn step_that_does_not_happen_over_the_transport_is_refused() {
    let case = "case c\n  clients: a\n\n  a connect\n  a expect \"x\" or silence\n";
    let case = DrillFile::parse("a.drill", case).unwrap().cases.remove(0);
    let written = |transport| Reproducer::of(&[&case.scenario], &target(transport));
    let refused = written(Transport::Tcp).unwrap_err().to_string();
    assert!(
        refused.contains("`a expect \"x\" or silence` takes datagrams")
            && refused.contains("--speaks"),
        "{refused}"
    );
    assert!(written(Transport::Udp).is_ok());
}

/// Run what the program defines, and then `asks`, which says nothing where all is as it should be.
fn holds(program: &str, asks: &str) {
    let (before, _) = program.split_once("\nif __name__").unwrap();
    let mut python = Command::new("python3");
    let output = python.arg("-c").arg(format!("{before}\n{asks}")).output();
    let said = String::from_utf8_lossy(&output.unwrap().stderr).into_owned();
    assert!(said.is_empty(), "{said}\n{program}");
}
