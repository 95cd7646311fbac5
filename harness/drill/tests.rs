use super::payload::Payload;
use super::possible::first_impossible;
use super::reader::{Known, Reader};
use super::statement::{self, Statement};
use super::terms::{Expected, Terms};
use super::*;
use super::{steps, usages};
use crate::model::action::{Action, ConnectOptions, ReadRate};
use crate::model::data::{Data, Part, Segmentation, Source};
use crate::model::error::Error;
use crate::model::expectation::{End, Expectation, ServerExpectation};
use crate::model::form::Need;
use crate::model::invariant::Invariant;
use crate::model::profile::Transport;
use crate::model::scenario::{ClientGroup, Line, Scenario, Step, Waiver};
use crate::model::server_action::{Second, ServerAction, Signal, Streams};
use crate::model::system_call::{
    ErrorName, LEGAL_FAILURES, Of, RareAnswer, SystemCall, When, With,
};
use crate::model::template::{Hole, Template};
use crate::model::tls::{TlsOptions, TlsVersion};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

fn parse(text: &str) -> DrillFile {
    DrillFile::parse("a.drill", text).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

/// What is said of a file.
fn message(text: &str) -> String {
    message_over(None, text)
}

/// What is said of a file for a server that is reached over this.
fn message_over(over: Option<Transport>, text: &str) -> String {
    match DrillFile::parse_over("a.drill", text, over) {
        Ok(_) => panic!("this parses: {text}"),
        Err(error) => error.to_string(),
    }
}

const STREAM: Option<Transport> = Some(Transport::Tcp);

fn alice() -> [ClientGroup; 1] {
    [ClientGroup {
        name: "alice".into(),
        members: 1,
    }]
}

/// What this line says, wherever it may stand.
fn sentence(line: &str) -> Statement {
    // Nobody is there yet where clients are declared.
    let clients = match line.starts_with("clients:") {
        true => Vec::new(),
        false => alice().to_vec(),
    };
    let known = Known {
        clients: &clients,
        payloads: &[Payload {
            name: "hello".to_owned(),
            data: Data::literal("HELLO\r\n"),
        }],
        backends: &[],
        folder: Some(Path::new("fixtures/scenarios/client")),
    };
    match statement::read(&mut Reader::new(line, known)) {
        Ok(Some(sentence)) => sentence,
        other => panic!("{line}: {other:?}"),
    }
}

/// The step that this line is, wherever it may stand.
fn step(line: &str) -> Step {
    match sentence(line) {
        Statement::Step(step) => step,
        other => panic!("{line}: {other:?}"),
    }
}

fn action(line: &str) -> Action {
    match step(&format!("alice {line}")) {
        Step::Client { who: 0, action } => action,
        other => panic!("{other:?}"),
    }
}

fn server(line: &str) -> ServerAction {
    match step(&format!("server {line}")) {
        Step::Server(action) => action,
        other => panic!("{other:?}"),
    }
}

fn expected(line: &str) -> Expectation {
    match action(&format!("expect {line}")) {
        Action::Expect { what, .. } => what,
        other => panic!("{other:?}"),
    }
}

fn sent(line: &str) -> (Data, Segmentation, Option<Duration>) {
    match action(&format!("send {line}")) {
        Action::Send {
            data,
            segmentation,
            every,
            ..
        } => (data, segmentation, every),
        other => panic!("{other:?}"),
    }
}

const EXAMPLE: &str = "\
# A client that resets in the middle of its request must not disturb the next one.
server: uppercase

case half a message, then reset
  clients: alice mallory[20]
  waive: memory \"the # of clients is high\"

  mallory connect
  mallory send \"hel\"
  mallory reset                        # RST, not FIN
  repeat 2
    alice   connect
    alice   send \"hello\"
    alice   expect \"HELLO\" within 1s
  end
  alice   close
";

#[test]
fn example_is_read_as_it_is_written() {
    let file = parse(EXAMPLE);
    assert_eq!(file.server.as_deref(), Some("uppercase"));
    let [case] = file.cases.as_slice() else {
        panic!("one case");
    };
    assert_eq!(case.line, 4);
    let scenario = &case.scenario;
    assert_eq!(scenario.name, "half a message, then reset");
    let group = |name: &str, members| ClientGroup {
        name: name.into(),
        members,
    };
    assert_eq!(scenario.clients, [group("alice", 1), group("mallory", 20)]);
    assert_eq!(scenario.waived[0].invariant, Invariant::Memory);
    assert_eq!(scenario.waived[0].reason, "the # of clients is high");
    let numbers: Vec<_> = scenario.lines.iter().map(|line| line.number).collect();
    assert_eq!(numbers, [8, 9, 10, 11, 16]);
    let Step::Repeat { times: 2, lines } = &scenario.lines[3].step else {
        panic!("a block");
    };
    let within = Action::Expect {
        what: Expectation::Data(Data::literal("HELLO")),
        within: Some(Duration::from_secs(1)),
    };
    let expect = Step::Client {
        who: 0,
        action: within,
    };
    assert_eq!((lines[2].number, &lines[2].step), (14, &expect));
}

#[test]
fn name_of_a_case_goes_to_the_end_of_its_line() {
    let file = parse("case \"quotes, # and * are \"text   \n  server stop\n");
    assert_eq!(file.cases[0].scenario.name, "\"quotes, # and * are \"text");
}

#[test]
fn options_of_connect_come_in_any_order() {
    let options = ConnectOptions {
        without_waiting: true,
        receive_buffer: Some(4096),
        segment_size: Some(88),
        from: Some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2))),
        to: Some(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        same_port: true,
    };
    let line = "connect same-port to ::1 from 127.0.0.2 segment-size 88B receive-buffer 4KiB without-waiting";
    assert_eq!(action(line), Action::Connect(options));
    assert_eq!(
        action("connect"),
        Action::Connect(ConnectOptions::default())
    );
}

#[test]
fn data_is_written_out_or_generated() {
    assert_eq!(sent(r#""a\xff\r\n""#).0, Data::literal(*b"a\xff\r\n"));
    let pattern = |bytes, seed| Data::from(Source::Pattern { bytes, seed });
    assert_eq!(sent("pattern 1KiB").0, pattern(1024, 0));
    let loud = Data {
        capitals: true,
        ..pattern(1024, 7).times(3)
    };
    assert_eq!(sent("pattern 1KiB seed 7 in capitals * 3").0, loud);
    assert_eq!(sent("pattern 1KiB seed 7 *3 in capitals").0, loud);
    for (word, line) in [("text", false), ("line", true)] {
        let data = Data::from(Source::Text {
            bytes: 9,
            seed: 2,
            line,
        });
        assert_eq!(sent(&format!("{word} 9B seed 2")).0, data);
    }
}

#[test]
fn data_is_divided_and_paced() {
    assert_eq!(sent("\"hello\" cut at 1 3").1, Segmentation::At(vec![1, 3]));
    assert_eq!(sent("\"hello\" in pieces of 2B").1, Segmentation::Pieces(2));
    let (data, segmentation, every) = sent("\"ab\" in capitals * 2 in pieces of 1B every 10ms");
    assert!(data.capitals && data.times == 2 && segmentation == Segmentation::Pieces(1));
    assert_eq!(every, Some(Duration::from_millis(10)));
}

#[test]
fn text_with_a_hole_is_a_template() {
    let first = b"a".to_vec();
    let rest = vec![(Hole::Any, b"{".to_vec()), (Hole::Line, Vec::new())];
    assert_eq!(
        expected(r#""a{any}\{{line}" within 1s"#),
        Expectation::Template(Template { first, rest })
    );
}

#[test]
fn connection_may_end_in_several_ways() {
    let end = |kinds: &[End], all_bytes_first| Expectation::End {
        kinds: kinds.to_vec(),
        all_bytes_first,
    };
    assert_eq!(expected("fin"), end(&[End::Fin], false));
    let all = [End::Fin, End::Reset, End::Timeout, End::Unreachable];
    let line = "fin or reset or timeout or unreachable, all bytes first within 2s";
    assert_eq!(expected(line), end(&all, true));
}

#[test]
fn every_state_can_be_expected() {
    for (state, _) in steps::STATES {
        assert_eq!(expected(&state.to_string()), *state);
    }
}

#[test]
fn clients_act_without_arguments_too() {
    let actions = [
        ("half-close", Action::HalfClose),
        ("reset", Action::Reset),
        ("close", Action::Close),
        ("vanish", Action::Vanish),
        ("stall", Action::Stall),
        ("read", Action::Read(None)),
        ("send-urgent \"!\"", Action::SendUrgent(b'!')),
        (r#"send-descriptor "\xff""#, Action::SendDescriptor(0xff)),
    ];
    for (line, expected) in actions {
        assert_eq!(action(line), expected);
    }
    let rate = ReadRate {
        bytes: 64,
        every: Duration::from_millis(5),
    };
    assert_eq!(action("read 64B every 5ms"), Action::Read(Some(rate)));
    let small = ReadRate {
        bytes: 7,
        every: Duration::ZERO,
    };
    assert_eq!(action("read 7B"), Action::Read(Some(small)));
    assert_eq!(
        action("expect nothing"),
        Action::Expect {
            what: Expectation::Nothing,
            within: None
        }
    );
    assert_eq!(
        action("expect time-wait"),
        Action::Expect {
            what: Expectation::TimeWait,
            within: None
        }
    );
    assert_eq!(
        action("expect held-back within 20s"),
        Action::Expect {
            what: Expectation::HeldBack,
            within: Some(Duration::from_secs(20))
        }
    );
}

#[test]
fn server_is_acted_on_and_held_to_something() {
    let expect = |what, seconds: Option<u64>| ServerAction::Expect {
        what,
        within: seconds.map(Duration::from_secs),
    };
    let actions = [
        ("stop", ServerAction::Stop),
        ("continue", ServerAction::Continue),
        ("start", ServerAction::Start(Streams::Usual)),
        (
            "start stdout-closed",
            ServerAction::Start(Streams::StdoutClosed),
        ),
        ("start-second", ServerAction::StartSecond(Second::Ends)),
        (
            "start-second shares-port",
            ServerAction::StartSecond(Second::SharesPort),
        ),
        ("signal TERM", ServerAction::Signal(Signal::Term)),
        ("limit-open-files 3", ServerAction::LimitOpenFiles(3)),
        ("restore-open-files", ServerAction::RestoreOpenFiles),
        (
            "expect exit within 2s",
            expect(ServerExpectation::Exit(None), Some(2)),
        ),
        (
            "expect exit 0",
            expect(ServerExpectation::Exit(Some(0)), None),
        ),
        ("expect gone", expect(ServerExpectation::Gone, None)),
        (
            "expect accept-queue 5",
            expect(ServerExpectation::AcceptQueue(5), None),
        ),
        (
            "expect backlog 9",
            expect(ServerExpectation::Backlog(9), None),
        ),
        (
            "expect time-wait",
            expect(ServerExpectation::TimeWait, None),
        ),
        (
            "expect no-time-wait",
            expect(ServerExpectation::NoTimeWait, None),
        ),
    ];
    for (line, expected) in actions {
        assert_eq!(server(line), expected);
    }
    assert_eq!(step("pause 2s"), Step::Pause(Duration::from_secs(2)));
}

/// A line of a case with the client `alice`, the column of its mistake, and what the message says.
const WRONG_LINES: &[(&str, usize, &[&str])] = &[
    (
        "alice conect",
        9,
        &["did you mean `connect`?", "there are: connect, send,"],
    ),
    ("alice", 8, &["the line ends too early", "half-close"]),
    (
        "alcie connect",
        3,
        &["no client `alcie` here", "did you mean `alice`?"],
    ),
    (
        "bob connect",
        3,
        &["declare a client under `clients:`", "clients: alice; else"],
    ),
    ("pasue 1s", 3, &["did you mean `pause`?"]),
    ("clients bob", 3, &["did you mean `clients:`?"]),
    ("alice close now", 15, &["`now` has no place here"]),
    ("alice send hello", 14, &["a text stands in quotes"]),
    ("alice send", 13, &["write the data", "send DATA"]),
    (
        "alice send \"abc",
        14,
        &["not closed", "write `\"` at its end"],
    ),
    (r#"alice send "a\qc""#, 16, &[r"unknown escape \q"]),
    (r#"alice send "a\x""#, 16, &["two hexadecimal digits"]),
    (r#"alice send "é{any}""#, 16, &["no meaning here"]),
    (r#"alice send "a{""#, 16, &[r"write \{ for a brace"]),
    ("alice send \"a\" * 0", 20, &["a number from 1 to 1000000"]),
    ("alice send \"a\" * 1000001", 20, &["too many"]),
    ("alice send pattern 9000MiB", 22, &["write a size"]),
    ("alice send pattern 65MiB", 14, &["this is 65MiB of data"]),
    (
        "alice send pattern 1MiB * 65",
        14,
        &["at most 64MiB in one step"],
    ),
    ("alice expect pattern 65MiB", 16, &["this is 65MiB of data"]),
    ("alice send pattern 64", 22, &["with its unit"]),
    ("alice send pattern 1B sed 1", 25, &["did you mean `seed`?"]),
    ("alice send \"a\" seed 1", 18, &["`seed` has no place here"]),
    ("alice send pattern 1B seed x", 30, &["`x` is not a number"]),
    (
        "alice send \"a\" sed 1",
        18,
        &["`sed` has no place here", "`in pieces of`"],
    ),
    ("alice send \"a\" in peaces of 1B", 18, &["`in pieces of`"]),
    ("alice send \"a\" in pieces of 0B", 31, &["1B or more"]),
    (
        "alice send \"abc\" cut at 2 1",
        29,
        &["write the positions in order"],
    ),
    (
        "alice send \"abc\" cut at 1 in pieces of 1B",
        42,
        &["exclude each other"],
    ),
    ("alice send \"abc\" cut at", 26, &["a position"]),
    ("alice send \"a\" every 1", 24, &["with its unit"]),
    ("alice send-urgent \"ab\"", 21, &["these are 2 bytes"]),
    (
        "alice connect from here",
        22,
        &["`here` is not an IP address"],
    ),
    (
        "alice connect same-port same-port",
        27,
        &["stands here twice"],
    ),
    (
        "alice connect same-prot",
        17,
        &["did you mean `same-port`?"],
    ),
    ("alice read 1B fast", 17, &["`fast` has no place here"]),
    (
        "alice expect HELLO",
        16,
        &["a text stands in quotes", "silence"],
    ),
    (
        "alice expect",
        15,
        &["there are: \"TEXT\", pattern", "unreachable"],
    ),
    ("alice expect silense", 16, &["did you mean `silence`?"]),
    (
        "alice expect fin or rst",
        23,
        &["`rst` is not something to expect"],
    ),
    (
        "alice expect fin, all byte first",
        19,
        &["`, all bytes first`"],
    ),
    (
        "alice expect \"a{any}\" * 2",
        25,
        &["`*` has no place here"],
    ),
    ("alice expect \"a\" within soon", 27, &["with its unit"]),
    ("server", 9, &["there are: stop, continue"]),
    ("server stp", 10, &["did you mean `stop`?"]),
    ("server signal SIGTERM", 17, &["TERM, INT, HUP"]),
    ("server expect exit zero", 22, &["an exit status"]),
    ("server expect accept-queue -1", 30, &["a number from 0"]),
    ("repeat 0", 10, &["too few"]),
    ("repeat 1000001", 10, &["too many"]),
    ("end", 3, &["no block to end"]),
    ("server: echo", 3, &["above the first case"]),
    ("clients: alice", 12, &["declared twice"]),
    ("clients: bob bob", 16, &["declared twice"]),
    ("clients: alice bob", 12, &["declared twice"]),
    ("clients: bob, eve", 15, &["write a client's name"]),
    ("clients:", 11, &["write a client's name"]),
    ("clients: bob", 3, &["this is set twice", "in one line"]),
    ("clients: server", 12, &["means something else"]),
    ("clients: repeat[3]", 12, &["means something else"]),
    ("clients: 7up", 12, &["cannot be the name of a client"]),
    (
        "clients: mob[0]",
        15,
        &["`mob[NUMBER]` with a number from 1 to 64512"],
    ),
    ("clients: mob[64513]", 15, &["not the size of a crowd"]),
    ("pause 168.1h", 9, &["write at most a week"]),
    (
        "alice expect \"a\" within 9000h",
        27,
        &["write at most a week"],
    ),
    (
        "alice send pattern 2MiB in pieces of 1B",
        14,
        &["these are 2097152 pieces", "at most 1000000"],
    ),
    ("clients: mob[3", 15, &["not the size of a crowd"]),
    (
        "waive: memry \"x\"",
        10,
        &["did you mean `memory`?", "close-wait"],
    ),
    ("waive: memory", 16, &["write the reason in quotes"]),
    ("waive: memory \" \"", 17, &["write why"]),
    ("wave: memory \"x\"", 3, &["no setting `wave:`", "`waive:`"]),
    ("case", 7, &["write what happens in it"]),
    ("alice never \"{sid}\"", 16, &["{sid} has no value here"]),
    (
        "alice expect \"{a:x*}{b:y}\"",
        23,
        &["nothing tells where {a:x*} ends and {b:y} begins"],
    ),
    (
        "alice expect \"{any:x}\"",
        17,
        &["`any` cannot be the name of a variable"],
    ),
    (
        "alice expect \"{1x:y}\"",
        17,
        &["`1x` cannot be the name of a variable"],
    ),
    (
        "alice expect \"{id:[0-9}\"",
        17,
        &["no regular expression: unclosed character class"],
    ),
    ("alice expect \"{id:[0-9]\"", 17, &[r"write \{ for a brace"]),
    (
        "alice expect \"a\" or silense",
        23,
        &["did you mean `silence`?"],
    ),
    (
        "alice expect \"a\" or accepted",
        16,
        &["can only be expected alone"],
    ),
    (
        "alice expect \"a\" or fin, all bytes first",
        16,
        &["follows ways to end"],
    ),
    (
        "alice expect \"a\" or \"b\" or silence",
        16,
        &["`or silence` follows data"],
    ),
    (
        "alice expect silence after 1s",
        16,
        &["goes with what comes"],
    ),
    (
        "alice expect \"a\" after 2s within 1s",
        16,
        &["over before anything may come"],
    ),
    (
        "alice expect \"a\" within 1s or fin within 2s",
        44,
        &["the second of its kind"],
    ),
    (
        "alice never \"\"",
        15,
        &["this is nothing", "write what it is"],
    ),
    (
        "alice send hex \"6 8 zz\"",
        18,
        &["`z` is none of them", "two for each byte"],
    ),
    ("alice send hex \"123\"", 18, &["two for each byte"]),
    (
        "alice send base64 \"SGk\"",
        21,
        &["four letters for three bytes"],
    ),
    (
        "alice send file \"x.bin\"",
        19,
        &["no folder to look for this file in"],
    ),
    (
        "alice send hello",
        14,
        &["`hello` is not data", "a text stands in quotes"],
    ),
    ("server never outptu \"x\"", 16, &["did you mean `output`?"]),
    ("tags: 7", 9, &["`7` cannot be a tag"]),
    ("tags: slow slow", 14, &["stands here twice"]),
    ("within: 3", 11, &["with its unit"]),
    (
        "promise: backlgo = 4",
        12,
        &["`backlgo` is no promise", "did you mean `backlog`?"],
    ),
    (
        "promise: backlog = many",
        12,
        &["write it as in `backlog = "],
    ),
    ("expected: fial \"x\"", 13, &["did you mean `fail`?"]),
    ("expected: fail \"\"", 18, &["write why"]),
    ("setup", 3, &["stands above the first case"]),
    ("payload: hi \"x\"", 3, &["above the first case"]),
    ("payload: fin \"x\"", 12, &["means something else"]),
    ("payload: hi \"{x}\"", 15, &["nothing is captured here"]),
    ("include: other.drill", 3, &["above the first case"]),
];

#[test]
fn mistake_of_json_is_told_in_words_of_the_file() {
    let told = |text: &str| {
        let error = DrillFile::from_json("a.json", text).unwrap_err();
        error.to_string()
    };
    let kind = told(r#"{"cases": [{"name": "c", "expected": 7, "steps": []}]}"#);
    assert!(kind.contains(r#"{"fail": "REASON"}"#), "{kind}");
    for text in [
        "7",
        r#"{"cases": [7]}"#,
        r#"{"setup": 7}"#,
        r#"{"payloads": [7]}"#,
        r#"{"backends": [7]}"#,
        r#"{"cases": [{"name": "c", "waive": [7], "steps": []}]}"#,
    ] {
        let kind = told(text);
        assert!(!kind.contains("Raw") && !kind.contains("struct"), "{kind}");
    }
    let slip = told(r#"{"cases": [{"name": "c", "step": []}]}"#);
    assert!(slip.contains("did you mean `steps`?"), "{slip}");
}

#[test]
fn every_mistake_is_pointed_at_with_what_to_write() {
    for (line, column, fragments) in WRONG_LINES {
        let text = format!("case c\n  clients: alice\n  {line}\n");
        let message = message(&text);
        assert!(
            message.contains(&format!("a.drill:3:{column}\n")),
            "{line}: column {column} in\n{message}"
        );
        for fragment in *fragments {
            assert!(
                message.contains(fragment),
                "{line}: {fragment} in\n{message}"
            );
        }
    }
}

#[test]
fn lines_in_the_wrong_place_are_pointed_at() {
    let wrong = [
        ("", "1:1", "there is no case in this file"),
        ("# nothing\n", "1:1", "write `case WHAT HAPPENS`"),
        ("server stop\n", "1:1", "this belongs to a case"),
        ("clients: a\n", "1:1", "this belongs to a case"),
        ("repeat 2\n", "1:1", "this belongs to a case"),
        ("case a\n\ncase b\n server stop\n", "1:1", "no steps"),
        ("case a\n server stop\ncase b\n", "3:1", "no steps"),
        ("server: a\nserver: b\n", "2:1", "set twice"),
        ("server: a b\n", "1:11", "in quotes"),
        ("case a\n repeat 2\n  server stop\n", "2:2", "not closed"),
        ("case a\n repeat 2\n  server stop\ncase b", "2:2", "`end`"),
        ("case a\n repeat 2\n end\n", "3:2", "no steps"),
        ("case a\n server stop\n clients: b", "3:2", "after a step"),
        ("case a\n repeat 2\n clients: b", "3:2", "after a step"),
        ("case a\n repeat 2000\n repeat 2000", "3:2", "a million"),
    ];
    for (text, place, fragment) in wrong {
        let message = message(text);
        assert!(
            message.contains(&format!("a.drill:{place}\n")) && message.contains(fragment),
            "{text}\n{place} {fragment} in\n{message}"
        );
    }
    let deep = format!("case a\n{}", "repeat 1\n".repeat(1000));
    assert!(message(&deep).contains("a.drill:18:1"));
}

/// Steps that cannot happen: the lines of the case, the line of the file at which the caret stands, what it says.
const IMPOSSIBLE: &[(&str, usize, &str)] = &[
    ("alice send \"a\"", 4, "alice has no connection yet"),
    ("alice half-close", 4, "write `alice connect` above"),
    ("alice expect silence", 4, "no connection yet"),
    ("alice expect refused", 4, "no connection yet"),
    ("alice require accepted", 4, "no connection yet"),
    ("alice close", 4, "no connection yet"),
    ("alice connect same-port", 4, "no connection yet"),
    ("alice expect time-wait", 4, "no connection yet"),
    (
        "alice connect\nalice close\nalice send \"a\"",
        6,
        "no connection any more",
    ),
    (
        "alice connect\nalice reset\nalice send-urgent \"!\"",
        6,
        "any more",
    ),
    (
        "alice connect\nalice vanish\nalice half-close",
        6,
        "any more",
    ),
    (
        "alice connect\nalice close\nalice expect fin",
        6,
        "any more",
    ),
    ("alice connect\nalice close\nalice close", 6, "any more"),
    (
        "alice connect\nalice half-close\nalice send \"a\"",
        6,
        "ended its sending side",
    ),
    (
        "alice connect\nalice half-close\nalice half-close",
        6,
        "ended its sending side",
    ),
    (
        "alice connect without-waiting\nalice expect refused\nalice send \"a\"",
        6,
        "was refused",
    ),
    (
        "alice connect\nmob send \"a\"",
        5,
        "mob has no connection yet",
    ),
    (
        "mob connect\nmob close\nmob send \"a\"",
        6,
        "mob has no connection any more",
    ),
    (
        "alice connect\nrepeat 2\nalice send \"a\"\nalice close\nend",
        6,
        "any more",
    ),
    (
        "alice connect\nrepeat 1\nalice close\nend\nalice send \"a\"",
        8,
        "any more",
    ),
    (
        "alice connect\nrepeat 2\nrepeat 3\nsettle\nend\nalice close\nend",
        9,
        "any more",
    ),
    (
        "alice stall\nalice connect\nalice expect \"a\"",
        6,
        "alice does not read",
    ),
    (
        "alice connect\nalice stall\nalice send \"a\"\nalice expect fin",
        7,
        "write `alice read` above",
    ),
    (
        "server expect exit\nalice connect",
        5,
        "the server has ended by then",
    ),
    (
        "alice connect\nserver stop\nalice send \"a\"\nalice expect \"a\"",
        7,
        "write `server continue` above",
    ),
    (
        "server expect exit\nserver expect rest",
        5,
        "the server has ended by then",
    ),
    ("server continue", 4, "the server is not stopped"),
    ("server stop\nserver stop", 5, "stopped already"),
    (
        "server stop\nserver start\nserver continue",
        6,
        "not stopped",
    ),
    ("server restore-open-files", 4, "open files are not limited"),
    (
        "server limit-open-files 1\nserver restore-open-files\nserver restore-open-files",
        6,
        "open files are not limited",
    ),
    (
        "server limit-open-files 1\nserver start\nserver restore-open-files",
        6,
        "not limited",
    ),
    ("server require out-of-files", 4, "not limited"),
    (
        "server expect exit\nserver signal TERM",
        5,
        "the server has ended by then",
    ),
    (
        "server require gone\nserver stop",
        5,
        "write `server start` above",
    ),
    (
        "server start-over-file\nserver limit-open-files 1",
        5,
        "has ended by then",
    ),
    (
        "server signal KILL\nalice connect",
        5,
        "the server has ended by then",
    ),
    (
        "server signal KILL\nserver signal-again KILL",
        5,
        "the server has ended by then",
    ),
    (
        "server expect exit\nserver expect accept-queue 0",
        5,
        "the server has ended by then",
    ),
    (
        "alice connect\nserver signal-again TERM",
        5,
        "no signal was sent to the server before",
    ),
    (
        "server signal HUP\nserver start\nserver signal-again HUP",
        6,
        "write `server signal TERM` above",
    ),
    (
        "server stop\nserver signal TERM\nserver expect exit",
        6,
        "write `server continue` above",
    ),
    (
        "server stop\nserver require gone",
        5,
        "ends by nothing but KILL",
    ),
    (
        "server signal KILL\nserver expect exit 9",
        5,
        "has no status",
    ),
    (
        "alice connect\nalice reset\nalice expect time-wait",
        6,
        "alice has sent no FIN",
    ),
    (
        "mob connect\nmob vanish\nmob require time-wait",
        6,
        "write `mob close`",
    ),
    (
        "alice connect\nalice send \"zy\" cut at 5",
        5,
        "not cut there",
    ),
    (
        "alice connect\nalice send \"zyx\" cut at 1 3",
        5,
        "positions inside of it",
    ),
];

/// The same of servers that are reached over a stream: what follows on a connection that has ended or whose server was, and at which
/// line of it the caret stands.
const OF_AN_ENDED_SERVER: &[(&str, usize)] = &[
    ("server start\nalice send \"a\"\nalice expect \"a\"", 2),
    (
        "server signal INT\nserver require exit\nserver start\nalice send \"a\"",
        4,
    ),
    ("server start\nalice expect silence", 2),
    ("server start\nalice expect open", 2),
    ("server start\nalice expect nothing", 2),
    ("server start\nalice expect taken", 2),
    ("server start\nalice require accepted", 2),
    ("server start\nalice half-close", 2),
    ("server start\nalice vanish", 2),
    ("server start\nserver stop\nalice send-urgent \"!\"", 3),
    ("server start-over-file\nalice send \"a\"", 2),
    ("server signal KILL\nalice send \"a\"", 2),
    (
        "server signal TERM\nserver expect gone\nalice send \"a\"",
        3,
    ),
    ("alice half-close\nserver start\nalice expect open", 3),
    ("alice expect fin\nalice expect silence", 2),
    (
        "alice half-close\nalice require reset or fin\nalice expect open",
        3,
    ),
    ("repeat 2\nalice send \"a\"\nserver start\nend", 2),
];

#[test]
fn steps_that_cannot_happen_are_pointed_at() {
    for (lines, number, fragment) in IMPOSSIBLE {
        let text = format!("case c\n  clients: alice mob[3]\n\n{lines}\n");
        let message = message(&text);
        assert!(
            message.contains(&format!("a.drill:{number}:1\n")) && message.contains(fragment),
            "{text}\n{number} {fragment} in\n{message}"
        );
    }
    for (lines, number) in OF_AN_ENDED_SERVER {
        let text = format!("case c\n  clients: alice\n\nalice connect\n{lines}\n");
        let message = message_over(STREAM, &text);
        let (place, title) = (format!("a.drill:{}:1\n", number + 4), "alice's connection");
        assert!(
            message.contains(&place) && message.contains(title),
            "{text}\n{message}"
        );
        // A socket for datagrams ends with no server, and of others nothing is known yet.
        let datagrams = DrillFile::parse_over("a.drill", &text, Some(Transport::Udp));
        assert_eq!(datagrams.unwrap(), parse(&text));
    }
    let text =
        "case c\n  clients: a\n\na connect\nserver signal KILL\na send \"a\"\na expect \"a\"\n";
    let error = DrillFile::parse_over("a.drill", text, Some(Transport::Udp)).unwrap_err();
    assert!(
        error.to_string().contains("had ended when a asked"),
        "{error}"
    );
    let json = r#"{"cases": [{"name": "c", "clients": ["a"], "steps": ["a connect", "a close", "a send \"a\""]}]}"#;
    let error = DrillFile::from_json("a.json", json).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("a.json:1:79"), "{message}");
}

#[test]
fn every_scenario_file_of_the_repository_can_happen() {
    let mut folders = vec![
        Path::new("fixtures/scenarios").to_owned(),
        Path::new("fixtures/regressions").to_owned(),
    ];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "drill") {
                DrillFile::read(&path).unwrap_or_else(|error| panic!("{error}"));
                files += 1;
            }
        }
    }
    assert!(files > 20, "{files}");
}

#[test]
fn steps_that_can_happen_may_stand_where_they_do() {
    for lines in [
        "alice read 1KiB\nalice stall\nalice connect",
        "alice connect\nalice half-close\nalice expect \"a\"\nalice expect fin\nalice close",
        "alice connect\nalice expect fin\nalice send \"a\"\nalice reset",
        "alice connect\nalice half-close\nalice reset\nalice connect same-port\nalice send \"a\"",
        "alice connect\nalice close\nalice expect time-wait",
        "alice connect without-waiting\nalice expect refused\nalice close",
        "alice connect without-waiting\nalice expect pending\nalice expect connected\nalice send \"a\"",
        "repeat 9\nalice connect\nalice send \"a\"\nalice close\nend",
        "alice connect\nrepeat 9\nalice send \"a\"\nalice close\nalice connect\nend",
        "repeat 9\nserver stop\nserver continue\nend",
        "server stop\nserver signal KILL\nserver expect exit\nserver expect gone\nserver start\nserver stop",
        "server limit-open-files 1\nserver expect out-of-files\nserver restore-open-files",
        "server signal TERM\nserver signal-again TERM\nserver expect exit\nserver start-second",
        "server expect exit\nalice connect without-waiting\nalice expect refused",
        "server signal KILL\nalice connect without-waiting\nalice expect refused",
        "server signal USR1\nserver signal-again USR1",
        // What was sent before the end can still be read.
        "alice connect\nalice send \"a\"\nserver start\nalice expect \"a\"\nalice expect fin\nalice close",
        "alice connect\nserver signal KILL\nalice expect reset or fin\nserver start\nalice connect\nalice send \"a\"",
        "alice connect\nserver start\nalice reset",
        "alice connect\nalice expect fin\nalice connect\nalice expect silence",
        "alice connect\nalice stall\nserver start\nalice read\nalice expect fin",
        // What the first process leaves behind may go on with its clients.
        "alice connect\nserver signal TERM\nserver expect exit\nalice send \"a\"\nalice expect \"a\"",
    ] {
        let text = format!("case c\n  clients: alice\n\n{lines}\n");
        DrillFile::parse_over("a.drill", &text, STREAM)
            .unwrap_or_else(|error| panic!("{text}\n{error}"));
    }
}

#[test]
fn all_mistakes_are_told_and_none_that_follows_from_another() {
    let text = "servr: echo\ncase a\n  clients: alice\n  bob stop\n  bob stop\n  eve stop\n  alice connect\n  alice sned\n\
                case b\n  clients: al!ce carl\n  carl connect\n  repeat 0\n    carl close\n  end\ncase c\n  settle\n  repeat 2\n    settle\n";
    let Err(Error::Scenario(mistakes)) = DrillFile::parse("a.drill", text) else {
        panic!("these are mistakes");
    };
    let told = mistakes
        .all()
        .iter()
        .map(|mistake| (mistake.line, mistake.column));
    let told: Vec<_> = told.collect();
    assert_eq!(
        told,
        [(1, 1), (4, 3), (6, 3), (8, 9), (10, 12), (12, 10), (17, 3)],
        "{mistakes}"
    );
    assert!(mistakes.to_string().ends_with("\n\n7 mistakes"));
}

#[test]
fn line_that_begins_something_begins_it_though_the_rest_of_it_is_wrong() {
    for text in [
        "case\n  clients: alice\n  alice connect\n",
        "setup x\n  clients: alice\n  alice connect\n\ncase a\n  alice close\n",
        "case a\n  clients: alice[x]\n  alice connect\n",
        "case a\n  repeat x\n    settle\n  end\n",
    ] {
        let told = message(text);
        assert_eq!(told.matches(" --> ").count(), 1, "{told}");
    }
}

#[test]
fn file_of_mistakes_is_read_no_further_than_anybody_mends_it() {
    let text = format!("case a\n  clients: alice\n{}", "  alice sned\n".repeat(2));
    let cases = (0..1_000).map(|_| text.as_str()).collect::<String>();
    let message = message(&cases);
    assert!(message.ends_with("what stands behind so many mistakes was not read"));
    assert_eq!(message.matches("alice sned").count(), 100);
}

#[test]
fn formatting_keeps_comments_and_single_blank_lines() {
    let written = "


# About the file.
server:   uppercase #the default
# About the case.
case  half a message,  then reset
    clients:  alice   mallory[1]
  alice connect
      # Why it waits.


  pause 1000ms
    repeat 2
alice send   \"a\"*3
 # In the block.
    end
  # The last of it.
# About the next one.
case another


   # Below its name.
  server stop
";
    let formatted = "\
# About the file.
server: uppercase  #the default

# About the case.
case half a message,  then reset
  clients: alice mallory

  alice connect
  # Why it waits.

  pause 1s
  repeat 2
    alice send \"a\" * 3
    # In the block.
  end
  # The last of it.

# About the next one.
case another

  # Below its name.
  server stop
";
    assert_eq!(format("a.drill", written).unwrap(), formatted);
    assert_eq!(format("a.drill", formatted).unwrap(), formatted);
}

#[test]
fn json_form_says_the_same() {
    let file = parse(EXAMPLE);
    let json = file.to_json().unwrap();
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let expected = serde_json::json!({
        "server": "uppercase",
        "cases": [{
            "name": "half a message, then reset",
            "clients": ["alice", "mallory[20]"],
            "waive": [{ "invariant": "memory", "reason": "the # of clients is high" }],
            "steps": [
                "mallory connect",
                "mallory send \"hel\"",
                "mallory reset",
                { "repeat": 2, "steps": [
                    "alice connect",
                    "alice send \"hello\"",
                    "alice expect \"HELLO\" within 1s",
                ]},
                "alice close",
            ],
        }],
    });
    assert_eq!(value, expected);
    let back = DrillFile::from_json("a.json", &json).unwrap();
    assert_eq!(back.unnumbered(), file.unnumbered());
}

#[test]
fn mistakes_in_json_are_pointed_at() {
    let case = |steps: &str| {
        format!(r#"{{"cases": [{{"name": "c", "clients": ["a"], "steps": [{steps}]}}]}}"#)
    };
    let wrong = [
        ("{\n  \"cases\": [}".to_owned(), "a.json:2:13"),
        ("{}".to_owned(), "there is no case"),
        (r#"{"cases": []}"#.to_owned(), "there is no case"),
        (case(""), "a.json:1:21"),
        (case("7"), "a step is a string such as"),
        (case(r#""a conect""#), "a.json:1:57"),
        (case(""), "it is cases[0].name"),
        (case(r#""end""#), "this is not a step"),
        (case(r#""""#), "this is not a step"),
        (
            case(r#"{"repeat": 2, "steps": ["a close", "b close"]}"#),
            "a.json:1:90",
        ),
        (
            r#"{"cases": [{"name": "a\nb", "steps": ["server stop"]}]}"#.to_owned(),
            "the name of a case is one line",
        ),
    ];
    for (text, fragment) in wrong {
        let error = DrillFile::from_json("a.json", &text).unwrap_err();
        assert!(
            error.to_string().contains(fragment),
            "{text}\n{fragment} in\n{error}"
        );
    }
}

#[test]
fn usages_name_every_word_once() {
    let mut names: Vec<_> = usages().into_iter().map(|row| row.usage).collect();
    assert!(names.contains(&"NAME half-close".to_owned()));
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn every_line_of_the_language_is_described_and_its_example_prints_itself() {
    for row in usages() {
        assert!(row.about.ends_with('.'), "{}: {}", row.usage, row.about);
        let said = sentence(&row.example);
        assert_eq!(said.text(&alice()), row.example, "{}", row.usage);
        // The variable parts of a usage are in capitals: the first word that is not is in the example.
        let mut words = row.usage.split([' ', ':']).filter(|word| {
            let plain = |c: char| c.is_ascii_lowercase() || c == '-';
            !word.is_empty() && word.chars().all(plain)
        });
        let word = words.next().unwrap_or_default();
        assert!(row.example.contains(word), "{}: {}", row.usage, row.example);
    }
}

/// The steps that the examples of the language are.
fn examples() -> Vec<Step> {
    let examples = usages().into_iter().map(|row| sentence(&row.example));
    let steps = examples.filter_map(|sentence| match sentence {
        // A text that stands in no file knows of no others.
        Statement::Step(step)
            if [" file ", " hello "]
                .iter()
                .any(|of| step.text(&alice()).contains(of)) =>
        {
            None
        }
        Statement::Step(step) => Some(step),
        _ => None,
    });
    steps.collect()
}

#[test]
fn steps_of_backends_are_read_printed_and_written_as_json() {
    let text = "server: proxy.toml\nbackend: origin \"my origin.toml\"\nbackend: store\n\ncase c\n  clients: alice\n\n  \
                origin signal KILL\n  origin expect exit within 2s\n  origin start\n  store stop\n  store continue\n  \
                store require output \"ready\"\n  alice connect\n";
    let file = parse(text);
    assert_eq!(file.to_string(), text);
    assert_eq!(format("a.drill", text).unwrap(), text);
    let json = file.to_json().unwrap();
    assert_eq!(
        DrillFile::from_json("a.json", &json).unwrap(),
        file.unnumbered()
    );
}

#[test]
fn examples_have_every_row_of_the_tables_that_is_a_step() {
    let examples = examples();
    let has = |word: &str, of_server: bool| {
        examples.iter().any(|step| {
            let is_of_server = matches!(step, Step::Server(_));
            is_of_server == of_server && step.form().word == word
        })
    };
    for row in steps::ACTIONS {
        assert!(has(row.word(), false), "{}", row.usage);
    }
    for row in steps::SERVER_ACTIONS {
        assert!(has(row.word(), true), "{}", row.usage);
    }
}

#[test]
fn every_example_of_a_step_becomes_json_and_back() {
    for step in examples() {
        let scenario = Scenario {
            name: "c".to_owned(),
            clients: alice().to_vec(),
            waived: Vec::new(),
            lines: begun(vec![step.into()]),
        };
        let speaks_tls = scenario.to_string().contains("start-tls");
        if speaks_tls && cfg!(not(feature = "tls")) {
            continue;
        }
        assert_eq!(first_impossible(&scenario, STREAM), None, "{scenario}");
        let file = DrillFile::of(scenario);
        let json = file.to_json().unwrap();
        assert_eq!(DrillFile::from_json("a.json", &json).unwrap(), file);
        assert_eq!(parse(&file.to_string()).unnumbered(), file);
    }
}

fn durations() -> impl Strategy<Value = Duration> {
    (0u64..10_000_000_000).prop_map(Duration::from_micros)
}

/// Boxed, as is whatever has many ways here: a tree of them all lies on the stack, which a test has 2 MiB of.
fn sources() -> BoxedStrategy<Source> {
    prop_oneof![
        vec(any::<u8>(), 0..12).prop_map(Source::Literal),
        (0usize..9_999, any::<u64>()).prop_map(|(bytes, seed)| Source::Pattern { bytes, seed }),
        (0usize..9_999, any::<u64>(), any::<bool>()).prop_map(|(bytes, seed, line)| Source::Text {
            bytes,
            seed,
            line
        }),
        vec(any::<u8>(), 0..9).prop_map(|bytes| {
            match sentence(&format!("alice send hex \"{}\"", digits(&bytes))) {
                Statement::Step(Step::Client {
                    action: Action::Send { data, .. },
                    ..
                }) => data.source,
                other => panic!("{other:?}"),
            }
        }),
        vec(
            prop_oneof![
                vec(any::<u8>(), 1..5).prop_map(Part::Bytes),
                Just(Part::Variable("sid".into()))
            ],
            1..4
        )
        .prop_map(of_parts),
    ]
    .boxed()
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Parts as they are read: bytes that follow each other are one.
fn of_parts(parts: Vec<Part>) -> Source {
    let mut joined: Vec<Part> = Vec::new();
    for part in parts {
        match (joined.last_mut(), part) {
            (Some(Part::Bytes(last)), Part::Bytes(more)) => last.extend(more),
            (_, part) => joined.push(part),
        }
    }
    match joined.as_slice() {
        [Part::Bytes(bytes)] => Source::Literal(bytes.clone()),
        _ => Source::Parts(joined),
    }
}

fn datas() -> impl Strategy<Value = Data> {
    (sources(), 1u32..999, any::<bool>()).prop_map(|(source, times, capitals)| Data {
        source,
        times,
        capitals,
    })
}

fn cuts() -> impl Strategy<Value = Segmentation> {
    let positions = vec(0usize..99, 1..5).prop_map(|mut at| {
        at.sort_unstable();
        Segmentation::At(at)
    });
    prop_oneof![
        Just(Segmentation::Whole),
        positions,
        (16usize..9_999).prop_map(Segmentation::Pieces)
    ]
}

fn dials() -> impl Strategy<Value = ConnectOptions> {
    let sizes = || option::of(0usize..9_999_999);
    let addresses = || option::of(any::<IpAddr>());
    let flags = (any::<bool>(), any::<bool>());
    (flags, sizes(), sizes(), addresses(), addresses()).prop_map(
        |((without_waiting, same_port), receive_buffer, segment_size, from, to)| ConnectOptions {
            without_waiting,
            receive_buffer,
            segment_size,
            from,
            to,
            same_port,
        },
    )
}

fn handshakes() -> impl Strategy<Value = TlsOptions> {
    let options = (
        option::of("[a-z]{1,9}(\\.[a-z]{1,9})?"),
        vec("\\PC{1,12}", 0..3),
    );
    let first = option::of(1usize..9_999);
    let times = option::of((0u64..9_999).prop_map(Duration::from_millis));
    let versions = [None, Some(TlsVersion::Two), Some(TlsVersion::Three)];
    let sent = (cuts(), times, first);
    let version = prop::sample::select(versions.to_vec());
    (options, version, sent).prop_map(
        |((name, protocols), version, (segmentation, every, first))| TlsOptions {
            name,
            protocols,
            version,
            identity: None,
            segmentation,
            every,
            first,
        },
    )
}

fn holes() -> impl Strategy<Value = (Hole, Vec<u8>)> {
    let holes = ["{any}", "{line}", "{sid:[0-9a-f]{2}}", "{:a|b+}", "{sid}"].map(|text| {
        let mut template = Template::parse_with_variables(text).unwrap();
        template.rest.remove(0).0
    });
    (prop::sample::select(holes.to_vec()), vec(any::<u8>(), 1..6))
}

fn templates() -> impl Strategy<Value = Expectation> {
    (vec(any::<u8>(), 0..6), vec(holes(), 1..4))
        .prop_map(|(first, rest)| Expectation::Template(Template { first, rest }))
}

/// Data that is expected; a text with variables is one with holes.
fn expected_datas() -> impl Strategy<Value = Data> {
    datas().prop_filter("a text with variables is a template", |data| {
        data.variables().is_empty()
    })
}

fn ends() -> impl Strategy<Value = Vec<End>> {
    let ends: Vec<_> = End::ALL.iter().map(|(end, _)| *end).collect();
    vec(prop::sample::select(ends), 1..4)
}

fn ways() -> BoxedStrategy<Expectation> {
    let way = prop_oneof![expected_datas().prop_map(Expectation::Data), templates()];
    let end = ends().prop_map(|kinds| Expectation::End {
        kinds,
        all_bytes_first: false,
    });
    (vec(way, 2..4), option::of(end))
        .prop_map(|(ways, end)| Expectation::OneOf(ways.into_iter().chain(end).collect()))
        .boxed()
}

fn expectations() -> BoxedStrategy<Expectation> {
    let states = steps::STATES.iter().map(|(state, _)| state.clone());
    let states: Vec<_> = states.collect();
    let ends = || {
        (ends(), any::<bool>()).prop_map(|(kinds, all_bytes_first)| Expectation::End {
            kinds,
            all_bytes_first,
        })
    };
    let later = prop_oneof![
        ways(),
        templates(),
        ends(),
        expected_datas().prop_map(Expectation::Data)
    ];
    prop_oneof![
        expected_datas().prop_map(Expectation::Data),
        expected_datas().prop_map(Expectation::DataOrSilence),
        templates(),
        ways(),
        prop::sample::select(states),
        ends(),
        (1u64..1_000, later).prop_map(|(after, what)| Expectation::NotBefore {
            after: Duration::from_micros(after),
            what: Box::new(what),
        }),
    ]
    .boxed()
}

fn actions() -> BoxedStrategy<Action> {
    let plain = vec![
        Action::HalfClose,
        Action::Reset,
        Action::Close,
        Action::Vanish,
        Action::Stall,
        Action::Read(None),
    ];
    prop_oneof![
        dials().prop_map(Action::Connect),
        (
            datas(),
            cuts(),
            option::of(durations()),
            any::<(bool, bool)>()
        )
            .prop_map(|(data, segmentation, every, (background, as_records))| {
                Action::Send {
                    data,
                    as_records: as_records && segmentation != Segmentation::Whole,
                    segmentation,
                    every,
                    background,
                }
            }),
        handshakes().prop_map(Action::StartTls),
        any::<u8>().prop_map(Action::SendUrgent),
        any::<u8>().prop_map(Action::SendDescriptor),
        datas().prop_map(Action::SendWithoutSource),
        prop::sample::select(plain),
        (1usize..9_999, durations())
            .prop_map(|(bytes, every)| Action::Read(Some(ReadRate { bytes, every }))),
        (expectations(), option::of(durations()))
            .prop_map(|(what, within)| Action::Expect { what, within }),
        (expectations(), option::of(durations()))
            .prop_map(|(what, within)| Action::Require { what, within }),
    ]
    .boxed()
}

fn server_expectations() -> BoxedStrategy<ServerExpectation> {
    prop_oneof![
        option::of(any::<i32>()).prop_map(ServerExpectation::Exit),
        vec(any::<u8>(), 1..9).prop_map(ServerExpectation::Output),
        any::<u32>().prop_map(ServerExpectation::AcceptQueue),
        any::<u32>().prop_map(ServerExpectation::Backlog),
        prop::sample::select(vec![
            ServerExpectation::Gone,
            ServerExpectation::TimeWait,
            ServerExpectation::NoTimeWait,
            ServerExpectation::Rest,
            ServerExpectation::OutOfFiles,
            ServerExpectation::Answered,
        ]),
        (0u32..1_000_000).prop_map(ServerExpectation::Descriptor),
    ]
    .boxed()
}

/// The answer of an aborted connection to the next accept.
fn aborted() -> RareAnswer {
    RareAnswer {
        call: SystemCall::Accept,
        of: Of::Listener,
        with: With::Error(ErrorName::ECONNABORTED),
        when: When::From { first: 1, times: 1 },
        if_any: false,
    }
}

/// Every error of every row, and some lengths, for every while.
fn rare_answers() -> BoxedStrategy<RareAnswer> {
    let failures = LEGAL_FAILURES.iter().flat_map(|row| {
        let errors = row.errors.iter();
        errors.map(|error| (row.call, row.of, With::Error(*error)))
    });
    let shortened =
        |call| (1usize..9_999).prop_map(move |bytes| (call, Of::Connections, With::AtMost(bytes)));
    let answers = prop_oneof![
        prop::sample::select(failures.collect::<Vec<_>>()),
        shortened(SystemCall::Read),
        shortened(SystemCall::Write),
    ];
    let counts = || 1u32..=10_000;
    let when = prop_oneof![
        (counts(), counts()).prop_map(|(first, times)| When::From { first, times }),
        durations().prop_map(When::For),
        Just(When::Always),
    ];
    (answers, when, any::<bool>())
        .prop_map(|((call, of, with), when, if_any)| RareAnswer {
            call,
            of,
            with,
            when,
            if_any,
        })
        .boxed()
}

fn server_actions() -> BoxedStrategy<ServerAction> {
    let signals: Vec<_> = Signal::ALL.iter().map(|(signal, _)| *signal).collect();
    let plain = vec![
        ServerAction::Stop,
        ServerAction::Continue,
        ServerAction::Start(Streams::Usual),
        ServerAction::Start(Streams::StdinClosed),
        ServerAction::Start(Streams::StdoutClosed),
        ServerAction::Start(Streams::NoStdin),
        ServerAction::Start(Streams::NoneAtAll),
        ServerAction::StartSecond(Second::Ends),
        ServerAction::StartSecond(Second::SharesPort),
        ServerAction::StartSecond(Second::TakesOver),
        ServerAction::StartSecond(Second::EitherWay),
        ServerAction::StartOverFile,
        ServerAction::StartBesideHelpers,
        ServerAction::RestoreOpenFiles,
        ServerAction::RestoreCalls,
    ];
    prop_oneof![
        prop::sample::select(plain),
        rare_answers().prop_map(ServerAction::Answer),
        prop::sample::select(signals.clone()).prop_map(ServerAction::Signal),
        prop::sample::select(signals).prop_map(ServerAction::SignalAgain),
        (0u32..1_000_000).prop_map(ServerAction::LimitOpenFiles),
        (server_expectations(), option::of(durations()))
            .prop_map(|(what, within)| ServerAction::Expect { what, within }),
        (server_expectations(), option::of(durations()))
            .prop_map(|(what, within)| ServerAction::Require { what, within }),
    ]
    .boxed()
}

/// Steps of two clients.
fn lines() -> impl Strategy<Value = Vec<Line>> {
    let step = prop_oneof![
        4 => (0usize..2, actions()).prop_map(|(who, action)| Step::Client { who, action }),
        1 => server_actions().prop_map(Step::Server),
        // Within blocks in blocks they come to less than a week.
        1 => (0u64..10_000).prop_map(|micros| Step::Pause(Duration::from_micros(micros))),
        1 => Just(Step::Settle),
        1 => Just(Step::Barrier),
        2 => prop::sample::select(examples()),
    ];
    let line = step.prop_map(Line::from).prop_recursive(3, 12, 4, |line| {
        (1u32..50, vec(line, 1..4)).prop_map(|(times, lines)| Step::Repeat { times, lines }.into())
    });
    vec(line, 1..6)
}

/// The lines that can happen, without those of a number in the order of the text; a block that loses all goes too.
fn without(lines: Vec<Line>, number: usize, next: &mut usize) -> Vec<Line> {
    let mut kept = Vec::new();
    for mut line in lines {
        let is_it = *next == number;
        *next += 1;
        let mut is_empty = false;
        if let Step::Repeat { lines, .. } = &mut line.step {
            *lines = without(std::mem::take(lines), number, next);
            is_empty = lines.is_empty();
        }
        if !is_it && !is_empty {
            kept.push(line);
        }
    }
    kept
}

/// The scenario with the steps that can happen where they stand.
fn possible(mut scenario: Scenario) -> Scenario {
    while let Some(impossible) = first_impossible(&scenario, STREAM) {
        scenario.lines = without(scenario.lines, impossible.step, &mut 0);
    }
    if scenario.lines.is_empty() {
        scenario.lines.push(Step::Settle.into());
    }
    scenario
}

fn scenarios() -> impl Strategy<Value = Scenario> {
    let members = || prop_oneof![Just(1u32), 1u32..=10_000];
    let invariants: Vec<_> = Invariant::ALL.iter().map(|(row, _)| *row).collect();
    let waivers = (prop::sample::select(invariants), "[a-z]\\PC{0,12}")
        .prop_map(|(invariant, reason)| Waiver { invariant, reason });
    let names = "[!-~]\\PC{0,20}[!-~]";
    (names, members(), members(), vec(waivers, 0..3), lines()).prop_map(
        |(name, first, second, waived, lines)| {
            possible(Scenario {
                name,
                clients: vec![
                    ClientGroup {
                        name: "alice".into(),
                        members: first,
                    },
                    ClientGroup {
                        name: "Mallory_2-b".into(),
                        members: second,
                    },
                ],
                waived,
                lines: begun(lines),
            })
        },
    )
}

/// Lines behind those without which few of them could happen: each of their clients connects; the server
/// is stopped before it is to run on, its files are limited before it is to have them again, and so with its calls.
fn begun(lines: Vec<Line>) -> Vec<Line> {
    let connect = |who| Step::Client {
        who,
        action: Action::Connect(ConnectOptions::default()),
    };
    let mut names: Vec<_> = lines.iter().filter_map(Line::clients).collect();
    names.sort_unstable();
    names.dedup();
    let mut begin: Vec<Step> = names.into_iter().map(connect).collect();
    if let Step::Client { who, action } = &lines[0].step
        && action.awaits(&Expectation::Secured)
    {
        let (who, action) = (*who, Action::StartTls(TlsOptions::default()));
        begin.push(Step::Client { who, action });
    }
    match lines[0].step.form().needs {
        Some(Need::StoppedServer) => begin.push(Step::Server(ServerAction::Stop)),
        Some(Need::SignalledServer) => begin.push(Step::Server(ServerAction::Signal(Signal::Hup))),
        Some(Need::LimitedFiles) => begin.push(Step::Server(ServerAction::LimitOpenFiles(1))),
        Some(Need::AnsweredCalls) => begin.push(Step::Server(ServerAction::Answer(aborted()))),
        _ => {}
    }
    begin.into_iter().map(Line::from).chain(lines).collect()
}

fn files() -> impl Strategy<Value = DrillFile> {
    let names = || option::of("\\PC{1,12}");
    let cases = (scenarios(), terms(), option::of("[a-z]\\PC{0,12}"));
    let cases = cases.prop_map(|(scenario, terms, reason)| Case {
        line: 0,
        terms: Terms {
            expected: reason.map(|reason| Expected { reason }),
            ..terms
        },
        scenario,
    });
    let payloads = option::of(expected_datas()).prop_map(|data| {
        let payload = |data| Payload {
            name: "hello".to_owned(),
            data,
        };
        data.into_iter().map(payload).collect()
    });
    (names(), names(), payloads, terms(), vec(cases, 1..4)).prop_map(
        |(server, speaks, payloads, terms, cases)| DrillFile {
            server,
            speaks,
            payloads,
            terms,
            cases,
            ..DrillFile::default()
        },
    )
}

fn terms() -> impl Strategy<Value = Terms> {
    let tags = prop::sample::subsequence(vec!["slow".to_owned(), "udp".to_owned()], 0..=2);
    let promises = prop::sample::subsequence(
        vec!["backlog = 4".to_owned(), "idle-timeout = \"2s\"".to_owned()],
        0..=2,
    );
    (tags, option::of(durations()), promises).prop_map(|(tags, within, promises)| Terms {
        tags,
        within,
        promises,
        expected: None,
    })
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same_value(file in files()) {
        let text = file.to_string();
        let back = DrillFile::parse("a.drill", &text).unwrap();
        prop_assert_eq!(back.unnumbered(), file, "{}", text);
    }

    #[test]
    fn what_is_printed_is_already_formatted(file in files()) {
        let text = file.to_string();
        prop_assert_eq!(format("a.drill", &text).unwrap(), text);
    }

    #[test]
    fn what_is_written_as_json_parses_to_the_same_value(file in files()) {
        let json = file.to_json().unwrap();
        prop_assert_eq!(DrillFile::from_json("a.json", &json).unwrap(), file, "{}", json);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "(\\PC|[\\s\"#,*\\\\{}\\[\\]]){0,60}") {
        let _ = DrillFile::parse("a.drill", &text);
        let _ = DrillFile::parse("a.drill", &format!("case c\n clients: a\n a {text}"));
        let _ = DrillFile::parse("a.drill", &format!("case c\n clients: {text}"));
        let _ = DrillFile::from_json("a.json", &text);
    }

    #[test]
    fn no_bytes_make_the_parser_panic(text in any::<String>()) {
        let _ = DrillFile::parse("a.drill", &text);
        let _ = DrillFile::parse("a.drill", &format!("case c\n clients: a\n a send \"{text}\""));
    }

    #[test]
    fn no_slip_in_a_valid_file_makes_the_parser_panic(
        file in files(),
        slips in vec((any::<prop::sample::Index>(), "[ -~\né\u{3000}]{0,3}", 0usize..4), 1..4),
    ) {
        let mut text: Vec<char> = file.to_string().chars().collect();
        for (at, put, taken) in slips {
            let at = at.index(text.len() + 1);
            let end = (at + taken).min(text.len());
            text.splice(at..end, put.chars());
        }
        let text: String = text.into_iter().collect();
        if let Ok(file) = DrillFile::parse("a.drill", &text) {
            let formatted = format("a.drill", &text).unwrap();
            prop_assert_eq!(DrillFile::parse("a.drill", &formatted).unwrap().unnumbered(), file.unnumbered());
            prop_assert_eq!(format("a.drill", &formatted).unwrap(), formatted);
        }
    }
}

/// The complaint about a text.
fn complaint(text: &str) -> String {
    DrillFile::parse("a.drill", text).unwrap_err().to_string()
}

#[test]
fn what_a_file_asks_for_has_bounds() {
    let case = |clients: &str, steps: &str| format!("case x\n  clients: {clients}\n\n{steps}");
    let steps = |many: usize| "  alice connect\n".repeat(many);
    let many_names: String = (0..1_001).map(|n| format!("n{n} ")).collect();
    let cases = "case x\n  settle\n".repeat(10_001);
    let long = format!("  alice send \"{}\"\n", "x".repeat(5 << 20));
    let many_pauses = "repeat 1000\n  repeat 1000\n  pause 1h\n  end\n  end\n";
    for (text, complaints) in [
        (
            case("alice[40000] bob[40000]", &steps(1)),
            ["at most 64,512", ":2:3"],
        ),
        (
            case(&many_names, &steps(1)),
            ["more than 1000 names", ":2:"],
        ),
        (
            case("alice", &steps(100_001)),
            ["at most 100,000 steps", ":100004:3"],
        ),
        (cases, ["at most 10,000 cases", ":20001:1"]),
        (
            case("alice", &long),
            ["this line has 5242895 bytes", ":4:1"],
        ),
        (case("alice", many_pauses), ["more than a week", ":1:1"]),
    ] {
        let complaint = complaint(&text);
        for part in complaints {
            assert!(complaint.contains(part), "{complaint}");
        }
        assert!(complaint.len() < 5_000, "{} bytes", complaint.len());
    }
    assert!(DrillFile::parse("a.drill", &case("alice", &steps(100_000))).is_ok());
}

#[test]
fn as_much_as_there_may_be_is_taken() {
    for taken in [
        "case x\n  clients: alice[64512]\n\n  alice connect\n",
        "case x\n  pause 168h\n",
        "case x\n  pause 167h\n  pause 1h\n",
        "case x\n  clients: a\n\n  a connect\n  a send pattern 64MiB\n",
        "case x\n  clients: a\n\n  a connect\n  a send pattern 1000000B in pieces of 1B\n",
        "case x\n  clients: a\n\n  a connect\n  a send \"hello\" cut at 3 3\n",
        "case x\n  repeat 1000\n    repeat 1000\n      settle\n    end\n  end\n",
    ] {
        let read = DrillFile::parse("a.drill", taken);
        assert!(read.is_ok(), "{taken}{:?}", read.err());
    }
    let names = |many: usize| {
        let names: String = (0..many).map(|n| format!(" n{n}")).collect();
        let text = format!("case x\n  clients:{names}\n\n  n0 connect\n");
        DrillFile::parse("a.drill", &text).is_ok()
    };
    assert!(names(1_000));
    assert!(!names(1_001));
    let line = |bytes: usize| {
        let (before, after) = ("  alice send \"", "\"");
        let text = "x".repeat(bytes - before.len() - after.len());
        let text = format!("case x\n  clients: alice\n\n  alice connect\n{before}{text}{after}\n");
        DrillFile::parse("a.drill", &text).is_ok()
    };
    assert!(line(4 << 20));
    assert!(!line((4 << 20) + 1));
}

#[test]
fn comments_right_above_a_case_stay_with_it_and_no_blank_line_is_last() {
    let written = "case a\n\n  settle\n\n# One.\n\n# Two.\n# Three.\ncase b\n\n  settle\n\n\n";
    let formatted = written.trim_end().to_owned() + "\n";
    assert_eq!(format("a.drill", written).unwrap(), formatted);
    let close = "case a\n  settle\n# One.\n# Two.\ncase b\n  settle\n";
    let apart = format("a.drill", close).unwrap();
    assert!(
        apart.contains("settle\n\n# One.\n# Two.\ncase b"),
        "{apart}"
    );
}

#[test]
fn mistake_within_a_text_is_pointed_at() {
    let message = complaint("case x\n  clients: a\n\n  a connect\n  a send \"ab\\qz\"\n");
    let shown = "  a send \"ab\\qz\"\n  |             ^^";
    assert!(message.contains(shown), "{message}");
}

#[test]
fn setting_stands_in_quotes_unless_it_is_a_word() {
    let file = |server: &str| DrillFile {
        server: Some(server.to_owned()),
        ..DrillFile::default()
    };
    assert_eq!(file("echo").to_string(), "server: echo\n");
    assert_eq!(file("").to_string(), "server: \"\"\n");
    assert_eq!(file("a b").to_string(), "server: \"a b\"\n");
}

#[test]
fn file_is_read_as_its_text_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = parse("case a\n  settle\n\ncase b\n  pause 1s\n");
    let json = file.to_json().unwrap();
    for (name, text) in [("a.drill", file.to_string()), ("a.json", json)] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let read = DrillFile::read(&path).unwrap().unnumbered();
        assert_eq!(read, file.clone().unnumbered(), "{name}");
        let found = DrillFile::read_found(&path).unwrap().unnumbered();
        assert_eq!(found, read, "{name}");
    }
    assert!(DrillFile::read(&folder.path().join("missing.drill")).is_err());
}

const SHARED: &str = "\
server: echo
tags: a
within: 3s
promise: backlog = 4
payload: hi \"hello\" * 2

setup
  clients: alice
  waive: memory \"it is large\"

  alice connect
  alice send hi

case one
  tags: b
  within: 5s
  promise: idle-timeout = \"2s\"
  expected: fail \"issue 17\"
  clients: bob

  bob connect
  bob expect hi in capitals or fin
  alice expect \"x\"

case two

  alice close
";

#[test]
fn what_cases_share_is_written_once_and_performed_in_each() {
    let file = parse(SHARED);
    assert_eq!(file.to_string(), SHARED);
    assert_eq!(format("a.drill", SHARED).unwrap(), SHARED);
    let json = file.to_json().unwrap();
    let back = DrillFile::from_json("a.json", &json).unwrap();
    assert_eq!(back.to_string(), SHARED);
    let [one, two] = file.cases.as_slice() else {
        panic!("these are two cases");
    };
    let performed = "\
case one
  clients: alice bob
  waive: memory \"it is large\"

  alice connect
  alice send \"hello\" * 2
  bob connect
  bob expect \"hello\" in capitals * 2 or fin within 5s
  alice expect \"x\" within 5s
";
    assert_eq!(file.performed(one).to_string(), performed);
    assert_eq!(file.performed(two).lines.len(), 3);
    let terms = file.terms_of(one);
    assert_eq!(terms.tags, ["a", "b"]);
    assert_eq!(terms.promises, ["backlog = 4", "idle-timeout = \"2s\""]);
    assert_eq!(terms.expected.unwrap().reason, "issue 17");
    assert_eq!(file.terms_of(two).within, Some(Duration::from_secs(3)));
}

#[test]
fn mistake_of_a_case_behind_a_setup_is_told_in_its_line() {
    let text = SHARED.replace("  bob connect\n", "");
    assert!(
        message(&text).contains("a.drill:21:3"),
        "{}",
        message(&text)
    );
    let text = SHARED.replace("  alice connect\n", "");
    assert!(
        message(&text).contains("alice has no connection"),
        "{}",
        message(&text)
    );
}

#[test]
fn file_takes_what_another_one_shares() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("shared.drill", SHARED);
    write(
        "more.drill",
        "include: shared.drill\ntags: c\npayload: more hi\n\nsetup\n  clients: carl\n\n  carl connect\n",
    );
    let text = "include: more.drill\nserver: other\npayload: own \"own\"\n\nsetup\n  clients: dora\n\n  dora connect\n\n\
                case mine\n  clients: bob\n\n  bob connect\n  bob send more\n  carl send own\n  dora close\n  alice close\n";
    write("mine.drill", text);
    let file = DrillFile::read(&folder.path().join("mine.drill")).unwrap();
    assert_eq!(file.server.as_deref(), Some("other"));
    let performed = file.performed(&file.cases[0]).to_string();
    let expected = "\
case mine
  clients: alice carl dora bob
  waive: memory \"it is large\"

  alice connect
  alice send \"hello\" * 2
  carl connect
  dora connect
  bob connect
  bob send \"hello\" * 2
  carl send \"own\"
  dora close
  alice close
";
    assert_eq!(performed, expected);
    assert_eq!(file.terms_of(&file.cases[0]).tags, ["a", "c"]);
    let printed = file.to_string();
    assert!(
        printed.starts_with("server: other\ninclude: more.drill\npayload: own"),
        "{printed}"
    );
    write("again.drill", &printed);
    let again = DrillFile::read(&folder.path().join("again.drill")).unwrap();
    assert_eq!(again.unnumbered(), file.unnumbered());
}

#[test]
fn what_two_files_both_name_is_not_taken_from_the_second() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "one.drill",
        "payload: hi \"one\"\n\nsetup\n  clients: alice\n\n  alice connect\n",
    );
    write("two.drill", "setup\n  clients: alice\n\n  alice connect\n");
    write("three.drill", "payload: hi \"three\"\n");
    let told = |second: &str| {
        write(
            "both.drill",
            &format!("include: one.drill\ninclude: {second}\n\ncase a\n  settle\n"),
        );
        DrillFile::read(&folder.path().join("both.drill"))
            .unwrap_err()
            .to_string()
    };
    assert!(told("two.drill").contains("both.drill:2:10"));
    assert!(told("two.drill").contains("there is a client `alice` already"));
    assert!(told("three.drill").contains("there is a payload `hi` already"));
    assert!(told("four.drill").contains("this file is not taken: reading"));
}

#[test]
fn file_that_has_nothing_to_share_needs_a_case() {
    assert!(message("server: echo\n").contains("there is no case in this file"));
    assert!(parse("tags: slow\n").cases.is_empty());
}

#[test]
fn variable_without_a_value_is_pointed_at() {
    let told = |steps: &str| {
        message(&format!(
            "case a\n  clients: alice mob[3]\n  alice connect\n  mob connect\n{steps}"
        ))
    };
    let sent = told("  alice send \"a {sid}\"\n");
    assert!(
        sent.contains("a.drill:5:17") && sent.contains("{sid} has no value here"),
        "{sent}"
    );
    assert!(
        sent.contains("write {sid:REGEX} in what is expected above"),
        "{sent}"
    );
    let captured = "  alice expect \"{sid:[0-9]+}\"\n  mob expect \"{own:[0-9]+}\"\n";
    let near = told(&format!("{captured}  alice expect \"{{sdi}}\"\n"));
    assert!(near.contains("did you mean `{sid}`?"), "{near}");
    let of_crowd = told(&format!("{captured}  alice send \"{{own}}\"\n"));
    assert!(
        of_crowd.contains("each of `mob` has a {own} of its own"),
        "{of_crowd}"
    );
    let either = told("  alice expect \"{a:x}\" or \"y\"\n  alice send \"{a}\"\n");
    assert!(
        either.contains("{a} need not have a value here")
            && either.contains("each of the ways above"),
        "{either}"
    );
    let cut = told(&format!("{captured}  alice send \"ab{{sid}}c\" cut at 3\n"));
    assert!(cut.contains("the data is not cut there"), "{cut}");
    parse(
        "case a\n  clients: alice\n  alice connect\n  alice expect \"{sid:.+};\"\n  alice send \"ab{sid}c\" cut at 2\n",
    );
}

#[cfg(feature = "tls")]
#[test]
fn steps_that_cannot_happen_over_tls_are_told() {
    let told = |steps: &str| message(&format!("case a\n  clients: alice\n{steps}"));
    let connect = "  alice connect\n";
    let begun = "  alice connect\n  alice start-tls first 100B\n";
    for (before, step, why) in [
        ("", "start-tls", "alice has no connection yet"),
        (connect, "expect secured", "alice has not begun TLS"),
        (
            "  alice connect\n  alice start-tls\n",
            "send \"x\"",
            "alice may be in the middle of its TLS handshake",
        ),
        (
            begun,
            "expect secured",
            "alice sends only a part of its ClientHello, and is never secured",
        ),
        (
            begun,
            "send \"x\"",
            "alice sends only a part of its ClientHello, and nothing behind it",
        ),
        (
            begun,
            "start-tls",
            "alice has begun TLS on this connection already",
        ),
        (
            connect,
            "expect secured after 1s",
            "alice has not begun TLS",
        ),
        (begun, "send \"x\" in pieces of 1B", "nothing behind it"),
        (
            connect,
            "start-tls first 10B cut at 10",
            "the ClientHello is not cut there",
        ),
        (
            connect,
            "start-tls name \"127.0.0.1\"",
            "this is no name of a host",
        ),
        (
            connect,
            "start-tls name \"a..b\"",
            "this is no name of a host",
        ),
        (
            connect,
            "start-tls name \"-a\"",
            "this is no name of a host",
        ),
        (
            connect,
            "start-tls alpn \"\"",
            "this is no name of a protocol",
        ),
    ] {
        let message = told(&format!("{before}  alice {step}\n"));
        assert!(message.contains(why), "{step}: {message}");
    }
}

#[cfg(feature = "tls")]
#[test]
fn records_are_cut_behind_the_length_of_their_text() {
    let steps = |cut: &str| {
        format!(
            "case a\n  clients: alice\n  alice connect\n  alice start-tls name \"a-b.example_1\" alpn \"h2\" \"http/1.1\" cut at 5\n  \
             alice expect secured\n  alice send \"hello\" cut at {cut}\n  alice connect\n  alice send \"hello\" cut at 4\n"
        )
    };
    // A header of five bytes and a tag of sixteen are there in any case.
    parse(&steps("25"));
    assert!(message(&steps("26")).contains("the data is not cut there"));
    // A handshake of the connection before is none of the next.
    let plain = message(&steps("25").replace("cut at 4", "cut at 5"));
    assert!(plain.contains("the data is not cut there"), "{plain}");
}

#[cfg(not(feature = "tls"))]
#[test]
fn step_of_tls_is_refused_where_it_is_not_built_in() {
    let told = message("case a\n  clients: alice\n  alice connect\n  alice start-tls\n");
    assert!(told.contains("this sockdrill speaks no TLS"), "{told}");
}
